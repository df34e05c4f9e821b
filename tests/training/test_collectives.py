"""What the steps of models exchange between devices, and gradients of tables that are split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from worlds import world

from benchmarks import collectives
from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.training import session
from mmssl_jax.training.devices import make_mesh

TRAINED = ("mmssl", "hybrid", "llmrec", "lattice", "micro", "lightgcn", "ngcf", "mf", "vbpr")
SETTINGS = {"mmssl": {"critic.hidden": 16, "mmssl.graph_items": 3}}


@pytest.mark.parametrize("name", TRAINED)
def test_no_step_has_a_reduce_scatter(name):
    """Where several processes compute on CPUs, XLA's gives wrong values (jax issue 40830)."""
    fixed = {"data.path": "random", "model.name": name, "train.batch_size": 16}
    fixed |= {"model.embedding_dim": 8, "model.layers": 1, "evaluation.cutoffs": (5, 20)}
    fixed |= {"mesh.data": 2, "mesh.model": 4}
    config = models.resolve(configs.unflatten(fixed | SETTINGS.get(name, {})))
    own, mesh = session.prepare(config, world()), make_mesh(config.mesh)
    state = own.initial_state(jax.random.key(0), mesh)
    text = own.compiled(state, own.constants(jax.random.key(1), mesh), 2, mesh).as_text()
    found = {each.kind for each in collectives.of_step(text, mesh.size, 1)}
    assert "all-reduce" in found
    assert "reduce-scatter" not in text


@pytest.mark.parametrize(("data", "model"), [(1, 8), (2, 4), (4, 2)])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_of_a_lookup_in_a_split_table(data, model, steps):
    """XLA has summed parts of such gradients in a wrong order (openxla/xla issue 42481).

    Several steps add up in a loop, as the critic's chunks do (openxla/xla issue 49143).
    """
    rng = np.random.default_rng(data)
    mesh = make_mesh(configs.Mesh(data=data, model=model))
    over = NamedSharding(mesh, PartitionSpec("model"))
    batch = NamedSharding(mesh, PartitionSpec(None, "data"))
    rows = rng.integers(40, size=(steps, 64)).astype(np.int32)  # many of them again and again
    weights = rng.integers(-8, 8, size=(steps, 64, 5)).astype(np.float32)  # sums are exact

    def total(table, rows, weights):
        return jnp.sum(table[rows] * weights)

    @jax.jit
    def gradient(table, rows, weights):
        def add(sums, part):
            return sums + jax.grad(total)(table, *part), None

        sums = jax.lax.scan(add, jnp.zeros_like(table), (rows, weights))[0]
        return jax.lax.with_sharding_constraint(sums, over)

    table = jax.device_put(np.zeros((40, 5), np.float32), over)
    found = gradient(table, jax.device_put(rows, batch), jax.device_put(weights, batch))
    expected = np.zeros((40, 5), np.float32)
    np.add.at(expected, rows, weights)
    assert found.sharding.is_equivalent_to(over, 2)
    np.testing.assert_array_equal(found, expected)
