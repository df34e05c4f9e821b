"""The closed form of content: for each item the items of the most similar features."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.graphs.nearest import Neighbors, top_k

SMALL = 1e-6  # of a size: no more than rounding
BLOCK = 256  # rows of similarities that exist at a time
SAME = 1e-4  # squared distance of two rows, over their square, that is no more than rounding
PER_DIRECTION = 8  # items that a modality needs for each direction that is kept of it


def whitened(
    features: np.ndarray, known: np.ndarray, rank: int, first: int | None = None
) -> np.ndarray:
    """Features [items, _] as unit rows in their first `rank` principal directions, whitened.

    These are the left singular vectors of the standardised columns. Directions without variance are
    left out, and rows that are not `known` (bool [items]) are zero. The directions are those of the
    `first` items, by default of all. float32 [items, at most rank].
    """
    rows = features[known].astype(np.float64)
    own = slice(int(known[:first].sum()))  # of these rows
    size = np.sqrt(np.mean(rows[own] * rows[own], axis=0))
    rows -= rows[own].mean(axis=0)
    deviation = rows[own].std(axis=0)
    rows /= np.where(deviation > SMALL * size, deviation, np.inf)
    variances, directions = np.linalg.eigh(rows[own].T @ rows[own])  # ascending
    kept = np.sqrt(np.maximum(variances, 0)) > SMALL * np.sqrt(max(variances[-1], 0))
    chosen = np.flatnonzero(kept)[::-1][:rank]
    left = rows @ (directions[:, chosen] / np.sqrt(variances[chosen]))
    lengths = np.linalg.norm(left, axis=1, keepdims=True)
    result = np.zeros((len(features), len(chosen)), np.float32)
    plain = lengths <= SMALL * lengths[own].max(initial=0)  # as the mean of all: like no other
    result[known] = np.where(plain, 0, left / np.where(plain, 1, lengths))
    return result


class Similarity(NamedTuple):
    """How alike items are: `log E` of two is the inner product of their rows."""

    rows: Float[Array, "items d"]
    known: Bool[Array, "items"]  # has content
    half: Float[Array, "items"]  # log of the root of D; infinite for an item that is like no other
    order: Int[Array, "items"]  # `Dataset.tie_order`: of equally similar items the first are taken


def similarity(
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    *,
    sharpness: float,
    rank: int,
    tie_order: np.ndarray,
    first: int | None = None,
) -> Similarity:
    """The similarity of items by all their modalities; the arguments are those of `content_graph`.

    Of a modality that few items have, fewer directions are kept, an eighth of their number: with as
    many directions as items, all whitened rows would be equally unlike.

    Items behind the `first` came later, and change nothing for these: directions and D are sums
    over the first items alone. As no item is compared with itself, the D of a later one leaves out
    an item that has the very same features.
    """
    items = len(next(iter(features.values())))
    later = None if first is None else jnp.arange(items) >= first
    everywhere = np.ones(items, bool)
    parts = []
    for name, values in features.items():
        own = present.get(name, everywhere)
        directions = min(rank, max(int(own[:first].sum()) // PER_DIRECTION, 1))
        parts.append(whitened(values, own, directions, first))
    joined = np.concatenate(parts, axis=1) * np.sqrt(sharpness / len(parts))
    rows, known = jnp.asarray(joined, jnp.float32), jnp.asarray(joined.any(axis=1))
    order = jnp.asarray(tie_order, jnp.int32)
    return Similarity(rows, known, _half(rows, known, order, later), order)


def nearest(
    similar: Similarity,
    neighbors: int,
    *,
    of: np.ndarray | None = None,
    among: np.ndarray | None = None,
) -> Neighbors:
    """For each item the items of the largest weights in `content_graph`.

    Args:
      similar: of `similarity`.
      neighbors: of each item, at most as many as there are items.
      of: the items that get neighbours, int [rows]; by default all, in their order.
      among: those that can be neighbours, bool [items]; by default all but the item itself.
    """
    items = len(similar.rows)
    rows = np.arange(items) if of is None else of
    others = np.ones(items, bool) if among is None else among
    found: Neighbors = _nearest(
        similar, jnp.asarray(rows, jnp.int32), jnp.asarray(others), k=neighbors
    )
    return found


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
      rank: directions that are kept of a modality, at most.
      neighbors: edges of an item, less than the number of items.
      tie_order: which of equally similar items are taken; `Dataset.tie_order`.
    """
    similar = similarity(features, present, sharpness=sharpness, rank=rank, tie_order=tie_order)
    return nearest(similar, neighbors)


def _exponents(
    rows: Float[Array, "block d"],
    numbers: Int[Array, "block"],
    columns: Float[Array, "d items"],
    bias: Float[Array, "items"],
    order: Int[Array, "items"],
) -> Float[Array, "block items"]:
    """`log E` plus a bias of each column, with the columns in `order`; -inf for the item itself."""
    own = order[None, :] == numbers[:, None]
    return jnp.where(own, -jnp.inf, rows @ columns + bias[None, :])


@jax.jit
def _half(
    rows: Float[Array, "items d"],
    known: Bool[Array, "items"],
    order: Int[Array, "items"],
    later: Bool[Array, "items"] | None = None,
) -> Float[Array, "items"]:
    """`Similarity.half`, with sums in `order`, so that no rounding is by number."""
    counted = known if later is None else known & ~later
    columns, bias = rows[order].T, jnp.where(counted[order], 0.0, -jnp.inf)

    def log_sum(item: Int[Array, ""]) -> Array:
        row = item[None]
        logs = _exponents(rows[row], row, columns, bias, order)[0]
        if later is not None:
            logs = jnp.where(later[item], _without_same(logs, rows[item], columns), logs)
        return jax.nn.logsumexp(logs)

    every = jnp.arange(len(rows), dtype=jnp.int32)
    half = 0.5 * jax.lax.map(log_sum, every, batch_size=BLOCK)
    return jnp.where(known & jnp.isfinite(half), half, jnp.inf)


def _without_same(
    logs: Float[Array, "items"], row: Float[Array, "d"], columns: Float[Array, "d items"]
) -> Float[Array, "items"]:
    """The `log E` of a row and of each column, without one column that is that row, if any is."""
    own = jnp.sum(row * row)
    apart = own + jnp.sum(columns * columns, axis=0) - 2 * logs
    nearest = jnp.argmin(apart)
    return logs.at[nearest].add(jnp.where(apart[nearest] <= SAME * own, -jnp.inf, 0.0))


@partial(jax.jit, static_argnames="k")
def _nearest(
    similar: Similarity,
    of: Int[Array, "rows"],
    among: Bool[Array, "items"],
    *,
    k: int,
) -> Neighbors:
    """`nearest`, with every argument given."""
    rows, known, half, order = similar
    columns = rows[order].T
    bias = jnp.where((known & among)[order], -half[order], -jnp.inf)

    def top(item: Int[Array, ""]) -> tuple[Array, Array]:
        row = item[None]
        best, place = top_k(_exponents(rows[row], row, columns, bias, order), k)
        return best[0] - half[item], order[place[0]]

    logs, found = jax.lax.map(top, of, batch_size=BLOCK)
    weights = jnp.where(jnp.isfinite(logs), jnp.exp(logs + jnp.log(len(rows))), 0.0)
    return Neighbors(found, weights)
