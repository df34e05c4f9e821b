"""Steps on sampled neighbours on several devices: the figures of one, for the batch's bytes."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import world

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.graphs import split_tables
from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.training import session
from mmssl_jax.training.devices import make_mesh, place

STEPS = 4
SETTINGS = {
    "lightgcn": {"train.fanout": (3, 2, 2)},
    "mmssl": {
        "critic.enabled": False,
        "mmssl.modality_graph": "none",
        "model.layers": 1,
        "train.fanout": (3, 2),
    },
}


@cache
def run(name, data, model, d=8):
    """Losses of a few steps, the state after them, and what it scores with."""
    fixed = {"data.path": "random", "model.name": name, "train.batch_size": 16}
    fixed |= {"model.embedding_dim": d, "evaluation.cutoffs": (5, 20)}
    fixed |= {"mesh.data": data, "mesh.model": model}
    config = models.resolve(configs.unflatten(fixed | SETTINGS[name]))
    own, mesh = session.prepare(config, world()), make_mesh(config.mesh)
    state, constants = own.initial_state(jax.random.key(0), mesh), own.constants(key(), mesh)
    program = own.compiled(state, constants, STEPS, mesh)
    state, terms = program(state, constants, jnp.asarray(STEPS, jnp.int32))
    embedded = jax.jit(own.model.embed)(state.params, constants[1], state.held)
    return jax.tree.map(np.asarray, (terms, state.params, embedded))


def key():
    return jax.random.key(1)


@pytest.mark.parametrize(
    ("name", "data", "model", "d"),
    [
        ("lightgcn", 1, 8, 8),  # users are split by columns, items by rows
        ("lightgcn", 2, 4, 8),
        ("lightgcn", 1, 4, 6),  # users are whole
        ("mmssl", 2, 4, 8),
    ],
)
def test_several_devices_train_as_one(name, data, model, d):
    alone, found = run(name, 1, 1, d), run(name, data, model, d)
    for term, values in found[0].items():
        np.testing.assert_allclose(values, alone[0][term], rtol=1e-5, err_msg=term)
    for one, other in zip(*map(jax.tree.leaves, (alone[1:], found[1:])), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("rows", "columns"), [(24, 5), (23, 8), (23, 5)])
def test_sums_of_a_split_table_and_their_gradient(rows, columns):
    """Split by rows, by columns, and whole; with neighbours that the table does not have."""
    rng, mesh = np.random.default_rng(0), make_mesh(configs.Mesh(data=2, model=4))
    table = rng.integers(-8, 8, size=(rows, columns)).astype(np.float32)
    blocks = []
    for count, k in ((4, 3), (6, 5)):
        nodes = rng.integers(-5, rows + 5, size=(count, k)).astype(np.int32)
        blocks.append(Neighbors(nodes, rng.integers(1, 4, size=(count, k)).astype(np.float32)))
    cotangents = tuple(
        rng.integers(-8, 8, size=(len(block.items), columns)).astype(np.float32) for block in blocks
    )
    expected, gradient = [], np.zeros_like(table)
    for block, cotangent in zip(blocks, cotangents, strict=True):
        inside = (block.items >= 0) & (block.items < rows)
        weights, nodes = np.where(inside, block.weights, 0), np.where(inside, block.items, 0)
        expected.append(np.einsum("rk,rkd->rd", weights, table[nodes]))
        np.add.at(gradient, nodes, weights[:, :, None] * cotangent[:, None, :])

    @jax.jit
    def both(table, blocks, cotangents):
        sums, pull = jax.vjp(lambda x: split_tables.weighted_rows(x, blocks, mesh), table)
        return sums, pull(cotangents)[0]

    split = place({"user_embedding": table}, mesh)["user_embedding"]
    sums, found = both(split, tuple(blocks), cotangents)
    for made, wanted in zip(sums, expected, strict=True):
        np.testing.assert_array_equal(made, wanted)  # of whole numbers, so in any order
    np.testing.assert_array_equal(found, gradient)
    assert found.sharding.is_equivalent_to(split.sharding, 2)
