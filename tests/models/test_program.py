"""What the compiled programs hold: no array that grows with users x items or batch x items."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import dot_scores
from mmssl_jax.ranking import full_ranking
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh, place
from mmssl_jax.training.step import compile_steps, train_step

USERS, ITEMS, BATCH, BLOCK = 1511, 1201, 37, 97  # no number is a multiple of another


def shapes(text: str) -> set[tuple[int, ...]]:
    """The shapes of all arrays in a compiled program's text."""
    return {
        tuple(int(size) for size in found.split(","))
        for found in re.findall(r"\b(?:f32|f64|pred|s32|u32|bf16)\[([0-9,]+)\]", text)
    }


def holds(found: set[tuple[int, ...]], first: int, second: int) -> set[tuple[int, ...]]:
    """The shapes that have both sizes, or are as large."""
    return {
        shape
        for shape in found
        if {first, second} <= set(shape) or np.prod(shape, dtype=float) >= first * second
    }


def dataset() -> Dataset:
    rng = np.random.default_rng(0)

    def split(pairs):
        index = rng.integers((USERS, ITEMS), size=(pairs, 2)).T
        matrix = scipy.sparse.csr_array((np.ones(pairs, np.float32), index), (USERS, ITEMS))
        matrix.sum_duplicates()
        return matrix

    features = {"image": rng.normal(size=(ITEMS, 11)).astype(np.float32)}
    return Dataset("d", split(4000), split(900), split(900), features, None, None, True, ())


@pytest.mark.parametrize("item_block", [0, BLOCK])
def test_training_holds_no_users_by_items_and_with_blocks_no_batch_by_items(item_block):
    config = configs.Config()
    config.data.path, config.model.variant = "random", "paper"  # with the rebuild of the graphs
    config.model.embedding_dim, config.critic.hidden = 8, 16
    config.train.batch_size, config.critic.item_block = BATCH, item_block
    config = models.resolve(config)
    data = dataset()
    model = mmssl.build(config, data, steps_per_epoch=3)
    transforms = states.optimisers(config, model, 3)
    mesh = make_mesh(config.mesh)
    state = place(states.init_state(model, transforms, jax.random.key(0)), mesh)
    constants = (training_pairs.pair_tables(data.train), model.inputs, jax.random.key(1))
    constants = place(constants, mesh)
    step = partial(train_step, model=model, transforms=transforms, batch_size=BATCH, mesh=mesh)
    found = shapes(compile_steps(step, state, constants, 3).as_text())
    assert (USERS, 8) in found, "the shapes are read from the text"
    assert not holds(found, USERS, ITEMS)
    with_batch = {shape for shape in found if {BATCH, ITEMS} <= set(shape)}
    assert bool(with_batch) == (item_block == 0)


def test_evaluation_holds_no_users_by_items():
    data = dataset()
    task = full_ranking.ranking_task(data.train, data.test, user_block=53)
    embeddings = jnp.ones((USERS, 8)), jnp.ones((ITEMS, 8))
    tables = task.blocks, task.fallback_scores
    program = full_ranking._located.lower(
        embeddings, *tables, score=dot_scores, longest=20
    ).compile()
    found = shapes(program.as_text())
    assert (53, ITEMS) in found, "the shapes are read from the text"
    assert not holds(found, len(task.users), ITEMS)
    assert not holds(found, USERS, ITEMS)
