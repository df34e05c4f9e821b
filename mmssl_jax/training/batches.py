"""Batches drawn on the device: exact, without rejection, in int32 throughout."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray, UInt32

from mmssl_jax.graphs.training_pairs import PairTables
from mmssl_jax.models.model import Batch

ROUNDS = 6  # of the cipher that draws users


def sample(
    key: PRNGKeyArray,
    tables: PairTables,
    batch_size: int,
    augmented_rows: int = 0,
    *,
    by_cipher: bool = False,
) -> Batch:
    """Draws distinct users (with replacement only if there are too few), and two items for each.

    The positive is uniform over the items of the user's training pairs, the negative over all
    others. The first `augmented_rows` have the items of their users' augmented pairs instead, where
    there are any. Unless users are drawn `by_cipher`, at the cost of the batch, all are shuffled.
    """
    user_key, positive_key, negative_key = jax.random.split(key, 3)
    users = tables.users[_chosen(user_key, batch_size, tables.users.shape[0], by_cipher)]
    starts, degrees = tables.starts[users], tables.degrees[users]
    positives = tables.items[starts + jax.random.randint(positive_key, users.shape, 0, degrees)]
    rank = jax.random.randint(negative_key, users.shape, 0, tables.num_items - degrees)
    batch = Batch(users, positives, _outside(tables.items, starts, degrees, rank))
    if tables.augmented is None or not augmented_rows:
        return batch
    liked, disliked = tables.augmented[users].T
    taken = (jnp.arange(batch_size) < augmented_rows) & (liked >= 0)
    return Batch(
        users,
        jnp.where(taken, liked, batch.positives),
        jnp.where(taken, disliked, batch.negatives),
    )


def _chosen(key: PRNGKeyArray, size: int, count: int, by_cipher: bool) -> Int[Array, "size"]:
    """Distinct numbers below `count`; with replacement only if that is too few."""
    if size > count:
        return jax.random.randint(key, (size,), 0, count)
    if by_cipher:
        return _enciphered(key, size, count)
    return jax.random.permutation(key, count)[:size]


def _enciphered(key: PRNGKeyArray, size: int, count: int) -> Int[Array, "size"]:
    """The first `size` places of a random permutation of `count` numbers, and no others.

    Each round is a bijection of the numbers of as many bits: an odd factor and a summand, both
    random, then the upper half of the bits onto the lower. What leaves the range goes through them
    again, until it is back (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
    """
    width = (count - 1).bit_length()
    mask, half = jnp.uint32(2**width - 1), jnp.uint32((width + 1) // 2)
    factors, summands = jax.random.bits(key, (2, ROUNDS))

    def permuted(x: UInt32[Array, "size"]) -> UInt32[Array, "size"]:
        for factor, summand in zip(factors, summands, strict=True):
            x = (x * (factor | 1) + summand) & mask
            x = x ^ (x >> half)
        return x

    def again(x: UInt32[Array, "size"]) -> UInt32[Array, "size"]:
        return jnp.where(x < count, x, permuted(x))

    first = permuted(jnp.arange(size, dtype=jnp.uint32))
    chosen: Array = jax.lax.while_loop(lambda x: jnp.any(x >= count), again, first)
    return chosen.astype(jnp.int32)


def _outside(
    items: Int[Array | np.ndarray, "pairs"],
    starts: Int[Array, "batch"],
    degrees: Int[Array, "batch"],
    rank: Int[Array, "batch"],
) -> Int[Array, "batch"]:
    """The `rank`-th item (from 0) outside a user's training pairs.

    Of the user's sorted training items s_0 < s_1 < ..., s_j has s_j - j other items before it, so
    the answer is `rank` plus the number of j with s_j - j <= rank, found by binary search.
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
