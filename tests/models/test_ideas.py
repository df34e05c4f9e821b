"""The ideas that the hybrid does without: each does what it says, and has figures."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import ITEMS, USERS, Place, config_of, world

from benchmarks.ideas import IDEAS, __main__, content_graphs, features, pairs
from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.graphs.training_pairs import pair_tables
from mmssl_jax.models import hybrid
from mmssl_jax.models.model import Batch
from mmssl_jax.training import batches, session
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh

VALUES = {"hybrid__neighbors": 5, "hybrid__members": 2, "hybrid__user_exponent": 0.6}


def uneven():
    """`world` with cold items, and users of few pairs and of many."""
    dataset = world()
    train = dataset.train.tolil()
    train[:, [7, 12]] = 0
    for user in range(0, USERS, 2):
        train[[user], : user + 2] = 0
    train[2, 5] = 1  # his only one
    return dataclasses.replace(dataset, train=train.tocsr())


COLD = np.flatnonzero(uneven().train.sum(axis=0) == 0)


def session_of(idea: str, dataset=None, **values) -> session.Session:
    config = config_of("hybrid", **{**VALUES, **values})
    with __main__.in_place_of_the_hybrid(IDEAS[idea]):
        return session.prepare(config, uneven() if dataset is None else dataset)


def trained(own: session.Session):
    """The state after an epoch."""
    mesh = make_mesh(own.config.mesh)
    state = own.initial_state(jax.random.key(0), mesh)
    constants = own.constants(jax.random.key(1), mesh)
    count = own.steps_per_epoch
    return own.compiled(state, constants, count, mesh)(state, constants, jnp.int32(count))[0]


def scores_of(own: session.Session, state: states.TrainState) -> np.ndarray:
    representation = jax.jit(own.model.embed)(state.params, own.model.inputs, state.held)
    return np.asarray(own.model.score(representation, jnp.arange(USERS)))


@pytest.fixture(scope="module")
def plain():
    """The hybrid, its state after an epoch, and its scores."""
    own = session_of("none")
    state = trained(own)
    return own, state, scores_of(own, state)


@pytest.mark.parametrize("idea", sorted(IDEAS.keys() - {"none"}))
def test_an_idea_is_trained_and_changes_the_scores(idea, plain):
    own = session_of(idea)
    found = scores_of(own, trained(own))
    assert np.all(np.isfinite(found))
    assert np.abs(found - plain[2]).max() > 1e-4
    assert hybrid.MODEL is __main__.MODELS["hybrid"], "the hybrid is put back"


def loss_of(own: session.Session, params, batch, seed):
    key = jax.random.key(seed)
    return jax.jit(own.model.losses["items"])(params, own.model.inputs, params, batch, key)


def drawn(own: session.Session, rows: int = 32) -> Batch:
    return batches.sample(jax.random.key(5), own.model.inputs.pairs, rows)


def test_negatives_are_outside_and_as_many_as_asked_for():
    dataset = uneven()
    users = jnp.asarray([3, 9, 3, 2])
    found = pairs.negatives_of(jax.random.key(0), pair_tables(dataset.train), users, 200)
    for user, own in zip(users, np.asarray(found), strict=True):
        assert set(own) == set(range(ITEMS)) - set(dataset.train[[user]].indices)


def test_the_hard_negative_has_the_largest_score_and_the_users_are_those_of_the_loss(plain):
    own, state, _ = plain
    seen = {}

    def watched(params, inputs, held, batch, key):
        seen.update(batch=batch, key=jax.random.clone(key))
        return own.model.losses["items"](params, inputs, held, batch, key)

    hard = IDEAS["hard_negatives"](
        pairs.with_items_loss(own.model, watched), own.config, own.dataset
    )
    batch, inputs, held = drawn(own), own.model.inputs, state.held
    _, terms = hard.losses["items"](state.params, inputs, held, batch, jax.random.key(3))
    draw = jax.random.split(jax.random.key(3))[0]
    candidates = np.asarray(pairs.negatives_of(draw, inputs.pairs, batch.users, 4))
    table = state.params["items"]["item_embedding"]
    ones = jnp.ones(ITEMS)
    users = pairs.users_in_training(table, inputs, batch, seen["key"], hidden=0.5, weights=ones)
    users, table = np.asarray(users).reshape(32, -1), np.asarray(table)
    members = np.repeat(np.arange(2), 16)
    scores = np.einsum("rd,rcd->rc", users, table[members[:, None], candidates])
    best = scores.argmax(axis=1)
    assert len(np.unique(best)) == 4
    np.testing.assert_array_equal(seen["batch"].negatives, candidates[np.arange(32), best])
    # These users are those of the loss.
    positive = np.sum(users * table[members, np.asarray(batch.positives)], axis=1)
    margin = positive - scores.max(axis=1)
    np.testing.assert_allclose(terms["bpr"], np.log1p(np.exp(-margin)).mean(), rtol=1e-5)


def test_every_pair_has_eight_negatives(plain):
    own, state, _ = plain
    seen = []

    def watched(params, inputs, held, batch, key):
        seen.append(batch)
        return own.model.losses["items"](params, inputs, held, batch, key)

    more = IDEAS["more_negatives"](pairs.with_items_loss(own.model, watched), None, None)
    batch = drawn(own)
    more.losses["items"](state.params, own.model.inputs, state.held, batch, jax.random.key(3))
    users, positives, negatives = map(np.asarray, seen[0])
    np.testing.assert_array_equal(users, np.repeat(batch.users, 8))
    np.testing.assert_array_equal(positives, np.repeat(batch.positives, 8))
    assert np.all([len(set(own)) > 1 for own in negatives.reshape(32, 8)])
    assert own.dataset.train[users, negatives].sum() == 0


@pytest.mark.parametrize("power", [0.25, 0.5])
def test_users_are_drawn_by_degree(power):
    train = uneven().train
    batch = jax.jit(pairs.by_degree, static_argnums=(2, 3))(
        jax.random.key(0), pair_tables(train), 200_000, power
    )
    expected = np.where(np.diff(train.indptr), np.diff(train.indptr).astype(float) ** power, 0)
    found = np.bincount(batch.users, minlength=USERS) / 200_000
    np.testing.assert_allclose(found, expected / expected.sum(), atol=3e-3)
    assert np.all(train[np.asarray(batch.users), np.asarray(batch.positives)] == 1)
    assert np.all(train[np.asarray(batch.users), np.asarray(batch.negatives)] == 0)


def test_items_count_by_their_weights_in_scores_and_losses(plain):
    own = session_of("item_weights", hybrid__hidden=1 - 1e-9, hybrid__content=(0.0,))
    params = own.model.init(jax.random.key(1))
    train, table = own.dataset.train.toarray(), np.asarray(params["items"]["item_embedding"])
    weights = np.maximum(train.sum(axis=0), 1) ** -0.25
    sums = train @ weights
    sums = np.where(sums > 0, sums, 1)[:, None] ** 0.6
    users = (train * weights) @ table / sums
    held = own.model.held._replace(average=params)
    representation = own.model.embed(params, own.model.inputs, held)
    size = np.linalg.norm(users, axis=2, keepdims=True)
    found = np.asarray(representation.users)
    ratio = found / np.linalg.norm(found, axis=2, keepdims=True).clip(1e-9)
    np.testing.assert_allclose(ratio, users / size.clip(1e-9), atol=1e-5)

    batch = drawn(own)
    _, terms = loss_of(own, params, batch, 2)
    u, p, n = (np.asarray(x).reshape(2, 16) for x in batch)
    each = np.arange(2)[:, None]
    rows = users[each, u] - (weights[p][:, :, None] / sums[u]) * table[each, p]
    margin = (rows * (table[each, p] - table[each, n])).sum(axis=2)
    np.testing.assert_allclose(terms["bpr"], np.log1p(np.exp(-margin)).mean(), rtol=1e-5)

    none = session_of("none", hybrid__content=(0.0,))
    same = pairs.item_weights(none.model, none.config, none.dataset, power=0.0)
    found = loss_of(none._replace(model=same), params, batch, 2)
    expected = loss_of(none, params, batch, 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


def ranked_table(own: session.Session, average) -> np.ndarray:
    held = own.model.held._replace(average=average)
    return np.asarray(own.model.embed(average, own.model.inputs, held).items)


def centred(table: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
    """The vectors less the mean of these items, by default of all."""
    return table - table[:, items if items is not None else slice(None)].mean(axis=1, keepdims=True)


@pytest.mark.parametrize("cold", [False, True])
def test_content_is_in_the_vectors(cold):
    name = "content_in_vectors_cold" if cold else "content_in_vectors"
    own = session_of(name, hybrid__shrinkage=1e20)  # nothing is inherited
    params = own.model.init(jax.random.key(1))
    items = jax.tree.map(np.asarray, params["items"])
    content = features.features_of(own.config, own.dataset) @ items["content_map"]
    table = items["item_embedding"].copy()
    if cold:
        table[:, COLD] = 0
    warm = np.setdiff1d(np.arange(table.shape[1]), COLD)
    expected = centred(table + content, None if cold else warm)
    if not cold:
        expected[:, COLD] = 0
    np.testing.assert_allclose(ranked_table(own, params), expected, atol=1e-5)


def test_the_contrast_is_info_nce(plain):
    own, without = session_of("contrast_.1"), plain[0]
    params, batch = own.model.init(jax.random.key(1)), drawn(own)
    _, terms = loss_of(own, params, batch, 2)
    _, alone = loss_of(without, params, batch, 2)
    np.testing.assert_allclose(terms["bpr"], alone["bpr"], rtol=1e-6)
    table, maps = (np.asarray(params["items"][x], float) for x in ("item_embedding", "content_map"))
    content, total = features.features_of(own.config, own.dataset), []
    for member, items in enumerate(np.asarray(batch.positives).reshape(2, 16)):
        views, vectors = content[items] @ maps[member], table[member][items]
        views, vectors = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (views, vectors))
        similar = np.exp(views @ vectors.T / 0.2)
        similar[(items[:, None] == items) & ~np.eye(16, dtype=bool)] = 0
        for way in (similar, similar.T):
            total.append(-np.log(np.diag(way) / way.sum(axis=1)).mean())
    np.testing.assert_allclose(terms["contrast"], 0.1 * np.mean(total), rtol=1e-5)


def dense(neighbors: Neighbors) -> np.ndarray:
    near, weights = map(np.asarray, neighbors)
    matrix = np.zeros((ITEMS, ITEMS))
    np.put_along_axis(matrix, near, weights.astype(float), axis=1)
    return matrix


def test_only_cold_items_get_other_vectors(plain):
    none, state, _ = plain
    table = np.asarray(state.held.average["items"]["item_embedding"], float)
    train = none.dataset.train.toarray()
    known = (train / train.sum(axis=1, keepdims=True).clip(1)).sum(axis=0)

    weights = np.minimum(known, 5)
    content = features.features_of(none.config, none.dataset).astype(float)
    mean = (weights @ table / weights.sum())[:, None]
    gram = (content * weights[:, None]).T @ content + 3 * np.eye(content.shape[1])
    by_ridge = mean + content[COLD] @ np.linalg.solve(
        gram, (content * weights[:, None]).T @ (table - mean)
    )

    expected = table.copy()
    expected[:, COLD] = by_ridge
    found = ranked_table(session_of("distilled_ridge"), state.held.average)
    np.testing.assert_allclose(found, centred(expected), atol=1e-5)


def test_vectors_are_smoothed_in_scores_and_losses(plain):
    none, state, _ = plain
    own = session_of("smoothed")
    edges = dense(none.model.inputs.content.neighbors)
    table = np.asarray(state.held.average["items"]["item_embedding"])
    table = table + 0.3 * edges / edges.sum(axis=1, keepdims=True) @ table
    joined = {"items": {"item_embedding": jnp.float32(table)}}
    found, expected = ranked_table(own, state.held.average), ranked_table(none, joined)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    batch = drawn(own)
    found, expected = loss_of(own, state.held.average, batch, 2), loss_of(none, joined, batch, 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


def test_modalities_apart_are_summed(plain):
    none, state, _ = plain
    only = dict(list(none.dataset.features.items())[:1])
    dataset = dataclasses.replace(none.dataset, features=only)
    np.testing.assert_allclose(
        scores_of(session_of("separate_modalities", dataset), state),
        scores_of(session_of("none", dataset), state),
        rtol=1e-6,
    )
    total, of_mean = 0, {"hybrid__shrinkage": 1e20}  # nothing is inherited
    without = scores_of(session_of("none", hybrid__content=(0.0,)), state)
    for name, values in none.dataset.features.items():
        alone = dataclasses.replace(none.dataset, features={name: values})
        half = session_of("none", alone, hybrid__sharpness=5.5, **of_mean)
        total = total + scores_of(half, state) - without
    found = scores_of(session_of("separate_modalities", **of_mean), state)
    np.testing.assert_allclose(found, without + total, atol=1e-5)


def test_linear_content_is_of_cosines(monkeypatch):
    own = session_of("linear_content")
    content = features.features_of(own.config, own.dataset).astype(float)
    cosines = np.maximum(content @ content.T / 2, 0)
    np.fill_diagonal(cosines, 0)
    scale = cosines.sum(axis=1) ** -0.5
    whole = ITEMS * scale[:, None] * cosines * scale[None, :]
    least = np.sort(whole, axis=1)[:, -5][:, None]
    found = dense(own.model.inputs.content.neighbors)
    np.testing.assert_allclose(found, np.where(whole >= least, whole, 0), atol=1e-4)
    monkeypatch.setattr(content_graphs, "BLOCK", 7)
    again = content_graphs.cosine_graph(content.astype(np.float32) / 2**0.5, 5)
    np.testing.assert_allclose(dense(again), found, atol=1e-4)


def test_the_command_makes_figures_and_takes_finished_runs(tmp_path, capsys):
    place, file, runs = Place(tmp_path), tmp_path / "figures.json", tmp_path / "runs"
    arguments = ["--data", str(place.data), "--config", str(place.config), "--seeds", "2"]
    arguments += ["--ideas", "none,smoothed", "--json", str(file), "--workdir", str(runs)]
    arguments += ["--config.data.modalities="]
    __main__.main(arguments)
    first = json.loads(file.read_text())
    assert [row["idea"] for row in first["ideas"]] == ["none", "smoothed"]
    row = first["ideas"][1]
    assert [run["seed"] for run in row["runs"]] == [2022, 2023]
    assert row["recall"] == np.mean([run["recall"] for run in row["runs"]])
    of_run = runs / "smoothed" / "seed-2022" / "results.json"
    assert not any(name.startswith("test/") for name in json.loads(of_run.read_text()))
    of_run.unlink()  # another run would write it
    __main__.main(arguments)
    assert json.loads(file.read_text()) == first
    assert not of_run.exists()
    assert "smoothed" in capsys.readouterr().out


def test_a_plateau_is_the_best_ten_in_a_row():
    recall = np.r_[np.linspace(0, 0.2, 15), 0.9, np.zeros(10)]
    rows = [{"val/recall@20": r, "val/ndcg@20": r / 2} for r in recall]
    best = max(recall[i : i + 10].mean() for i in range(len(recall) - 9))
    np.testing.assert_allclose(__main__.plateau(rows), (best, best / 2))
    few = recall[:3].mean()
    np.testing.assert_allclose(__main__.plateau(rows[:3]), (few, few / 2))
