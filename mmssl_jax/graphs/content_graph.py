"""The closed form of content: for each item the items of the most similar features."""

from collections.abc import Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.graphs.nearest import Neighbors, top_k

SMALL = 1e-6  # of a size: no more than rounding
BLOCK = 256  # rows of similarities that exist at a time


def whitened(features: np.ndarray, known: np.ndarray, rank: int) -> np.ndarray:
    """Features [items, _] as unit rows in their first `rank` principal directions, whitened.

    These are the left singular vectors of the standardised columns. Directions without variance are
    left out, and rows that are not `known` (bool [items]) are zero. float32 [items, at most rank].
    """
    rows = features[known].astype(np.float64)
    size = np.sqrt(np.mean(rows * rows, axis=0))
    rows -= rows.mean(axis=0)
    deviation = rows.std(axis=0)
    rows /= np.where(deviation > SMALL * size, deviation, np.inf)
    variances, directions = np.linalg.eigh(rows.T @ rows)  # ascending
    kept = np.sqrt(np.maximum(variances, 0)) > SMALL * np.sqrt(max(variances[-1], 0))
    chosen = np.flatnonzero(kept)[::-1][:rank]
    left = rows @ (directions[:, chosen] / np.sqrt(variances[chosen]))
    lengths = np.linalg.norm(left, axis=1, keepdims=True)
    result = np.zeros((len(features), len(chosen)), np.float32)
    plain = lengths <= SMALL * lengths.max(initial=0)  # as the mean of all: like no other
    result[known] = np.where(plain, 0, left / np.where(plain, 1, lengths))
    return result


def content_graph(
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    *,
    sharpness: float,
    rank: int,
    neighbors: int,
    tie_order: np.ndarray,
) -> Neighbors:
    """The `neighbors` most similar items of every item, by all its modalities.

    The similarity of two items is `E = exp(sharpness * mean over modalities of cos)`, with the
    cosine of their `whitened` features, 0 where one of them lacks the modality. The weights are
    `items * D^-1/2 E D^-1/2`, D the row sums of E without its diagonal. Items without any content
    have no weight.

    Args:
      features: modality -> [items, _].
      present: modality -> bool [items], which items have it; all where it is not named.
      sharpness: how much more alike items count.
      rank: directions that are kept of a modality.
      neighbors: edges of an item, less than the number of items.
      tie_order: which of equally similar items are taken; `Dataset.tie_order`.
    """
    items = len(tie_order)
    everywhere = np.ones(items, bool)
    parts = [
        whitened(values, present.get(name, everywhere), rank) for name, values in features.items()
    ]
    rows = np.concatenate(parts, axis=1) * np.sqrt(sharpness / len(parts))
    found: Neighbors = _neighbors(
        jnp.asarray(rows, jnp.float32),
        jnp.asarray(rows.any(axis=1)),
        jnp.asarray(tie_order, jnp.int32),
        k=neighbors,
    )
    return found


@partial(jax.jit, static_argnames="k")
def _neighbors(
    rows: Float[Array, "items d"],
    known: Bool[Array, "items"],
    order: Int[Array, "items"],
    *,
    k: int,
) -> Neighbors:
    """The k largest weights of every row, where E is `exp(rows rows^T)`."""
    items = len(rows)
    every = jnp.arange(items, dtype=jnp.int32)
    columns, of_columns = rows[order].T, jnp.where(known[order], 0.0, -jnp.inf)

    def exponents(row: Int[Array, "block"], bias: Float[Array, "items"]) -> Array:
        """`log E` plus a bias of each column, with the columns in `order`."""
        own = order[None, :] == row[:, None]
        found = jnp.where(own, -jnp.inf, rows[row] @ columns + bias[None, :])
        return jnp.where(known[row][:, None], found, -jnp.inf)

    def log_sum(row: Int[Array, ""]) -> Array:
        return jax.nn.logsumexp(exponents(row[None], of_columns)[0])

    half = 0.5 * jax.lax.map(log_sum, every, batch_size=BLOCK)
    half = jnp.where(jnp.isfinite(half), half, jnp.inf)  # an item that is like no other

    def top(row: Int[Array, ""]) -> tuple[Array, Array]:
        best, place = top_k(exponents(row[None], of_columns - half[order]), k)
        return best[0] - half[row], order[place[0]]

    logs, nearest = jax.lax.map(top, every, batch_size=BLOCK)
    weights = jnp.where(jnp.isfinite(logs), jnp.exp(logs + jnp.log(items)), 0.0)
    return Neighbors(nearest, weights)
