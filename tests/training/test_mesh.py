"""The same program on one device and on eight."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import world

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import training_pairs
from mmssl_jax.runs import checkpoints as checkpoint
from mmssl_jax.training import selection
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh, place
from mmssl_jax.training.step import compile_steps, train_step

STEPS = 4


SETTINGS: dict[str, dict[str, Any]] = {
    "mmssl": {"critic.hidden": 16, "mmssl.graph_items": 3},
    "hybrid": {"hybrid.members": 2, "hybrid.graph": 0.5, "hybrid.neighbors": 5},
    "lightgcn": {"train.fanout": (3, 2, 2)},
}


class Ran(NamedTuple):
    """A few steps on a mesh."""

    terms: dict[str, np.ndarray]  # the losses
    state: states.TrainState  # after them
    inputs: Any
    program: jax.stages.Compiled
    scores: np.ndarray  # [users, items]


def run(data: int, model_axis: int, name: str = "mmssl") -> Ran:
    config = configs.Config()
    config.data.path, config.model.name = "random", name
    config.mesh.data, config.mesh.model = data, model_axis
    config.train.batch_size, config.model.embedding_dim = 16, 8
    config = models.resolve(configs.unflatten(configs.flatten(config) | SETTINGS[name]))
    dataset = world()
    model = models.defined(config).build(config, dataset, STEPS)
    transforms = states.optimisers(config, model, STEPS)
    mesh = make_mesh(config.mesh)
    state = place(states.init_state(model, transforms, jax.random.key(0)), mesh)
    constants = (training_pairs.pair_tables(dataset.train), model.inputs, jax.random.key(1))
    constants = place(constants, mesh)
    by_cipher = bool(config.train.fanout)
    options = {"transforms": transforms, "batch_size": 16, "mesh": mesh, "by_cipher": by_cipher}
    step = partial(train_step, model=model, **options)
    program = compile_steps(step, state, constants, STEPS)
    state, terms = program(state, constants, jnp.asarray(STEPS, jnp.int32))
    representation = jax.jit(model.embed)(state.params, constants[1], state.held)
    scores = jax.jit(model.score)(representation, jnp.arange(dataset.num_users))
    return Ran(jax.tree.map(np.asarray, terms), state, constants[1], program, np.asarray(scores))


def split_tables(ran: Ran) -> list[jax.Array]:
    """What has a row for every user or item: of parameters, of a moment, of what is held."""
    state = ran.state
    if "critic" in state.params:
        kernel = state.params["critic"]["dense0"]["kernel"]
        generator, moments = state.params["generator"], state.optimiser_states["generator"][0].mu
        names = ("user_embedding", "item_embedding")
        return [kernel, *(part[name] for part in (generator, moments) for name in names)]
    moments = [state.optimiser_states[player][0].mu for player in state.params]
    if not state.held:
        return jax.tree.leaves((state.params, moments))
    return jax.tree.leaves(
        (state.params, moments, state.held.average, ran.inputs.content.neighbors)
    )


@pytest.fixture(scope="module", params=SETTINGS)
def single(request):
    return request.param, run(1, 1, request.param)


@pytest.mark.parametrize(("data", "model_axis"), [(2, 4), (1, 8)])
def test_eight_devices_give_the_losses_of_one(single, data, model_axis):
    name, alone = single
    ran = run(data, model_axis, name)
    assert ran.terms.keys() == alone.terms.keys()
    for name, values in ran.terms.items():
        np.testing.assert_allclose(values, alone.terms[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(ran.scores, alone.scores, rtol=1e-4, atol=1e-5)
    memory, memory_alone = (each.program.memory_analysis() for each in (ran, alone))
    assert memory.argument_size_in_bytes < memory_alone.argument_size_in_bytes
    for table in split_tables(ran):
        assert table.addressable_shards[0].data.nbytes * model_axis == table.nbytes


def test_a_checkpoint_of_eight_devices_is_restored_on_one_and_back(single, tmp_path):
    name, before = single
    ran = run(2, 4, name)
    spread, table = ran.state, split_tables(ran)[0]
    assert len(table.sharding.device_set) == 8
    assert not table.is_fully_replicated
    with checkpoint.Checkpoints(tmp_path / "a", selection.rank) as checkpoints:
        checkpoints.save(1, spread, 0.5, {})
        alone = checkpoints.restore(1, before.state)
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
