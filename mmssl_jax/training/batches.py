"""Batches drawn on the device: exact, without rejection, in int32 throughout."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from mmssl_jax.graphs.training_pairs import PairTables
from mmssl_jax.models.model import Batch


def sample(
    key: PRNGKeyArray, tables: PairTables, batch_size: int, augmented_rows: int = 0
) -> Batch:
    """Draws distinct users (with replacement only if there are too few), and two items for each.

    The positive is uniform over the items of the user's training pairs, the negative over all
    others. The first `augmented_rows` have the items of their users' augmented pairs instead, where
    there are any.
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


def _outside(
    items: Int[Array, "pairs"],
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
