"""Sampling of training batches on the device: exact, without rejection, in int32 throughout."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from mmssl_jax.errors import InputError


class Batch(NamedTuple):
    """One user, one of the user's training items and one item the user has not seen, per row."""

    users: Int[Array, "batch"]
    positives: Int[Array, "batch"]
    negatives: Int[Array, "batch"]


class SeenPairs(NamedTuple):
    """The training pairs of a batch as (row in the batch, item), sorted, padded to a fixed length.

    Padding has the row `batch`, which is out of range: a scatter or segment sum drops it.
    """

    rows: Int[Array, "pairs"]
    items: Int[Array, "pairs"]
    valid: Bool[Array, "pairs"]


class SamplingTables(NamedTuple):
    """The training matrix in rows, on the device, with the users that can be sampled."""

    users: Int[Array, "sampled"]  # with a training item, and an item not seen
    starts: Int[Array, "users"]  # where a user's items start in `items`
    degrees: Int[Array, "users"]
    items: Int[Array, "pairs"]  # ascending within a user
    num_items: Int[Array, ""]


def sampling_tables(train: scipy.sparse.csr_array) -> SamplingTables:
    """The tables of a training matrix [users, items] with sorted, unique indices.

    Raises:
      InputError: no user has both a training item and an unseen item, or the training pairs
        exceed int32.
    """
    if train.nnz >= 2**31:
        raise InputError(f"{train.nnz} training pairs exceed int32, the most that is supported")
    degrees = np.diff(train.indptr)
    users = np.flatnonzero((degrees > 0) & (degrees < train.shape[1]))
    if not len(users):
        raise InputError("no user has both a training item and an unseen item: nothing to learn")
    return SamplingTables(
        users=jnp.asarray(users, jnp.int32),
        starts=jnp.asarray(train.indptr[:-1], jnp.int32),
        degrees=jnp.asarray(degrees, jnp.int32),
        items=jnp.asarray(train.indices, jnp.int32),
        num_items=jnp.asarray(train.shape[1], jnp.int32),
    )


def sample(key: PRNGKeyArray, tables: SamplingTables, batch_size: int) -> Batch:
    """Draws distinct users (with replacement only if there are too few), and an item pair each.

    The positive is uniform over the user's training items, the negative uniform over all others.
    """
    user_key, positive_key, negative_key = jax.random.split(key, 3)
    count = tables.users.shape[0]
    if batch_size <= count:
        chosen = jax.random.permutation(user_key, count)[:batch_size]
    else:
        chosen = jax.random.randint(user_key, (batch_size,), 0, count)
    users = tables.users[chosen]
    starts, degrees = tables.starts[users], tables.degrees[users]
    positives = tables.items[starts + jax.random.randint(positive_key, users.shape, 0, degrees)]
    rank = jax.random.randint(negative_key, users.shape, 0, tables.num_items - degrees)
    return Batch(users, positives, _unseen(tables.items, starts, degrees, rank))


def _unseen(
    items: Int[Array, "pairs"],
    starts: Int[Array, "batch"],
    degrees: Int[Array, "batch"],
    rank: Int[Array, "batch"],
) -> Int[Array, "batch"]:
    """The `rank`-th item (from 0) that a user has not seen.

    The user's sorted items s_0 < s_1 < ... leave s_j - j unseen items before s_j, so the answer is
    `rank` plus the number of j with s_j - j <= rank, found by binary search.
    """

    def halve(_: Array, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds
        searching = low < high
        middle = (low + high) // 2
        passed = items[starts + middle] - middle <= rank
        low = jnp.where(searching & passed, middle + 1, low)
        return low, jnp.where(searching & ~passed, middle, high)

    # A loop of the device: unrolled, some versions of XLA fuse it into 2^rounds gathers.
    rounds = max(items.shape[0], 1).bit_length()
    bounds = (jnp.zeros_like(degrees), degrees)
    low: Array = jax.lax.fori_loop(0, rounds, halve, bounds)[0]
    return rank + low


def seen_pairs(tables: SamplingTables, users: Int[Array, "batch"], max_pairs: int) -> SeenPairs:
    """The training pairs of these users; `max_pairs` is from `max_seen_pairs`."""
    degrees = tables.degrees[users]
    ends = jnp.cumsum(degrees)
    position = jnp.arange(max_pairs, dtype=jnp.int32)
    rows = jnp.searchsorted(ends, position, side="right").astype(jnp.int32)
    valid = position < ends[-1]
    row = jnp.minimum(rows, users.shape[0] - 1)
    source = tables.starts[users[row]] + position - (ends[row] - degrees[row])
    items = jnp.where(valid, tables.items[jnp.where(valid, source, 0)], 0)
    return SeenPairs(rows, items, valid)


def seen_mask(pairs: SeenPairs, rows: int, num_items: int) -> Bool[Array, "rows items"]:
    """`A[u]` of a batch of users, dense."""
    mask = jnp.zeros((rows, num_items), bool)
    return mask.at[pairs.rows, pairs.items].set(True, mode="drop")


def max_seen_pairs(train: scipy.sparse.csr_array, users: int, distinct: bool = True) -> int:
    """The most training pairs that so many users can have: the length of their `SeenPairs`."""
    degrees = np.sort(np.diff(train.indptr).astype(np.int64))[::-1]
    most = degrees[:users].sum() if distinct else degrees[0] * users
    if most >= 2**31:
        raise InputError(
            f"a batch or block of {users} users can have {most} training pairs, which exceeds "
            "int32; choose a smaller train.batch_size"
        )
    return max(int(most), 1)
