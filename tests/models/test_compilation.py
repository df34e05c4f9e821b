"""What a program costs to compile: few instructions, and no more of them for larger data."""

import functools
import re
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from jax.experimental.compilation_cache import compilation_cache

from mmssl_jax import config as configs
from mmssl_jax import data, models
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import sparse, training_pairs
from mmssl_jax.models import MODELS
from mmssl_jax.models.model import dot_scores
from mmssl_jax.ranking import full_ranking
from mmssl_jax.ranking.full_ranking import PAIRS_AT_A_TIME
from mmssl_jax.training import batches, session
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh
from mmssl_jax.training.step import lower_steps, train_step

INSTRUCTIONS = {"mmssl": 26_000}  # of one training call on the demo, fused ones counted each
OF_OTHERS = 12_000
SECONDS = 60  # of the processor, to compile it: five times what the largest takes
SETTINGS: dict[str, dict[str, float]] = {name: {} for name in MODELS} | {
    "hybrid, members": {"hybrid.members": 3, "hybrid.graph": 0.5}
}
LARGE, SMALLER = 1_000_000, 100_000  # items; binary searches over them differ by 3 rounds


def instructions(text: str) -> int:
    """The instructions in the text of a program, as lowered or as compiled."""
    return len(re.findall(r"^\s*(?:ROOT )?%[^\n]* = ", text, re.MULTILINE))


def lowered(name: str, dataset: Dataset) -> jax.stages.Lowered:
    """A training call of `SETTINGS` and else defaults, from shapes alone: no array is made."""
    config = configs.Config()
    config.model.name, config.data.path = name.partition(",")[0], "random"
    if dataset.num_items > 10_000:
        config.critic.hidden = 64  # the default is a quarter of the items
    config = models.resolve(configs.unflatten(configs.flatten(config) | SETTINGS[name]))
    built = {}

    def arrays(key):
        own = session.prepare(config, dataset)
        model, steps = own.model, own.steps_per_epoch
        transforms = states.optimisers(config, model, steps)
        built.update(model=model, transforms=transforms)
        tables = training_pairs.pair_tables(dataset.train)
        return states.init_state(model, transforms, key), (tables, model.inputs, key)

    state, constants = jax.eval_shape(arrays, jax.random.key(0))
    mesh = make_mesh(config.mesh)
    step = partial(train_step, **built, batch_size=config.train.batch_size, mesh=mesh)
    return lower_steps(step, state, constants, 3)


@functools.cache
def sparse_data(num_items: int) -> Dataset:
    """As many pairs as items, of users with many and with few."""
    rng = np.random.default_rng(0)
    users = np.minimum(rng.geometric(0.001, num_items), 20_000) - 1

    def split(users):
        pairs = users, rng.integers(num_items, size=len(users))
        values = np.ones(len(users), np.float32)
        matrix = scipy.sparse.csr_array((values, pairs), shape=(20_000, num_items))
        matrix.sum_duplicates()
        return matrix

    features = {name: rng.normal(size=(num_items, 4)).astype(np.float32) for name in "ab"}
    splits = split(users), split(users[:500]), split(users[:500])
    return Dataset("d", *splits, features, None, None, True, ())


@pytest.fixture(name="no_cache")
def _no_cache():
    """Compiles anew, whatever an earlier run has left."""
    used = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    yield
    jax.config.update("jax_enable_compilation_cache", used)
    compilation_cache.reset_cache()


@pytest.mark.usefixtures("no_cache")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_training_call_on_the_demo_compiles_within_its_budget(name):
    program = lowered(name, data.load(data.DEMO))
    started = time.process_time()
    compiled = program.compile()
    assert time.process_time() - started < SECONDS
    assert 20 < instructions(compiled.as_text()) < INSTRUCTIONS.get(name, OF_OTHERS)


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "ease"])
def test_the_program_of_a_training_call_does_not_grow_with_the_data(name):
    """But EASE's: it is dense, and of no use at these sizes."""
    count, small = (
        instructions(lowered(name, sparse_data(size)).as_text()) for size in (LARGE, SMALLER)
    )
    assert count == small > 5


def scattered_rows(text: str) -> list[int]:
    """Of every scatter of rows of floats in a lowered program, how many rows it adds."""
    scatter = r"\"stablehlo\.scatter\".*?\}\) : \((.*?)\) ->"
    updates = (m[1].rsplit("tensor<", 1)[1] for m in re.finditer(scatter, text, re.DOTALL))
    shapes = (shape.rstrip(">").split("x") for shape in updates)
    return [
        int(np.prod([int(n) for n in sizes[:-1]]))
        for *sizes, kind in shapes
        if kind.startswith("f") and len(sizes) > 1
    ]


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in ("lattice", "micro")])
def test_no_step_scatters_a_row_for_each_training_pair(name):
    """Additions in any order are slow on a GPU; graph products and their gradients have none.

    The graphs that LATTICE and MICRO learn have some, once an epoch.
    """
    dataset = data.load(data.DEMO)
    rows = scattered_rows(lowered(name, dataset).as_text())
    of_batch = training_pairs.max_training_pairs(dataset.train, 1024)
    assert rows or name in ("ease", "popularity")
    assert all(count <= of_batch < dataset.train.nnz for count in rows)


def test_on_a_gpu_a_graph_product_and_its_gradient_add_in_the_order_of_the_rows():
    graph = sparse.from_scipy(data.load(data.DEMO).train)

    def total(x):
        return jnp.sum(sparse.spmm(graph, x) ** 2)

    x = jnp.ones((graph.matrix.shape[1], 8))
    program = jax.jit(jax.grad(total)).trace(x).lower(lowering_platforms=("cuda",)).as_text()
    assert program.count('"stablehlo.scatter"') == 2
    ordered = re.findall(r'"stablehlo.scatter"[^\n]*indices_are_sorted = true', program)
    assert len(ordered) == 2


@pytest.mark.usefixtures("no_cache")
def test_sampling_compiles_within_its_budget_at_any_size():
    def program(pairs):
        int32 = partial(jax.ShapeDtypeStruct, dtype=jnp.int32)
        tables = training_pairs.PairTables(
            *map(int32, [(pairs,), (pairs,), (pairs,), (pairs,), ()])
        )
        sample = jax.jit(partial(batches.sample, batch_size=1024))
        return sample.lower(jax.random.key(0), tables)

    few, many = program(10_000), program(LARGE)
    assert instructions(few.as_text()) == instructions(many.as_text())
    started = time.process_time()
    assert 50 < instructions(many.compile().as_text()) < 4_000
    assert time.process_time() - started < SECONDS


def test_the_program_of_an_evaluation_does_not_grow_with_the_data():
    def program(num_items):
        def shape(*sizes, dtype=jnp.int32):
            return jax.ShapeDtypeStruct(sizes, dtype)

        pairs = num_items // PAIRS_AT_A_TIME * PAIRS_AT_A_TIME
        blocks = full_ranking.Block(
            users=shape(9, 1024),
            trained=shape(9, 1024, dtype=bool),
            masked=shape(9, pairs, 2),
            truth=shape(9, pairs, 2),
        )
        embeddings = shape(9000, 8, dtype=jnp.float32), shape(num_items, 8, dtype=jnp.float32)
        scores = shape(num_items, dtype=jnp.float32)
        return full_ranking._located.lower(embeddings, blocks, scores, score=dot_scores, longest=50)

    few, many = (instructions(program(size).as_text()) for size in (SMALLER, LARGE))
    assert many == few > 20
