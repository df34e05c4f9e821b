"""Training on sampled neighbours: exact with enough of them, at a cost that pairs do not change."""

import re
from functools import partial

import jax
import numpy as np
import pytest
import scipy.sparse
from worlds import config_of, world

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import MODELS
from mmssl_jax.training import batches, session
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh, place
from mmssl_jax.training.step import compile_steps, train_step

MANY = 20_000  # pairs
ENOUGH = 64  # neighbours; more than any node of the tiny world has
SETTINGS = {"lightgcn": {}, "ngcf": {"ngcf.message_dropout": 0.0}}


def settings(name, fanout, **values):
    of_model = {path.replace(".", "__"): value for path, value in SETTINGS[name].items()}
    return config_of(name, train__fanout=fanout, **of_model, **values)


def hops(name):
    return MODELS[name].hops(settings(name, ()))


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
    (full, full_terms), full_gradients = gradients(name, ())
    (loss, terms), found = gradients(name, (ENOUGH,) * hops(name))
    np.testing.assert_allclose(loss, full, rtol=1e-5)
    assert terms.keys() == full_terms.keys()
    for term, value in terms.items():
        np.testing.assert_allclose(value, full_terms[term], rtol=1e-5, err_msg=term)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-7), found, full_gradients)


@pytest.mark.parametrize(
    ("name", "fanout", "words"),
    [
        ("lightgcn", (5,), "lightgcn with model.layers = 2 needs 2 numbers, one for each hop"),
        ("lightgcn", (5, 0), "positive numbers, or none"),
        ("mf", (5, 5), "'mf' cannot train on sampled neighbours; leave it out, or choose"),
        ("lattice", (5, 5), "'lattice' cannot train on sampled neighbours"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, fanout, words):
    with pytest.raises(InputError) as refusal:
        config_of(name, train__fanout=fanout)
    assert "'train.fanout'" in str(refusal.value)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


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
    state = place(own.initial_state(jax.random.key(0)), mesh)
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


@pytest.mark.parametrize("name", SETTINGS)
def test_ten_times_the_pairs_cost_no_more(name):
    fanout = (3, 2, 2, 2, 2)[: hops(name)]
    few, many = (program(name, fanout, pairs) for pairs in (2000, MANY))
    assert many.cost_analysis()["flops"] < 1.01 * few.cost_analysis()["flops"]
    assert not made(many.as_text(), MANY)
    assert made(program(name, (), MANY).as_text(), MANY), "full propagation goes over all pairs"
