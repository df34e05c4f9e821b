"""LightGCN's step, compiled for data of any size that need not be there: shapes are enough."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import scipy.sparse
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.sparse import Graph
from mmssl_jax.graphs.split_graph import RowBlocks
from mmssl_jax.graphs.training_pairs import PairTables
from mmssl_jax.models import cf, lightgcn
from mmssl_jax.planning import Data
from mmssl_jax.planning.sizes import Blocks
from mmssl_jax.training import devices
from mmssl_jax.training import state as states
from mmssl_jax.training.step import lower_steps, train_step


def compiled(config: Config, data: Data, blocks: Blocks) -> jax.stages.Compiled:
    """The program of the steps of a training.

    Args:
      config: resolved, of LightGCN.
      data: the sizes.
      blocks: the sizes of the blocks of the graph, as there is none to be cut.
    """
    devices.compute_in_float32()
    mesh = devices.make_mesh(config.mesh)
    graph = Graph(_row_blocks(data, blocks, mesh), _row_blocks(data, blocks, mesh))
    none = scipy.sparse.csr_array((data.users, data.items), dtype="float32")
    dataset = Dataset("SHAPES", none, none, none, {}, None, None, synthetic=True, warnings=())
    model = cf.build(config, dataset, lightgcn.BACKBONE, graph)
    transforms = states.optimisers(config, model, data.pairs // config.train.batch_size + 1)
    init = partial(states.init_state, model, transforms)
    users = _array((data.users,), jnp.int32, mesh)
    tables = PairTables(
        users, users, users, _array((data.pairs,), jnp.int32, mesh), _array((), jnp.int32, mesh)
    )
    key = jax.random.key(0)
    constants = tables, graph, _array(key.shape, key.dtype, mesh)
    step = partial(
        train_step,
        model=model,
        transforms=transforms,
        batch_size=config.train.batch_size,
        mesh=mesh,
    )
    return lower_steps(step, _placed(jax.eval_shape(init, key), mesh), constants, 2).compile()


def _placed(shapes: Any, mesh: Mesh) -> Any:
    """Shapes with the places that training gives their arrays."""
    return jax.tree.map(
        lambda shape, place: jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=place),
        shapes,
        devices.shardings(shapes, mesh),
    )


def _row_blocks(data: Data, blocks: Blocks, mesh: Mesh) -> RowBlocks:
    nodes, rows, edges = data.users + data.items, int(blocks.rows), int(blocks.edges)
    over = PartitionSpec(mesh.axis_names)
    return RowBlocks(
        _array((mesh.size, edges), jnp.float32, mesh, over),
        _array((mesh.size, edges, 2), jnp.int32, mesh, over),
        _array((mesh.size, rows + 1), jnp.int32, mesh, over),
        _array((nodes,), jnp.int32, mesh),
        nodes,
        mesh,
    )


def _array(
    shape: tuple[int, ...], dtype: Any, mesh: Mesh, over: PartitionSpec | None = None
) -> jax.ShapeDtypeStruct:
    place = NamedSharding(mesh, over or PartitionSpec())
    return jax.ShapeDtypeStruct(shape, dtype, sharding=place)
