"""The same program on one device and on eight."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import world

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import mmssl
from mmssl_jax.runs import checkpoints as checkpoint
from mmssl_jax.training import selection
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh, place
from mmssl_jax.training.step import compile_steps, train_step

STEPS = 4


def run(data: int, model_axis: int, variant: str = "released"):
    """The losses of a few steps on a mesh, the state after them, and the compiled program."""
    config = configs.Config()
    config.data.path, config.model.variant = "random", variant
    config.mesh.data, config.mesh.model = data, model_axis
    config.train.batch_size, config.model.embedding_dim, config.critic.hidden = 16, 8, 16
    config.mmssl.graph_items = 3
    config = models.resolve(config)
    dataset = world()
    model = mmssl.build(config, dataset, steps_per_epoch=STEPS)
    transforms = states.optimisers(config, model, STEPS)
    mesh = make_mesh(config.mesh)
    state = place(states.init_state(model, transforms, jax.random.key(0)), mesh)
    constants = (training_pairs.pair_tables(dataset.train), model.inputs, jax.random.key(1))
    constants = place(constants, mesh)
    step = partial(train_step, model=model, transforms=transforms, batch_size=16, mesh=mesh)
    program = compile_steps(step, state, constants, STEPS)
    state, terms = program(state, constants, jnp.asarray(STEPS, jnp.int32))
    return jax.tree.map(np.asarray, terms), state, program


def embeddings(state):
    """The embedding tables and one of their moments."""
    generator, moments = state.params["generator"], state.optimiser_states["generator"][0].mu
    names = ("user_embedding", "item_embedding")
    return [part[name] for part in (generator, moments) for name in names]


@pytest.fixture(scope="module")
def single():
    return run(1, 1)


@pytest.mark.parametrize(("data", "model_axis"), [(2, 4), (1, 8)])
def test_eight_devices_give_the_losses_of_one(single, data, model_axis):
    terms, state, program = run(data, model_axis)
    assert terms.keys() == single[0].keys()
    for name, values in terms.items():
        np.testing.assert_allclose(values, single[0][name], rtol=1e-5, err_msg=name)
    memory, alone = program.memory_analysis(), single[2].memory_analysis()
    assert memory.argument_size_in_bytes < alone.argument_size_in_bytes
    for table in (state.params["critic"]["dense0"]["kernel"], *embeddings(state)):
        assert table.addressable_shards[0].data.nbytes * model_axis == table.nbytes


def test_a_checkpoint_of_eight_devices_is_restored_on_one_and_back(single, tmp_path):
    _, spread, _ = run(2, 4)
    kernel = spread.params["critic"]["dense0"]["kernel"]
    assert len(kernel.sharding.device_set) == 8
    assert not kernel.is_fully_replicated
    with checkpoint.Checkpoints(tmp_path / "a", selection.rank) as checkpoints:
        checkpoints.save(1, spread, 0.5, {})
        alone = checkpoints.restore(1, single[1])
    with checkpoint.Checkpoints(tmp_path / "b", selection.rank) as checkpoints:
        checkpoints.save(1, alone, 0.5, {})
        back = checkpoints.restore(1, spread)
    assert len(jax.tree.leaves(alone)[0].sharding.device_set) == 1
    for first, second, third in zip(*map(jax.tree.leaves, (spread, alone, back)), strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, third)
        assert third.sharding == first.sharding


def test_more_devices_than_there_are_is_refused():
    mesh = configs.Mesh(data=3, model=3)
    with pytest.raises(InputError, match=r"3 x 3 devices, but there are 8"):
        make_mesh(mesh)
