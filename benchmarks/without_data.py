"""Steps of LightGCN and MMSSL, compiled for data of any size that need not be there.

Shapes are enough. Blocks of the graphs, and the training pairs of the heaviest batch, are as many
as they are planned.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmssl_jax.adversarial import critic as critics
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.interaction_graph import BipartiteGraphs
from mmssl_jax.graphs.sparse import Graph, sorted_bcoo
from mmssl_jax.graphs.split_graph import RowBlocks
from mmssl_jax.graphs.training_pairs import PairTables
from mmssl_jax.models import Model, cf, lightgcn, mmssl
from mmssl_jax.models.mmssl.generator import Inputs
from mmssl_jax.models.model import Adam
from mmssl_jax.planning import Plan
from mmssl_jax.planning import sizes as of
from mmssl_jax.planning.critic import hidden
from mmssl_jax.planning.sizes import Blocks, Sizes
from mmssl_jax.training import devices
from mmssl_jax.training import state as states
from mmssl_jax.training.step import lower_steps, train_step


def compiled(plan: Plan) -> jax.stages.Compiled:
    """The program of the steps of a training that is planned."""
    devices.compute_in_float32()
    config, sizes = plan.config, plan.sizes
    mesh = devices.make_mesh(config.mesh)
    model = (_lightgcn if config.model.name == "lightgcn" else _mmssl)(config, sizes, mesh)
    transforms = states.optimisers(config, model, plan.steps)
    key = jax.random.key(0)
    shapes = jax.eval_shape(partial(states.init_state, model, transforms), key)
    state = devices.placed_shapes(shapes, mesh)
    drawn_from = _tables(sizes, mesh)
    constants = drawn_from, model.inputs, _array(mesh, key.shape, key.dtype)
    batch = config.train.batch_size
    options = {"transforms": transforms, "batch_size": batch, "mesh": mesh}
    step = partial(train_step, model=model, by_cipher=bool(config.train.fanout), **options)
    return lower_steps(step, state, constants, 2).compile()


def _lightgcn(config: Config, sizes: Sizes, mesh: Mesh) -> Model:
    if config.train.fanout:
        graph = _whole(sizes.nodes, 2 * sizes.pairs, mesh)
        around = lightgcn.around
        return cf.build(config, _dataset(sizes), lightgcn.BACKBONE, graph, around=around)
    blocks = of.joint(sizes.users, sizes.items, sizes.pairs, mesh.size)
    matrix = _row_blocks(blocks, sizes.nodes, sizes.nodes, mesh)
    return cf.build(config, _dataset(sizes), lightgcn.BACKBONE, Graph(matrix, matrix))


def _mmssl(config: Config, sizes: Sizes, mesh: Mesh) -> Model:
    """As `mmssl.build`, with no modality graphs or those of the training pairs."""
    shape = sizes.users, sizes.items
    by_users = _row_blocks(of.one_sided(*shape, sizes.pairs, mesh.size), *shape, mesh)
    shape = sizes.items, sizes.users
    by_items = _row_blocks(of.one_sided(*shape, sizes.pairs, mesh.size), *shape, mesh)
    rows = PartitionSpec("model", None)
    features = {
        name: _array(mesh, (sizes.items, width), jnp.float32, rows)
        for name, width in sizes.widths.items()
    }
    graphs = BipartiteGraphs(Graph(by_users, by_items), Graph(by_items, by_users))
    inputs = Inputs(graphs, features, _tables(sizes, mesh), {})
    own = config.critic
    critic = critics.Critic(sizes.items, hidden(config, sizes), own.slope, precision=own.precision)
    pairs = of.heaviest_batch(sizes, config.train.batch_size)
    parts = mmssl.Parts(config, _dataset(sizes), critic, pairs, critics, None)
    players = {"generator": partial(mmssl.generator_loss, parts)}
    if parts.adversarial:
        players = {"critic": partial(mmssl.critic_loss, parts)} | players
    return Model(
        inputs,
        partial(mmssl.init, parts),
        players,
        partial(mmssl.embed, parts),
        held={},
        optimisers={"critic": Adam(own.learning_rate, own.beta1, own.beta2)},
    )


def _dataset(sizes: Sizes) -> Dataset:
    """A data set of these sizes with no pair, whose features take no memory."""
    none = scipy.sparse.csr_array((sizes.users, sizes.items), dtype=np.float32)
    zero = np.zeros((), np.float32)
    features = {
        name: np.broadcast_to(zero, (sizes.items, width)) for name, width in sizes.widths.items()
    }
    return Dataset("SHAPES", none, none, none, features, None, None, synthetic=True, warnings=())


def _tables(sizes: Sizes, mesh: Mesh) -> PairTables:
    users = _array(mesh, (sizes.users,), jnp.int32)
    items = _array(mesh, (sizes.pairs,), jnp.int32, PartitionSpec("model"))
    return PairTables(users, users, users, items, _array(mesh, (), jnp.int32))


def _whole(nodes: int, edges: int, mesh: Mesh) -> Graph:
    """As `split_graph.whole` makes it."""

    def graph(weights: jax.Array, indices: jax.Array, starts: jax.Array) -> Graph:
        return Graph(sorted_bcoo(weights, indices, (nodes, nodes)), None, starts, mesh=mesh)

    kinds = {(edges,): jnp.float32, (edges, 2): jnp.int32, (nodes + 1,): jnp.int32}
    shapes = jax.eval_shape(graph, *(jax.ShapeDtypeStruct(*kind) for kind in kinds.items()))
    return devices.placed_shapes(shapes, mesh)


def _row_blocks(blocks: Blocks, rows: int, columns: int, mesh: Mesh) -> RowBlocks:
    count, edges = int(blocks.rows), int(blocks.edges)
    over = PartitionSpec(mesh.axis_names)
    return RowBlocks(
        _array(mesh, (mesh.size, edges), jnp.float32, over),
        _array(mesh, (mesh.size, edges, 2), jnp.int32, over),
        _array(mesh, (mesh.size, count + 1), jnp.int32, over),
        _array(mesh, (rows,), jnp.int32),
        columns,
        mesh,
    )


def _array(
    mesh: Mesh, shape: tuple[int, ...], dtype: Any, over: PartitionSpec | None = None
) -> jax.ShapeDtypeStruct:
    place = NamedSharding(mesh, over or PartitionSpec())
    return jax.ShapeDtypeStruct(shape, dtype, sharding=place)
