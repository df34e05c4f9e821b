"""The training pairs on the device: the tables of all, and those of a batch of users."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.errors import InputError


class TrainingPairs(NamedTuple):
    """The training pairs of a batch as (row in the batch, item), sorted, padded to a fixed length.

    Padding has the row `batch`, which is out of range: a scatter or segment sum drops it.
    """

    rows: Int[Array, "pairs"]
    items: Int[Array, "pairs"]
    valid: Bool[Array, "pairs"]


_Array = Array | np.ndarray


class PairTables(NamedTuple):
    """The training matrix in rows, and the users that can be sampled."""

    users: Int[_Array, "sampled"]  # with an item in their training pairs, and one outside
    starts: Int[_Array, "users"]  # where a user's items start in `items`
    degrees: Int[_Array, "users"]
    items: Int[_Array, "pairs"]  # ascending within a user
    num_items: Int[Array, ""]
    augmented: Int[_Array, "users 2"] | None = None  # from `augmented_table`


def augmented_table(augmented: np.ndarray | None, num_users: int) -> np.ndarray:
    """Of every user the liked and the disliked item of `Dataset.augmented`, int32 [users, 2].

    They are -1 of a user without a pair.
    """
    table = np.full((num_users, 2), -1, np.int32)
    if augmented is not None:
        table[augmented[:, 0]] = augmented[:, 1:]
    return table


def sampled_users(train: scipy.sparse.csr_array) -> np.ndarray:
    """The users that a batch is drawn from: with a training pair, and an item outside them."""
    degrees = np.diff(train.indptr)
    return np.flatnonzero((degrees > 0) & (degrees < train.shape[1]))


def pair_tables(train: scipy.sparse.csr_array, augmented: np.ndarray | None = None) -> PairTables:
    """`host_tables` on the device."""
    return jax.tree.map(jnp.asarray, host_tables(train, augmented))  # type: ignore[no-any-return]


def host_tables(train: scipy.sparse.csr_array, augmented: np.ndarray | None = None) -> PairTables:
    """The tables of a training matrix [users, items] with sorted, unique indices, in numpy.

    With `augmented` pairs (`Dataset.augmented`), batches may take some of their rows from these.

    Raises:
      InputError: no user has an item in the training pairs and one outside them, or the training
        pairs exceed int32.
    """
    if train.nnz >= 2**31:
        raise InputError(f"{train.nnz} training pairs exceed int32, the most that is supported")
    users = sampled_users(train)
    if not len(users):
        raise InputError(
            "no user has both a training pair and an item outside the training pairs: "
            "there is nothing to learn"
        )
    return PairTables(
        users=users.astype(np.int32),
        starts=train.indptr[:-1].astype(np.int32),
        degrees=np.diff(train.indptr).astype(np.int32),
        items=train.indices.astype(np.int32, copy=False),
        num_items=jnp.asarray(train.shape[1], jnp.int32),
        augmented=None if augmented is None else augmented_table(augmented, train.shape[0]),
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


def pairs_of_history(items: Int[Array, "n"], num_items: int) -> TrainingPairs:
    """The pairs of one new user who has these items; what is no item is padding."""
    valid = items < num_items
    rows = jnp.where(valid, 0, 1).astype(jnp.int32)
    return TrainingPairs(rows, jnp.where(valid, items, 0), valid)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def row_sums(table: Float[Array, "items d"], pairs: TrainingPairs, rows: int) -> Array:
    """For each row of a batch the sum of its items' rows of a table: [rows, d].

    It works through chunks of pairs, and only as many as the batch has, so that padding costs
    nothing and no [pairs, d] array exists. Only the table has a gradient.
    """

    def add(index: Int[Array, ""], sums: Float[Array, "rows d"]) -> Float[Array, "rows d"]:
        row, item = _chunk(pairs, index, rows)
        return sums.at[row].add(table[item], mode="drop", indices_are_sorted=True)

    empty = jnp.zeros((rows, table.shape[1]), table.dtype)
    sums: Array = jax.lax.fori_loop(0, _chunks(pairs), add, empty)
    return sums


def _row_sums_forward(
    table: Float[Array, "items d"], pairs: TrainingPairs, rows: int
) -> tuple[Array, tuple[TrainingPairs, Array]]:
    return row_sums(table, pairs, rows), (pairs, jnp.zeros_like(table))


def _row_sums_backward(
    rows: int, saved: tuple[TrainingPairs, Array], cotangent: Float[Array, "rows d"]
) -> tuple[Array, None]:
    pairs, empty = saved

    def add(index: Int[Array, ""], to_table: Float[Array, "items d"]) -> Float[Array, "items d"]:
        row, item = _chunk(pairs, index, rows)
        return to_table.at[item].add(cotangent.at[row].get(mode="fill", fill_value=0))

    to_table: Array = jax.lax.fori_loop(0, _chunks(pairs), add, empty)
    return to_table, None


row_sums.defvjp(_row_sums_forward, _row_sums_backward)

_CHUNK = 1024  # pairs


def _chunks(pairs: TrainingPairs) -> Int[Array, ""]:
    """The number of chunks that hold any pair."""
    return -(-jnp.sum(pairs.valid.astype(jnp.int32)) // _CHUNK)


def _chunk(pairs: TrainingPairs, index: Int[Array, ""], rows: int) -> tuple[Array, Array]:
    """Rows and items of one chunk; past the end of the pairs the row is out of range."""
    place = index * _CHUNK + jnp.arange(_CHUNK, dtype=jnp.int32)
    row = pairs.rows.at[place].get(mode="fill", fill_value=rows)
    return row, pairs.items.at[place].get(mode="fill", fill_value=0)


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
