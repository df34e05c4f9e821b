"""A graph whose rows are split over the devices of a mesh, with its product.

Each device has a block of consecutive rows of the matrix, and one of its transpose. It multiplies
its block with the whole of a dense matrix, and gathers the rows that the others have made.
"""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from mmssl_jax.errors import InputError
from mmssl_jax.graphs.host_graph import HostGraph, Rows
from mmssl_jax.graphs.sparse import Graph, row_product, sorted_bcoo


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RowBlocks:
    """The rows of a sparse matrix in one block for each device, padded to equal sizes.

    Padding edges weigh 0 and are in the last row of their block; padding rows have no edge.
    """

    weights: Any  # float32 [blocks, edges]; Any, as jax fills the fields with placeholders
    indices: Any  # int32 [blocks, edges, 2]: row within the block, column
    starts: Any  # int32 [blocks, rows of a block + 1]
    places: Any  # int32 [rows]: where a row is among those of all blocks
    columns: int = dataclasses.field(metadata={"static": True})
    mesh: Mesh = dataclasses.field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.places), self.columns

    def times(self, x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
        """The product with a dense matrix, whole on every device."""
        axes, block = self.mesh.axis_names, PartitionSpec(self.mesh.axis_names)
        shape = self.starts.shape[1] - 1, self.columns

        def own(weights: Array, indices: Array, starts: Array, places: Array, x: Array) -> Array:
            matrix = sorted_bcoo(weights[0], indices[0], shape, unique=False)
            made: Array = jax.lax.all_gather(row_product(matrix, starts[0], x), axes, tiled=True)
            return made[places]

        # Unchecked: jax cannot see that what is gathered is the same on every device.
        product: Array = jax.shard_map(
            own,
            mesh=self.mesh,
            in_specs=(block, block, block, PartitionSpec(), PartitionSpec()),
            out_specs=PartitionSpec(),
            check_vma=False,
        )(self.weights, self.indices, self.starts, self.places, x)
        return product


def split(tree: Any, mesh: Mesh) -> Any:
    """A pytree whose host graphs are split over all devices of a mesh.

    Each process makes the rows of its own devices alone.

    Raises:
      InputError: a device's block of a graph has more edges than int32 can count.
    """

    def of(leaf: Any) -> Any:
        if not isinstance(leaf, HostGraph):
            return leaf
        rows = _row_blocks(leaf.rows, mesh)
        symmetric = leaf.columns is leaf.rows  # then one copy is enough
        return Graph(rows, rows if symmetric else _row_blocks(leaf.columns, mesh))

    return jax.tree.map(of, tree, is_leaf=lambda leaf: isinstance(leaf, HostGraph))


def whole(tree: Any, mesh: Mesh) -> Any:
    """A pytree whose host graphs are whole on each device of a mesh, without their transposes.

    So products with them have no gradient.

    Raises:
      InputError: a graph has more edges than int32 can count.
    """
    everywhere = NamedSharding(mesh, PartitionSpec())

    def placed(array: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(array.shape, everywhere, lambda index: array[index])

    def of(leaf: Any) -> Any:
        if not isinstance(leaf, HostGraph):
            return leaf
        made = leaf.whole_rows()
        starts = made.indptr.astype(np.int32)
        rows = np.repeat(np.arange(made.shape[0], dtype=np.int32), np.diff(starts))
        indices = np.stack([rows, made.indices.astype(np.int32)], axis=1)
        matrix = sorted_bcoo(placed(made.data), placed(indices), made.shape)
        return Graph(matrix, None, placed(starts), mesh=mesh)

    return jax.tree.map(of, tree, is_leaf=lambda leaf: isinstance(leaf, HostGraph))


def cuts(starts: np.ndarray, blocks: int) -> np.ndarray:
    """Where blocks of about equal work begin and end: int64 [blocks + 1].

    A row costs its edges and as much as a mean row's besides, so that no block has more than about
    twice its share of either, but for the edges of one row, which is never cut.

    Args:
      starts: int [rows + 1], where the edges of each row begin.
      blocks: how many.
    """
    rows, edges = len(starts) - 1, int(starts[-1])
    work = starts.astype(np.float64) + np.arange(rows + 1) * (max(edges, 1) / rows)
    inner = np.searchsorted(work, work[-1] * np.arange(1, blocks) / blocks)
    return np.concatenate([[0], inner, [rows]])


def _row_blocks(matrix: Rows, mesh: Mesh) -> RowBlocks:
    bounds = cuts(matrix.starts, mesh.size)
    rows = int(np.max(np.diff(bounds)))
    edges = max(int(np.max(np.diff(matrix.starts[bounds]))), 1)
    if max(edges, mesh.size * rows) >= 2**31:
        raise InputError(
            f"a graph of shape {matrix.shape} has {edges} edges on one of {mesh.size} devices, "
            "which exceeds int32; use more devices"
        )

    @functools.cache  # three arrays are made of a block
    def block(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, last = map(int, bounds[number : number + 2])
        made = matrix.block(first, last)
        weights = np.zeros(edges, np.float32)
        weights[: made.nnz] = made.data
        places = np.zeros((edges, 2), np.int32)
        places[:, 0] = rows - 1
        places[: made.nnz, 0] = np.repeat(np.arange(last - first), np.diff(made.indptr))
        places[: made.nnz, 1] = made.indices
        own = np.full(rows + 1, made.nnz, np.int32)
        own[: last - first] = made.indptr[:-1]
        own[-1] = edges
        return weights, places, own

    def placed(part: int, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        def own(index: Any) -> np.ndarray:
            return block(index[0].start or 0)[part][None]

        sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        return jax.make_array_from_callback(shape, sharding, own, dtype=dtype)

    of_block = np.repeat(np.arange(mesh.size), np.diff(bounds))
    row_places = (np.arange(bounds[-1]) - bounds[of_block] + of_block * rows).astype(np.int32)
    whole = NamedSharding(mesh, PartitionSpec())
    return RowBlocks(
        placed(0, (mesh.size, edges), np.float32),
        placed(1, (mesh.size, edges, 2), np.int32),
        placed(2, (mesh.size, rows + 1), np.int32),
        jax.make_array_from_callback(row_places.shape, whole, lambda index: row_places[index]),
        matrix.shape[1],
        mesh,
    )
