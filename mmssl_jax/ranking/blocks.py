"""The users of a split in blocks with their pairs, on the devices that rank them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Int
from scipy.sparse import csr_array


class Block(NamedTuple):
    """The users to rank, in blocks, with their pairs as (row in the block, item).

    Padding pairs have a row out of range, which a scatter drops; padding users are 0.
    """

    users: Int[Array, "blocks block"]
    trained: Bool[Array, "blocks block"]  # whether the model's scores are used, not the fallback's
    masked: Int[Array, "blocks masked_pairs 2"]
    truth: Int[Array, "blocks truth_pairs 2"]


class PairBlocks(NamedTuple):
    """The pairs of users in blocks, of which any blocks can be made: int32 [blocks, pairs, 2].

    There is room for the pairs of the widest block.
    """

    matrix: csr_array  # [users, items]
    users: np.ndarray  # int [blocks, block], filled up with users that have no pairs here
    real: int  # how many users there are before those that fill up
    room: int

    def make(self, first: int, end: int) -> np.ndarray:
        """The blocks from `first` up to but not `end`."""
        size = self.users.shape[1]
        chosen = self.matrix[self.users[first:end].ravel()[: max(self.real - first * size, 0)]]
        block, row = np.divmod(chosen.tocoo().row, size)
        start = np.searchsorted(block, np.arange(end - first))
        pairs = np.full((end - first, self.room, 2), size, np.int32)
        pairs[block, np.arange(len(block)) - start[block]] = np.stack([row, chosen.indices], axis=1)
        return pairs


def pair_blocks(matrix: csr_array, users: np.ndarray, real: int, multiple: int = 1) -> PairBlocks:
    """The pairs of these users, of which the first `real` count; room up to the next multiple."""
    sizes = np.diff(matrix.indptr)[users.ravel()]
    sizes[real:] = 0
    widest = sizes.reshape(users.shape).sum(axis=1).max(initial=0)
    return PairBlocks(matrix, users, real, -(-max(int(widest), 1) // multiple) * multiple)


def placed(mesh: Mesh | None, count: int, make: Callable[[int, int], np.ndarray]) -> Array:
    """`count` blocks on the device, or split over those of a mesh, each process making its own.

    Args:
      mesh: None for jax's default device.
      count: how many there are, a multiple of the devices.
      make: (first, end) -> these blocks.
    """
    if mesh is None:
        return jnp.asarray(make(0, count))
    rows = NamedSharding(mesh, PartitionSpec(mesh.axis_names))

    def own(index: Any) -> np.ndarray:
        first, end, _ = index[0].indices(count)
        return make(first, end)

    return jax.make_array_from_callback((count, *make(0, 0).shape[1:]), rows, own)
