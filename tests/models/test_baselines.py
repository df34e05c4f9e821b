"""The baselines: closed forms, formulas and graphs, and whole runs through the training loop."""

import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from worlds import ITEMS, USERS, config_of, world

from mmssl_jax import models, training
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import interaction_graph, item_graph, training_pairs
from mmssl_jax.graphs.nearest import top_neighbors
from mmssl_jax.models import MODELS, ease, lattice, learned_item_graphs, micro, ngcf, vbpr
from mmssl_jax.models.losses import contrastive
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import batches

CONTENT = ("lattice", "micro", "vbpr")
BASELINES = [name for name in MODELS if name != "mmssl"]


def without_features(dataset: Dataset) -> Dataset:
    values = {name: getattr(dataset, name) for name in Dataset.__dataclass_fields__}
    return Dataset(**values | {"features": {}})


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_trains_and_its_checkpoint_has_the_same_scores(name, tmp_path):
    dataset = world() if name in CONTENT else without_features(world())
    config = config_of(name, ease__l2=(1.0, 10.0))
    trained = training.train(config, dataset, tmp_path)
    evaluated = training.evaluate_run(config, dataset, RunFolder(tmp_path))
    scores = {key: value for key, value in evaluated.items() if key in trained and "@" in key}
    assert len(scores) == 2 * 2 * 5
    assert scores == {key: trained[key] for key in scores}


@pytest.mark.parametrize("backbone", ["ngcf", "mf"])
def test_another_backbone_trains(backbone, tmp_path):
    values = {"item_graph__backbone": backbone, "train__learning_rate": 0.1}
    training.train(config_of("micro", **values), world(), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    first, last = (row["model/bpr"] for row in rows)
    assert last < 0.95 * first
    config = config_of("micro", **values)
    state = training.best_of_run(config, world(), RunFolder(tmp_path)).state
    assert bool(state.params["model"]["layers"]) == (backbone == "ngcf")


@pytest.mark.parametrize("name", CONTENT)
def test_a_model_of_content_refuses_data_without(name):
    with pytest.raises(InputError, match=f"model '{name}' needs item features.*data.modalities"):
        MODELS[name].build(config_of(name), without_features(world()), 4)


def test_more_neighbors_than_items_are_refused():
    with pytest.raises(InputError, match=r"item_graph\.neighbors"):
        lattice.build(config_of("lattice", item_graph__neighbors=ITEMS + 1), world(), 4)


def test_a_model_added_in_ten_lines_trains_and_evaluates(tmp_path, monkeypatch):
    def build(config, dataset, steps_per_epoch):
        def embed(params, inputs, held):
            return params["player"]["users"], params["player"]["items"]

        def init(key):
            shapes = {"users": (USERS, 4), "items": (ITEMS, 4)}
            keys = dict(zip(shapes, jax.random.split(key), strict=True))
            return {"player": {n: jax.random.normal(keys[n], shapes[n]) for n in shapes}}

        def loss(params, inputs, held, batch, key):
            users, items = embed(params, inputs, held)
            hinge = 1 - jnp.sum(users[batch.users] * items[batch.positives], axis=1)
            return jnp.mean(jax.nn.relu(hinge)), {}

        return models.Model((), init, {"player": loss}, embed)

    added = MODELS["mf"]._replace(build=build)
    monkeypatch.setitem(MODELS, "added", added)
    config = config_of("added")
    trained = training.train(config, world(), tmp_path)
    evaluated = training.evaluate_run(config, world(), RunFolder(tmp_path))
    assert evaluated["test/ndcg@20"] == trained["test/ndcg@20"]


# EASE and VBPR


def test_ease_ranks_items_of_the_same_users_level():
    rng = np.random.default_rng(0)
    matrix = (rng.random((50, 30)) < 0.2).astype(np.float32)
    matrix[:, [7, 19, 28]] = matrix[:, [3]]
    first = ease.first_alike(scipy.sparse.csr_array(matrix))
    assert first[[3, 7, 19, 28]].tolist() == [3] * 4
    solved = jax.jit(ease.solve)(jnp.asarray(matrix.T @ matrix), 3.0)
    weights = ease.level(solved, jnp.asarray(first, jnp.int32))
    np.testing.assert_allclose(weights, solved, rtol=1e-4, atol=1e-6)  # but for rounding the same
    without = np.flatnonzero(matrix[:, 3] == 0)
    scores = np.asarray(jax.jit(jnp.matmul)(jnp.asarray(matrix), weights))[without]
    assert scores[:, 3].any()
    for item in (7, 19, 28):
        np.testing.assert_array_equal(scores[:, item], scores[:, 3])


def test_ease_solves_the_normal_equations():
    train, l2 = world().train.toarray().astype(np.float64), 3.0
    b = np.asarray(jax.jit(ease.solve)(jnp.asarray(train.T @ train, jnp.float32), l2))
    np.testing.assert_array_equal(np.diagonal(b), 0)
    # The minimum of |A - A B|^2 + l2 |B|^2 under a zero diagonal: the gradient off it is zero.
    gradient = train.T @ (train @ b - train) + l2 * b
    np.fill_diagonal(gradient, 0)
    np.testing.assert_allclose(gradient, 0, atol=1e-4)


def test_ease_tries_a_lambda_an_epoch_and_then_holds_the_last():
    config = config_of("ease", ease__l2=(1.0, 10.0))
    model = ease.build(config, world(), 4)
    refresh = jax.jit(model.refresh)
    held, gram = model.held, model.inputs[0]
    for step, l2 in [(0, 1.0), (3, 1.0), (4, 10.0), (8, 10.0)]:
        held = refresh({}, model.inputs, held, jnp.asarray(step))
        np.testing.assert_allclose(held, ease.solve(gram, l2), atol=1e-6)


def test_ease_scores_are_rows_times_weights():
    dataset = world()
    model = ease.build(config_of("ease", ease__l2=(1.0,)), dataset, 4)
    weights = jax.random.normal(jax.random.key(0), (ITEMS, ITEMS))
    users = jnp.asarray([3, 0, 29, 7, 0, 0])  # as a block is padded: with user 0, at the end
    scores = jax.jit(model.score)(model.embed({}, model.inputs, weights), users)
    wanted = dataset.train.toarray()[np.asarray(users)] @ np.asarray(weights)
    np.testing.assert_allclose(scores[:4], wanted[:4], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"train__epochs": 1},
        {"train__epochs": 30},
        {"train__epochs": 5, "train__patience": 0},
        {"train__epochs": 5, "train__evaluate_every": 5},
    ],
)
def test_every_lambda_is_tried_whatever_the_schedule(given, tmp_path):
    config = config_of("ease", ease__l2=(1e6, 1e5, 1.0), **given)
    summary = training.train(config, without_features(world()), tmp_path)
    rows = RunFolder(tmp_path).read_metrics(up_to_epoch=99)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert summary["epochs"] == 3
    assert rows[summary["best_epoch"] - 1]["val/recall@20"] == summary["val/recall@20"]


def test_popularity_is_counted_once_and_other_schedules_are_as_given(tmp_path):
    config = config_of("popularity", train__epochs=30, train__evaluate_every=7)
    assert training.train(config, world(), tmp_path)["epochs"] == 1
    train = config_of("mf", train__epochs=30, train__evaluate_every=7, train__patience=0).train
    assert (train.epochs, train.evaluate_every, train.patience) == (30, 7, 0)


def test_vbpr_is_the_formula_of_the_paper():
    dataset, key = world(), jax.random.key(0)
    model = vbpr.build(config_of("vbpr"), dataset, 4)
    shapes, tree = jax.tree.flatten(model.init(key))
    leaves = [jax.random.normal(jax.random.fold_in(key, i), x.shape) for i, x in enumerate(shapes)]
    params = jax.tree.unflatten(tree, leaves)
    users, items = jax.jit(model.embed)(params, model.inputs, model.held)
    p = jax.tree.map(np.asarray, params["model"])
    f = vbpr.scaled(dataset).features
    for u, i in [(0, 0), (7, 31), (29, 39)]:
        score = p["item_bias"][i] + p["user_factors"][u] @ p["item_factors"][i]
        for m in f:
            score += p["user_content"][u] @ (f[m][i] @ p["projection"][m])
            score += f[m][i] @ p["feature_bias"][m]
        np.testing.assert_allclose(users[u] @ items[i], score, rtol=1e-5)


def test_vbpr_scales_every_modality_to_a_mean_l1_norm_of_one():
    dataset = world()
    for modality, array in vbpr.scaled(dataset).features.items():
        raw = dataset.features[modality]
        np.testing.assert_allclose(np.mean(np.abs(array).sum(axis=1)), 1.0, rtol=1e-6)
        np.testing.assert_allclose(array / array[0, 0], raw / raw[0, 0], rtol=1e-5)


# Item graphs


def whole_numbers(shape, seed=0):
    """Small integers: their products are exact, and there are many ties."""
    return jax.random.randint(jax.random.key(seed), shape, -2, 3).astype(jnp.float32)


@pytest.mark.parametrize(("items", "block"), [(50, 1), (50, 7), (50, 64), (700, 256), (960, 64)])
def test_blocked_top_neighbors_are_those_of_the_dense_product(items, block):
    x = np.asarray(whole_numbers((items, 3 if items == 50 else 6)))
    found = jax.jit(partial(top_neighbors, k=6, block=block))(x)
    product = x @ x.T
    order = np.argsort(-product, axis=1, kind="stable")[:, :6]  # of equals, the lowest index
    assert np.mean(np.diff(np.take_along_axis(product, order, 1)) == 0) > 0.3
    np.testing.assert_array_equal(found.items, order)
    np.testing.assert_array_equal(found.weights, np.take_along_axis(product, order, 1))


@pytest.mark.parametrize("bound", [5, 2**31 - 1])  # the larger one is too large for one array
def test_the_order_of_edges_is_stable(bound):
    values = jax.random.randint(jax.random.key(0), (40,), 0, 5)
    order = item_graph._stable_order(values, bound)
    np.testing.assert_array_equal(order, np.argsort(values, kind="stable"))


def test_an_item_graphs_product_and_gradients_are_those_of_a_dense_matrix():
    items = jax.random.randint(jax.random.key(0), (20, 6), 0, 20)  # some are listed twice
    weights, x, y = whole_numbers((20, 6)), whole_numbers((20, 5), 1), whole_numbers((20, 5), 2)

    def dense(weights, x):
        rows = jnp.repeat(jnp.arange(20)[:, None], 6, axis=1)
        return jnp.zeros((20, 20)).at[rows, items].add(weights) @ x

    def own(weights, x, learn):
        return item_graph.item_spmm(item_graph.item_graph(items), weights, x, jnp.asarray(learn))

    value, pull = jax.vjp(dense, weights, x)
    for learn in (True, False):
        own_value, own_pull = jax.vjp(partial(own, learn=learn), weights, x)
        np.testing.assert_array_equal(own_value, value)
        np.testing.assert_array_equal(own_pull(y)[1], pull(y)[1])
        np.testing.assert_array_equal(own_pull(y)[0], pull(y)[0] * learn)


def test_a_zero_feature_row_has_no_edge_and_no_nan():
    features = np.ones((30, 4), np.float32)
    features[3] = 0
    raw = learned_item_graphs.raw_neighbors(jnp.asarray(features), 5)
    np.testing.assert_array_equal(raw.weights[3], 0)
    assert np.all(np.isfinite(raw.weights))


@pytest.mark.parametrize("name", ["lattice", "micro"])
def test_the_graph_learner_has_a_gradient_in_the_first_step_of_an_epoch_only(name):
    config, dataset = config_of(name), world()
    model = MODELS[name].build(config, dataset, 4)
    params, held = model.init(jax.random.key(0)), model.held
    tables = training_pairs.pair_tables(dataset.train)
    batch = batches.sample(jax.random.key(1), tables, config.train.batch_size)

    @jax.jit
    def gradient(held, step):
        held = model.refresh(params, model.inputs, held, step)
        loss = partial(model.losses["model"], batch=batch, key=jax.random.key(2))
        return jax.grad(lambda p: loss(p, model.inputs, held)[0])(params), held

    for step in range(9):
        grads, held = gradient(held, jnp.asarray(step))
        for path, leaf in jax.tree.leaves_with_path(grads["model"]["learner"]):
            assert bool(jnp.any(leaf != 0)) == (step % 4 == 0), (step, path)
        assert jnp.any(grads["model"]["item_embedding"] != 0)


def test_the_blocked_contrast_is_the_dense_one():
    view, anchor = (jax.random.normal(jax.random.key(seed), (37, 4)) for seed in (0, 1))

    def gap(pair, block):
        return micro.contrastive(*pair, temperature=0.5, block=block)

    def dense(pair):
        return contrastive(*pair, temperature=0.5, epsilon=0.0)

    wanted = jax.value_and_grad(dense)((view, anchor))
    for block in (8, 37, 64):
        found = jax.jit(jax.value_and_grad(partial(gap, block=block)))((view, anchor))
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-7), found, wanted)


def test_ngcf_drops_messages_in_training_only():
    config = config_of("ngcf", ngcf__message_dropout=0.5)
    model = ngcf.build(config, world(), 4)
    params = model.init(jax.random.key(0))["model"]
    propagate = jax.jit(partial(ngcf.propagate, config=config))
    kept = propagate(params, model.inputs)[1]
    dropped = propagate(params, model.inputs, key=jax.random.key(1))[1]
    assert jnp.all(kept != 0)
    assert 0.4 < jnp.mean(dropped == 0) < 0.6


def test_joint_graphs_are_normalised():
    train = world().train
    own = interaction_graph.row_stochastic_joint_graph(train).matrix.todense()
    np.testing.assert_allclose(own.sum(axis=1), 1, rtol=1e-6)
    symmetric = interaction_graph.symmetric_joint_graph(train).matrix.todense()
    np.testing.assert_array_equal(symmetric, symmetric.T)
    degrees = np.concatenate([train.sum(axis=1), train.sum(axis=0)])
    np.testing.assert_allclose(symmetric @ np.sqrt(degrees), np.sqrt(degrees), rtol=1e-5)
