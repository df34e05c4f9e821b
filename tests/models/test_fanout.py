"""Training on sampled neighbours: exact with enough of them, at a cost that pairs do not change."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from worlds import ITEMS, USERS, Place, assert_same_run, config_of, world

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import MODELS
from mmssl_jax.models.losses import half_squares
from mmssl_jax.models.mmssl import generator
from mmssl_jax.models.model import Batch
from mmssl_jax.training import batches, session
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh
from mmssl_jax.training.step import compile_steps, train_step

MANY = 20_000  # pairs
ENOUGH = 10  # the largest degree of the tiny world; with self loops it is one more
MMSSL = {"critic__enabled": False, "mmssl__feature_dropout": 0.0, "mmssl__feature_l2": 0.0}
OBSERVED = MMSSL | {"mmssl__modality_graph": "observed", "model__layers": 1}
SETTINGS = {
    "lightgcn": {"model__name": "lightgcn"},
    "ngcf": {"model__name": "ngcf", "ngcf__message_dropout": 0.0},
    "mmssl": MMSSL | {"mmssl__modality_graph": "none"},
    "mmssl observed": OBSERVED | {"mmssl__normalization": "symmetric"},
    "mmssl without fusion": OBSERVED | {"mmssl__id_weight": 0.0},
    "mmssl of the paper": OBSERVED | {"model__variant": "paper", "mmssl__heads": 2},
}


def settings(name, fanout):
    return config_of("mmssl", train__fanout=fanout, **SETTINGS[name])


def hops(name):
    config = settings(name, ())
    return MODELS[config.model.name].hops(config)


def gradients(name, fanout):
    """Loss, terms and gradients of a model's loss on one batch."""
    config, dataset = settings(name, fanout), world()
    own = session.prepare(config, dataset)
    params = own.model.init(jax.random.key(0))
    tables = training_pairs.pair_tables(dataset.train)
    batch = batches.sample(jax.random.key(1), tables, config.train.batch_size)
    (loss_fn,) = own.model.losses.values()
    loss = partial(loss_fn, inputs=own.model.inputs, held=own.model.held, batch=batch)
    grad = jax.jit(jax.value_and_grad(lambda p, key: loss(p, key=key), has_aux=True))
    return grad(params, jax.random.key(2))


@pytest.mark.parametrize("name", SETTINGS)
def test_with_enough_neighbours_the_loss_is_that_of_full_propagation(name):
    (_, full_terms), full_gradients = gradients(name, ())
    (_, terms), found = gradients(name, (ENOUGH + (name == "ngcf"),) * hops(name))
    assert terms.keys() == full_terms.keys()
    for term, value in terms.items():
        np.testing.assert_allclose(value, full_terms[term], rtol=1e-5, err_msg=term)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-7), found, full_gradients)


def test_the_l2_of_features_is_that_of_the_batch_for_all():
    config, dataset = settings("mmssl observed", (ENOUGH,) * 3), world()
    values = configs.flatten(config) | {"mmssl.feature_l2": 1.0, "train.batch_size": USERS}
    config = models.resolve(configs.unflatten(values))
    model = session.prepare(config, dataset).model
    params, users = model.init(jax.random.key(0)), jnp.arange(USERS, dtype=jnp.int32)
    negatives = jnp.arange(10, 10 + USERS, dtype=jnp.int32)
    batch = Batch(users, negatives, negatives)
    key = jax.random.key(1)
    seen = jax.jit(model.losses["generator"])(params, model.inputs, {}, batch, key)[1]
    whole = generator.forward(params["generator"], model.inputs, {}, config)
    of_users = [view.feature for view in whole.user_views.values()]
    of_items = [view.feature[negatives] for view in whole.item_views.values()]
    wanted = half_squares(of_users) + half_squares(of_items) * ITEMS / USERS
    np.testing.assert_allclose(seen["feature_l2"], wanted / ITEMS, rtol=1e-5)


def test_the_l2_of_features_is_right_in_the_mean():
    config, dataset = settings("mmssl observed", (2,) * 3), world()
    values = configs.flatten(config) | {"mmssl.feature_l2": 1.0, "train.batch_size": USERS}
    model = session.prepare(models.resolve(configs.unflatten(values)), dataset).model
    params, users = model.init(jax.random.key(0)), jnp.arange(USERS, dtype=jnp.int32)
    batch = Batch(users, users, users)

    def drawn(key):
        return model.losses["generator"](params, model.inputs, {}, batch, key)[1]["feature_l2"]

    found = jax.jit(jax.vmap(drawn))(jax.random.split(jax.random.key(1), 500))
    whole = generator.forward(params["generator"], model.inputs, {}, config)
    of_users = [view.feature for view in whole.user_views.values()]
    of_items = [view.feature[users] for view in whole.item_views.values()]
    wanted = (half_squares(of_users) + half_squares(of_items) * ITEMS / USERS) / ITEMS
    error = np.std(found) / len(found) ** 0.5
    assert abs(np.mean(found) - wanted) < 4 * error
    assert error < 0.02 * wanted


@pytest.mark.parametrize(
    ("name", "fanout", "words"),
    [
        ("lightgcn", (5,), "lightgcn with model.layers = 2 needs 2 numbers, one for each hop"),
        ("lightgcn", (5, 0), "positive numbers, or none"),
        ("mf", (5, 5), "'mf' cannot train on sampled neighbours; leave it out, or choose"),
        ("lattice", (5, 5), "'lattice' cannot train on sampled neighbours"),
        ("mmssl", (5, 5, 5, 5), "set critic.enabled=False, or leave train.fanout out"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, fanout, words):
    with pytest.raises(InputError) as refusal:
        config_of(name, train__fanout=fanout)
    assert "'train.fanout'" in str(refusal.value)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("graph", ["released", "top_k"])
def test_modality_graphs_that_change_are_refused(graph):
    with pytest.raises(InputError, match=f"modality_graph='{graph}' is made from all items; set"):
        config_of(**MMSSL, name="mmssl", train__fanout=(5,) * 4, mmssl__modality_graph=graph)


def test_a_continued_run_on_sampled_neighbours_is_the_run_that_was_not(tmp_path):
    flags = ("--config.model.name=lightgcn", "--config.train.fanout=(3,)")
    whole, parts = Place(tmp_path / "whole"), Place(tmp_path / "parts")
    whole.train(*flags)
    parts.train(*flags, "--config.train.epochs=1")
    parts.train(*flags)
    assert_same_run(whole, parts, 3)


def wide(pairs: int) -> Dataset:
    rng = np.random.default_rng(0)
    users, items = 400, 300
    chosen = rng.permutation(users * items)[:pairs]
    index = np.divmod(chosen, items)
    train = scipy.sparse.csr_array((np.ones(pairs, np.float32), index), (users, items))
    features = {"image": rng.normal(size=(items, 5)).astype(np.float32)}
    return Dataset("d", train, train, train, features, None, None, True, ())


def program(name, fanout, pairs):
    """The compiled steps of a model."""
    config, dataset = settings(name, fanout), wide(pairs)
    own, mesh = session.prepare(config, dataset), make_mesh(config.mesh)
    state = own.initial_state(jax.random.key(0), mesh)
    step = partial(
        train_step,
        model=own.model,
        transforms=states.optimisers(config, own.model, 4),
        batch_size=config.train.batch_size,
        mesh=mesh,
        by_cipher=bool(fanout),
    )
    return compile_steps(step, state, own.constants(jax.random.key(1), mesh), 4)


def made(text: str, elements: int) -> list[str]:
    """The instructions of a compiled program that make an array of at least so many elements."""
    found = []
    for shape, operation in re.findall(r"= [a-z0-9]+\[([0-9,]+)\]\S* ([a-z-]+)\(", text):
        large = np.prod([int(size) for size in shape.split(",")]) >= elements
        if large and operation not in ("parameter", "get-tuple-element"):
            found.append(f"{operation} [{shape}]")
    return found


@pytest.mark.parametrize(
    "name",
    [
        each if each in ("lightgcn", "mmssl") else pytest.param(each, marks=pytest.mark.slow)
        for each in SETTINGS
    ],
)
def test_ten_times_the_pairs_cost_no_more(name):
    fanout = (3, 2, 1, 1)[: hops(name)]
    few, many = (program(name, fanout, pairs) for pairs in (2000, MANY))
    assert many.cost_analysis()["flops"] < 1.01 * few.cost_analysis()["flops"]
    assert not made(many.as_text(), MANY)
    assert made(program(name, (), MANY).as_text(), MANY), "full propagation goes over all pairs"
