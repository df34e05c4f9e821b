"""For each item its nearest items, exact, computed in blocks on the device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

GROUP = 64  # columns whose maximum stands for them in `top_k`


def normalize(x: Float[Array, "... d"]) -> Float[Array, "... d"]:
    """`n(x)`: rows over their L2 norm, floored at 1e-12; an all-zero row stays zero.

    The gradient at an all-zero row is 0, where that of a plain norm would be NaN.
    """
    squared = jnp.sum(x * x, axis=-1, keepdims=True)
    nonzero = squared > 0
    norm = jnp.sqrt(jnp.where(nonzero, squared, 1.0))
    return jnp.where(nonzero, x / jnp.maximum(norm, 1e-12), 0.0)


class Neighbors(NamedTuple):
    """Weighted edges from every item to as many items; a neighbour may be listed twice."""

    items: Int[Array, "items k"]
    weights: Float[Array, "items k"]


def top_k(
    scores: Float[Array, "rows columns"], k: int
) -> tuple[Float[Array, "rows k"], Int[Array, "rows k"]]:
    """`jax.lax.top_k` with the same ties, but cheaper for small k.

    It looks only into the k groups of columns with the highest maxima. Of groups with equal maxima
    the first are enough: each has a column that wins the tie.
    """
    rows, columns = scores.shape
    groups = -(-columns // GROUP)
    if groups <= k:
        best, place = jax.lax.top_k(scores, k)
        return best, place
    padding = groups * GROUP - columns
    scores = jnp.pad(scores, ((0, 0), (0, padding)), constant_values=-jnp.inf)
    grouped = scores.reshape(rows, groups, GROUP)
    chosen = jnp.sort(jax.lax.top_k(jnp.max(grouped, axis=2), k)[1], axis=1)
    candidates = jnp.take_along_axis(grouped, chosen[:, :, None], axis=1)
    best, place = jax.lax.top_k(candidates.reshape(rows, k * GROUP), k)
    group = jnp.take_along_axis(chosen, place // GROUP, axis=1)
    return best, group * GROUP + place % GROUP


def top_neighbors(
    x: Float[Array, "items d"],
    k: int,
    block: int = 256,
    tie_order: Int[Array, "items"] | None = None,
) -> Neighbors:
    """The k items of the highest inner product with every item.

    Of equal products the first in `tie_order` (by default the lowest index). At most [block, items]
    products exist at a time.
    """
    num_items = x.shape[0]
    block = min(block, num_items)
    count = -(-num_items // block)
    rows = jnp.arange(count * block, dtype=jnp.int32) % num_items
    order = jnp.arange(num_items, dtype=jnp.int32) if tie_order is None else tie_order
    columns = x[order].T

    def top(rows: Int[Array, "block"]) -> tuple[Array, Array]:
        return top_k(x[rows] @ columns, k)

    weights, places = jax.lax.map(top, rows.reshape(count, block))
    items = order[places.reshape(-1, k)[:num_items]]
    return Neighbors(items, weights.reshape(-1, k)[:num_items])


def neighbor_products(
    x: Float[Array, "items d"], neighbors: Int[Array, "items k"]
) -> Float[Array, "items k"]:
    """The inner product of every item with each of its neighbours, with a gradient to `x`."""
    return jnp.einsum("id,ikd->ik", x, x[neighbors])


def symmetric_weights(neighbors: Neighbors) -> Float[Array, "items k"]:
    """The weights of `D^(-1/2) S D^(-1/2)`, D the row sums of S; 0 where a sum is not positive."""
    total = jnp.sum(neighbors.weights, axis=1)
    positive = total > 0
    scale = jnp.where(positive, jnp.where(positive, total, 1.0) ** -0.5, 0.0)
    return neighbors.weights * scale[:, None] * scale[neighbors.items]


def join(parts: list[Neighbors]) -> Neighbors:
    """The sum of sparse matrices: the edges of all."""
    items, weights = zip(*parts, strict=True)
    return Neighbors(jnp.concatenate(items, axis=1), jnp.concatenate(weights, axis=1))
