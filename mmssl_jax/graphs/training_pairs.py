"""The training pairs on the device: the tables of all, and those of a batch of users."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Int

from mmssl_jax.errors import InputError


class TrainingPairs(NamedTuple):
    """The training pairs of a batch as (row in the batch, item), sorted, padded to a fixed length.

    Padding has the row `batch`, which is out of range: a scatter or segment sum drops it.
    """

    rows: Int[Array, "pairs"]
    items: Int[Array, "pairs"]
    valid: Bool[Array, "pairs"]


class PairTables(NamedTuple):
    """The training matrix in rows, on the device, and the users that can be sampled."""

    users: Int[Array, "sampled"]  # with an item in their training pairs, and one outside
    starts: Int[Array, "users"]  # where a user's items start in `items`
    degrees: Int[Array, "users"]
    items: Int[Array, "pairs"]  # ascending within a user
    num_items: Int[Array, ""]


def pair_tables(train: scipy.sparse.csr_array) -> PairTables:
    """The tables of a training matrix [users, items] with sorted, unique indices.

    Raises:
      InputError: no user has an item in the training pairs and one outside them, or the training
        pairs exceed int32.
    """
    if train.nnz >= 2**31:
        raise InputError(f"{train.nnz} training pairs exceed int32, the most that is supported")
    degrees = np.diff(train.indptr)
    users = np.flatnonzero((degrees > 0) & (degrees < train.shape[1]))
    if not len(users):
        raise InputError(
            "no user has both a training pair and an item outside the training pairs: "
            "there is nothing to learn"
        )
    return PairTables(
        users=jnp.asarray(users, jnp.int32),
        starts=jnp.asarray(train.indptr[:-1], jnp.int32),
        degrees=jnp.asarray(degrees, jnp.int32),
        items=jnp.asarray(train.indices, jnp.int32),
        num_items=jnp.asarray(train.shape[1], jnp.int32),
    )


def training_pairs_of(
    tables: PairTables, users: Int[Array, "batch"], max_pairs: int
) -> TrainingPairs:
    """The training pairs of these users; `max_pairs` is from `max_training_pairs`."""
    degrees = tables.degrees[users]
    ends = jnp.cumsum(degrees)
    position = jnp.arange(max_pairs, dtype=jnp.int32)
    rows = jnp.searchsorted(ends, position, side="right").astype(jnp.int32)
    valid = position < ends[-1]
    row = jnp.minimum(rows, users.shape[0] - 1)
    source = tables.starts[users[row]] + position - (ends[row] - degrees[row])
    items = jnp.where(valid, tables.items[jnp.where(valid, source, 0)], 0)
    return TrainingPairs(rows, items, valid)


def training_mask(pairs: TrainingPairs, rows: int, num_items: int) -> Bool[Array, "rows items"]:
    """`A[u]` of a batch of users, dense."""
    mask = jnp.zeros((rows, num_items), bool)
    return mask.at[pairs.rows, pairs.items].set(True, mode="drop")


def max_training_pairs(train: scipy.sparse.csr_array, users: int, distinct: bool = True) -> int:
    """The most training pairs that so many users can have: the length of their `TrainingPairs`."""
    degrees = np.sort(np.diff(train.indptr).astype(np.int64))[::-1]
    most = degrees[:users].sum() if distinct else degrees[0] * users
    if most >= 2**31:
        raise InputError(
            f"a batch or block of {users} users can have {most} training pairs, which exceeds "
            "int32; choose a smaller train.batch_size or evaluation.user_block"
        )
    return max(int(most), 1)
