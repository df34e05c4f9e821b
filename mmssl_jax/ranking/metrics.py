"""Ranking metrics, one value per user, from the ranks of the truth.

Items with equal scores have no order, so a metric is its exact expected value over all orders
(McSherry and Najork, "Computing information retrieval performance measures efficiently in the
presence of tied scores", ECIR 2008). Without ties that is the usual metric. Numbering does not
matter. All is computed in jax's default precision: float32, or float64 within `jax.enable_x64`.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

PerUser = Float[Array, "users"]


OnEither = Array | np.ndarray  # on the device or on the host


class Places(NamedTuple):
    """The ranks of each truth pair: `above`, ..., `above + tied - 1`, all equally likely.

    0 is the top. `tied` counts the item itself. It is 0 for an item that is not ranked within the
    longest list.
    """

    users: Int[OnEither, "pairs"]  # row of the user
    above: Int[OnEither, "pairs"]
    tied: Int[OnEither, "pairs"]
    truth_sizes: Int[OnEither, "users"]  # items in each user's truth, at least 1


class _Edge(NamedTuple):
    """For each user, the ties that the cutoff splits: some are inside the list, some outside."""

    places: Int[Array, "users"]  # of the list that they fill
    tied: Int[Array, "users"]  # 0 where the cutoff parts no ties that have truth among them
    hits: Int[Array, "users"]  # of the truth


def recall(places: Places, cutoff: int) -> PerUser:
    """Hits in the first `cutoff` ranks, over the size of the truth."""
    return _sum(places, chances(places, cutoff)) / places.truth_sizes


def precision(places: Places, cutoff: int) -> PerUser:
    """Hits in the first `cutoff` ranks, over `cutoff`."""
    return _sum(places, chances(places, cutoff)) / cutoff


def ndcg(places: Places, cutoff: int) -> PerUser:
    """DCG over that of the ideal list, which has min(|truth|, cutoff) hits on top.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002.
    """
    ideal = _discounts_between(0, places.truth_sizes, cutoff)
    return _sum(places, _discount(places, cutoff)) / ideal


def hit_rate(places: Places, cutoff: int) -> PerUser:
    """1 where any of the first `cutoff` ranks is a hit, else 0."""
    inside = _sum(places, _is_inside(places, cutoff))
    edge = _edge(places, cutoff)
    nothing = jnp.zeros(inside.shape)
    at_edge = _where_parted(edge, cutoff, lambda odds: jnp.sum(odds[:, 1:], axis=1), nothing)
    return jnp.where(inside > 0, 1.0, at_edge)


def ndcg_released(places: Places, cutoff: int, longest: int) -> PerUser:
    """NDCG as the public release of MMSSL computes it: the ideal list has only the retrieved hits.

    The ideal puts the hits found within the `longest` list (the largest cutoff) on top, not the
    truth, so that truth the list missed costs nothing. 0 where nothing is found.
    """
    inside = _is_inside(places, longest)
    found = _sum(places, inside).astype(jnp.int32)
    dcg = _sum(places, jnp.where(inside, _discount(places, cutoff), 0.0))
    edge = _edge(places, longest)

    def expected(odds: Float[Array, "users drawn"]) -> PerUser:
        """Over how many of the tied hits at the edge are in the list, anywhere in their places."""
        hits = jnp.arange(longest + 1)
        filled = _discounts_between(longest - edge.places, jnp.full_like(found, longest), cutoff)
        share = hits[None, :] / jnp.maximum(edge.places, 1)[:, None]
        gained = dcg[:, None] + share * filled[:, None]
        return jnp.sum(odds * _over_ideal(gained, found[:, None] + hits[None, :], cutoff), axis=1)

    return _where_parted(edge, longest, expected, _over_ideal(dcg, found, cutoff))


METRICS = {"recall": recall, "precision": precision, "ndcg": ndcg, "hit_rate": hit_rate}


def all_metrics(places: Places, cutoffs: tuple[int, ...]) -> dict[str, PerUser]:
    """Every metric at every cutoff: 'recall@20' -> a value per user."""
    of_all = {f"{name}@{k}": of(places, k) for name, of in METRICS.items() for k in cutoffs}
    return of_all | {f"ndcg_released@{k}": ndcg_released(places, k, max(cutoffs)) for k in cutoffs}


def chances(places: Places, cutoff: int) -> Float[Array, "pairs"]:
    """The chance of every pair to be within the first `cutoff` ranks."""
    return jnp.clip(cutoff - places.above, 0, places.tied) / jnp.maximum(places.tied, 1)


def _sum(places: Places, values: Shaped[OnEither, "pairs"]) -> PerUser:
    """The sum over the pairs of every user."""
    return jax.ops.segment_sum(values.astype(float), places.users, places.truth_sizes.shape[0])


def _is_inside(places: Places, cutoff: int) -> Bool[OnEither, "pairs"]:
    """Whether a pair is within the first `cutoff` ranks in every order."""
    return (places.tied > 0) & (places.above + places.tied <= cutoff)


def _discount(places: Places, cutoff: int) -> Float[Array, "pairs"]:
    """1 / log2(rank + 2) of every pair, averaged over its ranks; 0 from `cutoff` on."""
    ends = places.above + places.tied
    return _discounts_between(places.above, ends, cutoff) / jnp.maximum(places.tied, 1)


def _discounts_between(first: OnEither | int, end: OnEither, cutoff: int) -> Array:
    """The sum of 1 / log2(rank + 2) over the ranks from `first` to before min(`end`, `cutoff`)."""
    sums = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(cutoff) + 2.0))])
    high = sums.astype(jnp.zeros(()).dtype)  # in float32 a late rank would be left with few digits
    low = (sums - high).astype(high.dtype)
    first, end = jnp.minimum(first, cutoff), jnp.minimum(end, cutoff)
    parts = [jnp.asarray(table)[end] - jnp.asarray(table)[first] for table in (high, low)]
    return parts[0] + parts[1]


def _over_ideal(dcg: Array, found: Array, cutoff: int) -> Array:
    """DCG over that of a list with the `found` hits on top; 0 where there are none."""
    ideal = _discounts_between(0, found, cutoff)
    return jnp.where(found > 0, dcg / jnp.where(found > 0, ideal, 1.0), 0.0)


def _edge(places: Places, cutoff: int) -> _Edge:
    """The ties that the cutoff splits.

    A user's truth pairs in them share one score, so any of these pairs describes the group.
    """
    parted = (places.above < cutoff) & (places.above + places.tied > cutoff)
    users = places.truth_sizes.shape[0]

    def of_user(values: Int[OnEither, "pairs"]) -> Int[Array, "users"]:
        values = jnp.where(parted, values, 0)
        return jnp.maximum(jax.ops.segment_max(values, places.users, users), 0)

    return _Edge(
        places=of_user(cutoff - places.above),
        tied=of_user(places.tied),
        hits=jax.ops.segment_sum(parted.astype(jnp.int32), places.users, users),
    )


def _where_parted(
    edge: _Edge,
    cutoff: int,
    expected: Callable[[Float[Array, "users drawn"]], PerUser],
    otherwise: PerUser,
) -> PerUser:
    """`expected(odds)` for the users with ties at the edge; computed only if there are any.

    odds: [users, cutoff + 1], the probability that 0, 1, 2, ... tied hits are in the list, as when
    drawing `places` of `tied` items without replacement.
    """

    def draw(
        drawn: Int[Array, ""], odds: Float[Array, "users drawn"]
    ) -> Float[Array, "users drawn"]:
        hits = jnp.arange(cutoff + 1)
        left = jnp.maximum(edge.hits[:, None] - hits[None, :], 0)
        hit = jnp.minimum(left / jnp.maximum(edge.tied - drawn, 1)[:, None], 1.0)
        after = odds * (1 - hit) + jnp.pad(odds * hit, ((0, 0), (1, 0)))[:, :-1]
        return jnp.where((drawn < edge.places)[:, None], after, odds)

    def by_draws() -> PerUser:
        start = jnp.zeros((len(edge.tied), cutoff + 1)).at[:, 0].set(1.0)
        return jnp.where(
            edge.tied > 0, expected(jax.lax.fori_loop(0, cutoff, draw, start)), otherwise
        )

    found: PerUser = jax.lax.cond(jnp.any(edge.tied > 0), by_draws, lambda: otherwise)
    return found
