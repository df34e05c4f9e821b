"""The hybrid: its losses and scores against dense float64, its members, and what it refuses."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import ITEMS, USERS, config_of, world

from mmssl_jax import training
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import training_pairs
from mmssl_jax.graphs.content_graph import content_graph
from mmssl_jax.models.hybrid import losses as hybrid_losses
from mmssl_jax.models.hybrid import scores as hybrid_scores
from mmssl_jax.models.model import Batch
from mmssl_jax.training import batches, session
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh
from mmssl_jax.training.step import train_step

NOBODY, SINGLE, COLD = 1, 2, 7  # users with no pair and with one, and an item with none
ALL = 1 - 1e-9  # of the pairs are hidden: 1 as a float32


def uneven() -> Dataset:
    """`world` with users of few pairs and of many, a cold item, and items without a modality."""
    dataset, rng = world(), np.random.default_rng(3)
    train = dataset.train.tolil()
    train[:, [COLD]] = 0
    train[[NOBODY]] = 0
    for user in range(3, USERS, 3):
        train[[user], : 3 * user // 2] = 0
    train[[SINGLE]] = 0
    train[SINGLE, 4] = 1
    present = {name: rng.random(ITEMS) < 0.8 for name in dataset.features}
    return dataclasses.replace(dataset, train=train.tocsr(), present=present)


def prepared(dataset: Dataset | None = None, **values):
    """The session of a config; `hybrid__graph=0.5` and so on are its fields."""
    config = config_of("hybrid", **{"hybrid__neighbors": 5, **values})
    return session.prepare(config, dataset or uneven())


def doubles(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def normalised_joint(pairs: np.ndarray) -> np.ndarray:
    """`D^-1/2 A D^-1/2` of users, then items."""
    joint = np.block([[np.zeros((USERS, USERS)), pairs], [pairs.T, np.zeros((ITEMS, ITEMS))]])
    scale = np.maximum(joint.sum(1), 1) ** -0.5
    return scale[:, None] * joint * scale[None, :]


def standardised(scores: np.ndarray, weight: float) -> np.ndarray:
    """Mean 0 and as deviation the weight, over the warm items; 0 where these are equal, or cold."""
    warm = np.delete(scores, COLD, axis=1)
    scores = scores - warm.mean(axis=1, keepdims=True)
    deviation = warm.std(axis=1, keepdims=True)
    scores = weight * scores / np.where(deviation > 0, deviation, 1)
    scores[:, COLD] = 0
    return scores


def expected_scores(own: session.Session, params) -> np.ndarray:
    """All scores in float64, of dense matrices."""
    config, pairs, params = own.config, own.dataset.train.toarray(), doubles(params)
    hybrid, counts = config.hybrid, np.maximum(own.dataset.train.sum(axis=1), 1)
    total = np.zeros((USERS, ITEMS))
    for items in params["items"]["item_embedding"]:
        users = pairs @ items / counts[:, None] ** hybrid.user_exponent
        total += standardised(users @ items.T, 1 / hybrid.members)
    for member in range(hybrid.members if hybrid.graph else 0):
        tables = [params["graph"][name][member] for name in ("user_embedding", "item_embedding")]
        layers = [np.concatenate(tables)]
        for _ in range(config.model.layers):
            layers.append(normalised_joint(pairs) @ layers[-1])
        nodes = np.mean(layers, axis=0)
        total += standardised(nodes[:USERS] @ nodes[USERS:].T, hybrid.graph / hybrid.members)
    if own.model.inputs.content is not None:
        near, edges = own.model.inputs.content.neighbors
        matrix = np.zeros((ITEMS, ITEMS))
        np.put_along_axis(matrix, np.asarray(near), np.asarray(edges, np.float64), axis=1)
        known = (pairs / counts[:, None]).sum(axis=0)
        shares = matrix[COLD] * known
        total[:, COLD] = total @ shares / (hybrid.shrinkage + shares.sum())
        scale = hybrid.content[0] * (1 + known) ** -hybrid.content_exponent
        total += np.log1p(pairs @ matrix / counts[:, None]) * scale[None, :]
    return total


def represented(own: session.Session, params):
    """What is ranked when the parameters were held from the first step."""
    model = own.model
    held = model.refresh(params, model.inputs, model.held, jnp.zeros((), jnp.int32))
    return jax.jit(model.embed)(params, model.inputs, held)


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("graph", [0.0, 0.5])
@pytest.mark.parametrize("content", [(0.0,), (0.8,)])
def test_scores_are_those_of_a_dense_computation(members, graph, content, monkeypatch):
    monkeypatch.setattr(hybrid_scores, "PAIRS_AT_A_TIME", 3)
    values = {"hybrid__members": members, "hybrid__graph": graph, "hybrid__content": content}
    own = prepared(**values, hybrid__user_exponent=0.6, hybrid__shrinkage=9.0)
    assert np.diff(own.dataset.train.indptr).max() > 2 * hybrid_scores.PAIRS_AT_A_TIME
    params = own.model.init(jax.random.key(1))
    assert params.keys() == ({"items", "graph"} if graph else {"items"})
    assert own.model.scores_cold_items == any(content)
    found = jax.jit(own.model.score)(represented(own, params), jnp.arange(USERS))
    np.testing.assert_allclose(found, expected_scores(own, params), rtol=1e-5, atol=1e-5)


def test_weights_of_content_take_turns_by_validation():
    own = prepared(
        hybrid__content=(0.4, 0.2, 0.8), train__steps_per_epoch=3, train__evaluate_every=2
    )
    params, without = own.model.init(jax.random.key(1)), prepared(hybrid__content=(0.0,))
    users, model, held = jnp.arange(USERS), own.model, own.model.held
    plain = without.model.score(represented(without, params), users)
    content = []
    for step in range(30):
        held = model.refresh(params, model.inputs, held, jnp.int32(step))
        if step % 6 == 5:
            scores = model.score(model.embed(params, model.inputs, held), users)
            content.append(np.delete(scores - plain, COLD, axis=1))
    assert np.abs(content[0]).max() > 0.1
    for found, share in zip(content, (1, 0.5, 2, 1, 0.5), strict=True):
        np.testing.assert_allclose(found, share * content[0], atol=1e-5)


def test_scores_are_the_mean_of_the_members_own():
    values = {"hybrid__graph": 0.5, "hybrid__content": (0.0,)}
    both, alone = prepared(hybrid__members=2, **values), prepared(**values)
    params = both.model.init(jax.random.key(1))
    users = jnp.arange(USERS)
    own = [
        alone.model.score(
            represented(alone, jax.tree.map(lambda x, m=m: x[m : m + 1], params)), users
        )
        for m in range(2)
    ]
    assert np.abs(own[0] - own[1]).max() > 1
    found = both.model.score(represented(both, params), users)
    np.testing.assert_allclose(found, (own[0] + own[1]) / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("graph", [0.0, 0.5])
def test_a_history_is_scored_as_a_user_who_has_it(graph):
    """With a graph of one layer, as a user whose own embedding is zero."""
    own = prepared(
        hybrid__members=2, hybrid__graph=graph, hybrid__user_exponent=0.6, model__layers=1
    )
    params = own.model.init(jax.random.key(1))
    if graph:
        params["graph"]["user_embedding"] = jnp.zeros_like(params["graph"]["user_embedding"])
    representation, train = represented(own, params), own.dataset.train
    scores = own.model.score(representation, jnp.arange(USERS))
    for user in (SINGLE, 5, 6):
        items = jnp.asarray(train[[user]].nonzero()[1], jnp.int32)
        found = own.model.score_history(representation, items)
        np.testing.assert_allclose(found, scores[user], rtol=1e-5, atol=1e-5)


def drawn(own: session.Session, rows: int) -> Batch:
    """A batch that has the user of a single pair as well."""
    tables = training_pairs.pair_tables(own.dataset.train)
    users, positives, negatives = batches.sample(jax.random.key(4), tables, rows)
    ends = jnp.array([0, rows - 1])
    return Batch(users.at[ends].set(SINGLE), positives.at[ends].set(4), negatives.at[ends].set(9))


@pytest.mark.parametrize("player", ["items", "graph"])
@pytest.mark.parametrize("hidden", [0.0, ALL])
def test_a_member_has_the_loss_and_gradient_that_it_has_alone(player, hidden):
    values = {"hybrid__graph": 0.5, "hybrid__hidden": hidden, "train__embedding_l2": 0.1}
    both, alone = prepared(hybrid__members=2, **values), prepared(**values)
    params, batch = both.model.init(jax.random.key(1)), drawn(both, 32)

    def loss(own, params, batch):
        model = own.model
        return model.losses[player](params, model.inputs, model.held, batch, jax.random.key(2))

    (total, terms), slopes = jax.value_and_grad(partial(loss, both), has_aux=True)(params, batch)
    losses, parts = [], []
    for member in range(2):
        own_params = jax.tree.map(lambda x, m=member: x[m : m + 1], params)
        own_batch = Batch(*(x[16 * member : 16 * (member + 1)] for x in batch))
        of_member = jax.value_and_grad(partial(loss, alone), has_aux=True)
        (value, own_terms), own_slopes = of_member(own_params, own_batch)
        losses.append(value)
        parts.append(own_terms)
        for found, expected in zip(*map(jax.tree.leaves, (slopes, own_slopes)), strict=True):
            np.testing.assert_allclose(found[member], expected[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(total, sum(losses), rtol=1e-6)
    assert abs(losses[0] - losses[1]) > 1e-4
    for name, value in terms.items():
        np.testing.assert_allclose(value, (parts[0][name] + parts[1][name]) / 2, rtol=1e-6)


@pytest.mark.parametrize("hidden", [0.0, ALL])
def test_the_loss_of_item_vectors_is_that_of_a_dense_computation(hidden):
    own = prepared(
        hybrid__hidden=hidden,
        hybrid__user_exponent=0.6,
        hybrid__l2_exponent=0.3,
        train__embedding_l2=0.1,
    )
    params, batch = own.model.init(jax.random.key(1)), drawn(own, 16)
    model = own.model
    _, terms = model.losses["items"](params, model.inputs, model.held, batch, jax.random.key(2))
    pairs, table = own.dataset.train.toarray(), doubles(params)["items"]["item_embedding"][0]
    users, positives, negatives = map(np.asarray, batch)
    of_user = pairs[users]
    counts = of_user.sum(axis=1)
    left_out = (hidden == ALL) | (counts == 1)
    of_user[np.arange(16), positives] -= left_out
    rows = of_user @ table / counts[:, None] ** 0.6, table[positives], table[negatives]
    margin = (rows[0] * (rows[1] - rows[2])).sum(axis=1)
    np.testing.assert_allclose(terms["bpr"], np.log1p(np.exp(-margin)).mean(), rtol=1e-6)
    squares = sum((x**2).sum(axis=1) for x in rows)
    l2 = 0.1 / counts**0.3
    np.testing.assert_allclose(terms["embedding_l2"], (l2 * squares).sum() / 2 / 16, rtol=1e-5)


@pytest.mark.parametrize("members", [1, 2])
def test_users_are_the_same_by_the_pairs_of_a_batch_and_by_all(members):
    own = prepared(hybrid__members=members, train__batch_size=8)
    inputs, table = own.model.inputs, own.model.init(jax.random.key(1))["items"]["item_embedding"]
    most = hybrid_losses.most_pairs_of(own.config, inputs, own.dataset.train)
    assert 8 < most < own.dataset.train.nnz
    users = drawn(own, 8 * members).users.reshape(members, 8)
    weights = jax.random.normal(jax.random.key(3), (members, 8, table.shape[2]))

    def total(table, most):
        found = hybrid_losses.users_of(table, users, inputs, most)
        return jnp.sum(weights * found**2), found

    of_both = [
        jax.jit(jax.value_and_grad(partial(total, most=x), has_aux=True)) for x in (most, None)
    ]
    for found, expected in zip(*(jax.tree.leaves(each(table)) for each in of_both), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_few_users_are_summed_by_all_pairs():
    """Where a batch may have as many pairs as there are, or draws a user twice."""
    train = uneven().train
    for size in (len(train.indptr) - 1, 1024):
        own = prepared(train__batch_size=size)
        assert hybrid_losses.most_pairs_of(own.config, own.model.inputs, train) is None


def test_the_graph_is_trained_as_lightgcn():
    own = prepared(hybrid__graph=0.5, train__embedding_l2=0.1)
    other = session.prepare(config_of("lightgcn", train__embedding_l2=0.1), uneven()).model
    model, batch, key = own.model, drawn(own, 16), jax.random.key(2)
    params = model.init(jax.random.key(1))
    same = {"model": jax.tree.map(lambda x: x[0], params["graph"])}
    _, found = model.losses["graph"](params, model.inputs, model.held, batch, key)
    _, expected = other.losses["model"](same, other.inputs, other.held, batch, key)
    np.testing.assert_allclose(found["bpr"], expected["bpr"], rtol=1e-6)


def stepped(own: session.Session, model):
    """The parameters before and after a step."""
    state = states.init_state(model, own.transforms, jax.random.key(0))
    constants = (training_pairs.pair_tables(own.dataset.train), model.inputs, jax.random.key(1))
    step = partial(
        train_step,
        model=model,
        transforms=own.transforms,
        batch_size=own.config.train.batch_size,
        mesh=make_mesh(own.config.mesh),
    )
    return state.params, jax.jit(step)(state, constants)[0].params


def test_a_step_draws_a_batch_for_each_member():
    own, rows = prepared(hybrid__members=3), []

    def watched(params, inputs, held, batch, key):
        rows.append(len(batch.users))
        return own.model.losses["items"](params, inputs, held, batch, key)

    stepped(own, own.model._replace(losses={"items": watched}))
    assert set(rows) == {3 * own.config.train.batch_size}


def test_weights_decay_as_those_of_other_models():
    rate, decay = 0.01, 0.3
    with_decay = prepared(train__weight_decay=decay, train__learning_rate=rate)
    without = prepared(train__weight_decay=0.0, train__learning_rate=rate)
    before, after = stepped(with_decay, with_decay.model)
    _, plain = stepped(without, without.model)
    for leaves in zip(*map(jax.tree.leaves, (before, after, plain)), strict=True):
        first, found, expected = leaves
        np.testing.assert_allclose(found, expected - rate * decay * first, rtol=1e-4, atol=1e-6)


def test_missing_features_are_left_out_or_propagated():
    dataset = uneven()
    settings = {"sharpness": 11.0, "rank": 64, "neighbors": 5, "tie_order": dataset.tie_order}
    for fill in ("mean", "propagate"):
        own = prepared(dataset, data__missing=fill)
        features = session.content.prepare(
            dataset, missing=fill, zeros_missing=False, standardize=True
        ).features
        trained = dataset.train.sum(axis=0) > 0
        reached = {name: has | trained for name, has in dataset.present.items()}
        present = dataset.present if fill == "mean" else reached
        expected = content_graph(features, present, **settings)
        found = own.model.inputs.content.neighbors
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_array_equal(found.weights, expected.weights)


def test_cold_items_inherit_of_others_alone():
    """Though the nearest of each are the other cold ones, with the same features."""
    dataset, cold = uneven(), np.arange(20, 30)
    train = dataset.train.tolil()
    train[:, cold] = 0
    features = {name: values.copy() for name, values in dataset.features.items()}
    for values in features.values():
        values[cold] = values[cold[0]]
    dataset = dataclasses.replace(dataset, train=train.tocsr(), features=features, present={})
    content = prepared(dataset).model.inputs.content
    assert set(np.asarray(content.neighbors.items)[cold[0]]) <= set(cold)
    np.testing.assert_array_equal(content.cold, np.append(COLD, cold))
    assert np.all(dataset.train[:, np.asarray(content.inherited.items).ravel()].sum(axis=0) > 0)
    shares = np.asarray(content.inherited.weights)
    assert np.all(shares > 0)
    assert np.all(shares.sum(axis=1) < 1)


def test_the_average_counts_steps_by_their_age():
    own, decay = prepared(hybrid__average=0.9), 0.9
    model, held = own.model, own.model.held
    steps = [model.init(jax.random.key(step)) for step in range(4)]
    for step, params in enumerate(steps):
        held = model.refresh(params, model.inputs, held, jnp.int32(step))
    weights = decay ** np.arange(4)[::-1]
    expected = sum(
        weight * params["items"]["item_embedding"]
        for weight, params in zip(weights / weights.sum(), steps, strict=True)
    )
    np.testing.assert_allclose(held.average["items"]["item_embedding"], expected, atol=1e-6)


def test_patience_ends_no_turn():
    with pytest.raises(InputError, match=r"'train\.patience' is 1, less than the 2 values"):
        prepared(train__patience=1)
    features = dataclasses.replace(uneven(), features={}, present={})
    assert prepared(features, train__patience=1).model.inputs.content is None


def test_features_are_not_learned():
    with pytest.raises(
        InputError, match=r"'data\.missing' is 'learned', but model 'hybrid' learns"
    ):
        prepared(data__missing="learned")
    assert prepared(data__missing="learned", hybrid__content=(0.0,)).model.inputs.content is None


@pytest.mark.parametrize("kind", ["none", "constant"])
def test_it_trains_without_content(kind, tmp_path):
    base = uneven()
    features = {} if kind == "none" else {"image": np.ones((ITEMS, 4), np.float32)}
    dataset = dataclasses.replace(base, features=features, present={})
    summary = training.train(config_of("hybrid", hybrid__graph=0.5), dataset, tmp_path)
    assert 0 < summary["test/recall@20"] <= 1
    content = prepared(dataset).model.inputs.content
    assert content is None if kind == "none" else not content.neighbors.weights.any()
