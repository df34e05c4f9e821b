"""How users and items are numbered decides nothing: no metric, no gradient, no epoch, no list."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import config_of

from mmssl_jax import training
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.graphs import training_pairs
from mmssl_jax.graphs.nearest import top_neighbors
from mmssl_jax.models import MODELS
from mmssl_jax.models.model import Batch
from mmssl_jax.ranking import fallback, full_ranking, ranked_lists
from mmssl_jax.training import batches, session

USERS, ITEMS = 31, 43  # no other size is either of them
SETTINGS = {name: {"model.name": name} for name in MODELS} | {
    "mmssl, paper": {"model.name": "mmssl", "model.variant": "paper", "mmssl.graph_items": 3},
    "mmssl, observed": {"model.name": "mmssl", "mmssl.modality_graph": "observed"},
    "mmssl, released graphs": {
        "model.name": "mmssl",
        "mmssl.modality_graph": "released",
        "mmssl.graph_rate": 0.1,
    },
    "micro, ngcf": {"model.name": "micro", "item_graph.backbone": "ngcf"},
    "hybrid, members": {"model.name": "hybrid", "hybrid.members": 2, "hybrid.graph": 0.5},
    "hybrid, without content": {"model.name": "hybrid", "hybrid.content": (0.0,)},
    "ease": {"model.name": "ease", "ease.l2": (10.0,)},
    "vbpr, learned": {"model.name": "vbpr", "data.missing": "learned"},
}
WITHOUT_NOISE = {"mmssl.feature_dropout": 0.0, "ngcf.message_dropout": 0.0, "critic.enabled": False}


def numbered(users: np.ndarray, items: np.ndarray, seed: int = 0) -> Dataset:
    """One world; user u of it has the index `users[u]`, item i the index `items[i]`."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(4, p=[0.7, 0.16, 0.07, 0.07], size=(USERS, ITEMS))
    kind[:2][kind[:2] == 1] = 0  # users without a training pair
    kind[:, :2][kind[:, :2] == 1] = 0  # items without one
    splits = {}
    for label, split in enumerate(("train", "val", "test"), start=1):
        of_user, of_item = np.nonzero(kind == label)
        splits[split] = users[of_user], items[of_item]
    features, present = {}, {}
    for name, width in (("image", 5), ("text", 3)):
        features[name] = rng.normal(size=(ITEMS, width)).astype(np.float32)[np.argsort(items)]
        present[name] = (rng.random(ITEMS) < 0.9)[np.argsort(items)]
    ids = [tuple(f"{k}{n}" for n in np.argsort(each)) for k, each in (("u", users), ("i", items))]
    shape = (USERS, ITEMS)
    return assemble(
        "world", "world", shape, splits, features, user_ids=ids[0], item_ids=ids[1], present=present
    )


def renumbered(tree, users: np.ndarray, items: np.ndarray):
    """Parameters of the world as it was for the world as it is numbered now."""

    def of(leaf):
        for axis, size in enumerate(leaf.shape):
            if size in (USERS, ITEMS):
                leaf = jnp.take(leaf, np.argsort(users if size == USERS else items), axis=axis)
        return leaf

    return jax.tree.map(of, tree)


def trained(model, params, batches):
    """A few steps of plain gradient descent on given batches."""

    def step(params, held, batch, number):
        held = model.refresh(params, model.inputs, held, number)
        for player, loss in model.losses.items():

            def of_player(own, params=params, held=held, player=player, loss=loss):
                key = jax.random.key(0)
                return loss(params | {player: own}, model.inputs, held, batch, key)[0]

            slopes = jax.grad(of_player)(params[player])
            params |= {
                player: jax.tree.map(lambda x, slope: x - 0.1 * slope, params[player], slopes)
            }
        return params, held

    step, held = jax.jit(step), model.held
    for number, batch in enumerate(batches):
        params, held = step(params, held, batch, jnp.asarray(number, jnp.int32))
    return params, held


def scored(dataset: Dataset, model, params, held):
    """Every metric of both splits, and the lists of all users by raw ids."""
    representation = jax.jit(model.embed)(params, model.inputs, held)
    stand_in, metrics = fallback.fallback(dataset.train), {}
    for split in ("val", "test"):
        task = full_ranking.ranking_task(dataset.train, getattr(dataset, split), 7, stand_in)
        found = full_ranking.evaluate(representation, task, (5, 20), model.score)
        metrics |= {f"{split}/{name}": value for name, value in found.items()}
    lists = ranked_lists.rank(
        representation, model.score, np.arange(USERS), 10, dataset.train, 8, dataset
    )
    names = np.array(dataset.item_ids)[lists.items]
    return metrics, dict(zip(dataset.user_ids, names.tolist(), strict=True))


@pytest.mark.parametrize("name", SETTINGS)
def test_no_metric_and_no_list_depends_on_the_numbering(name):
    changes = {key.replace(".", "__"): value for key, value in SETTINGS[name].items()}
    noise = {key.replace(".", "__"): value for key, value in WITHOUT_NOISE.items()}
    config = config_of(SETTINGS[name]["model.name"], **(noise | changes))
    rng = np.random.default_rng(list(SETTINGS).index(name))
    users, items = rng.permutation(USERS), rng.permutation(ITEMS)
    as_it_was = numbered(np.arange(USERS), np.arange(ITEMS))
    now = numbered(users, items)
    assert np.array_equal(now.train.toarray()[users][:, items], as_it_was.train.toarray())
    tables = training_pairs.pair_tables(as_it_was.train)
    drawn = [batches.sample(jax.random.key(n), tables, 16) for n in range(3)]
    numbers = (users, items, items)
    again = [
        Batch(*(jnp.asarray(to[ids]) for to, ids in zip(numbers, batch, strict=True)))
        for batch in drawn
    ]
    model = session.prepare(config, as_it_was).model
    params = model.init(jax.random.key(0))
    params_then, held = trained(model, params, drawn)
    kept = zip(*map(jax.tree.leaves, (held, model.held)), strict=True)
    moved = [not np.array_equal(*pair) for pair in kept]
    assert any(moved) == bool(moved), "what is built in a first step is there in the last"
    metrics, lists = scored(as_it_was, model, params_then, held)
    other = session.prepare(config, now).model
    params = renumbered(params, users, items)
    metrics_now, lists_now = scored(now, other, *trained(other, params, again))
    assert 0 < metrics["val/recall@20"] < 1
    for key, value in metrics.items():
        np.testing.assert_allclose(metrics_now[key], value, rtol=1e-5, atol=1e-6, err_msg=key)
    assert lists_now == lists


@pytest.mark.parametrize("name", ["ease", "popularity"])
@pytest.mark.parametrize("seed", range(3))
def test_a_run_without_chance_selects_the_same_epoch(name, seed, tmp_path):
    config = config_of(name, train__epochs=4, train__patience=3)
    rng = np.random.default_rng(seed)
    one = numbered(np.arange(USERS), np.arange(ITEMS), seed)
    other = numbered(rng.permutation(USERS), rng.permutation(ITEMS), seed)
    first = training.train(config, one, tmp_path / "one")
    second = training.train(config, other, tmp_path / "other")
    assert first["best_epoch"] == second["best_epoch"]
    assert first["test/unknown_users"] == second["test/unknown_users"] > 0
    for key in (key for key in first if "@" in key):
        np.testing.assert_allclose(second[key], first[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_equal_neighbours_are_taken_in_an_order_of_their_ids():
    rng = np.random.default_rng(0)
    x = rng.integers(-1, 2, (ITEMS, 3)).astype(np.float32)  # whose products are exact
    items = rng.permutation(ITEMS)
    one = numbered(np.arange(USERS), np.arange(ITEMS))
    other = numbered(np.arange(USERS), items)
    nearest = top_neighbors(jnp.asarray(x), 4, tie_order=jnp.asarray(one.tie_order))
    again = top_neighbors(
        jnp.asarray(x[np.argsort(items)]), 4, tie_order=jnp.asarray(other.tie_order)
    )
    by_index = top_neighbors(jnp.asarray(x), 4)
    np.testing.assert_array_equal(np.asarray(again.items)[items], items[np.asarray(nearest.items)])
    np.testing.assert_array_equal(nearest.weights, by_index.weights)
    assert (np.asarray(nearest.items) != np.asarray(by_index.items)).any()


def test_the_order_of_ties_does_not_follow_the_index_and_is_the_same_everywhere():
    order = numbered(np.arange(USERS), np.arange(ITEMS)).tie_order
    assert sorted(order) == list(range(ITEMS))
    assert abs(np.corrcoef(order, np.arange(ITEMS))[0, 1]) < 0.3
    assert order[:4].tolist() == [18, 10, 20, 42]
