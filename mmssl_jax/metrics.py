"""Ranking metrics as pure functions of the hits in ranked lists; each returns one value per user.

`hits[u, r]` says whether the item at rank r (0 is the top) of user u is in the user's truth, and
`truth_sizes[u]` how many items that truth has (at least 1). A cutoff is at most the list's length.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Hits = Bool[Array, "users ranks"]
Sizes = Int[Array, "users"]
PerUser = Float[Array, "users"]


def recall(hits: Hits, truth_sizes: Sizes, cutoff: int) -> PerUser:
    """Hits in the first `cutoff` ranks, over the size of the truth."""
    return _count(hits, cutoff) / truth_sizes


def precision(hits: Hits, truth_sizes: Sizes, cutoff: int) -> PerUser:
    """Hits in the first `cutoff` ranks, over `cutoff`."""
    del truth_sizes
    return _count(hits, cutoff) / cutoff


def hit_rate(hits: Hits, truth_sizes: Sizes, cutoff: int) -> PerUser:
    """1 where any of the first `cutoff` ranks is a hit, else 0."""
    del truth_sizes
    return jnp.any(hits[:, :cutoff], axis=1).astype(jnp.float32)


def ndcg(hits: Hits, truth_sizes: Sizes, cutoff: int) -> PerUser:
    """DCG over that of the ideal list, which has min(|truth|, cutoff) hits on top.

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", 2002.
    """
    ideal = jnp.arange(cutoff)[None, :] < truth_sizes[:, None]
    return _dcg(hits[:, :cutoff]) / _dcg(ideal)


def ndcg_released(hits: Hits, truth_sizes: Sizes, cutoff: int) -> PerUser:
    """NDCG as the public release of MMSSL computes it: the ideal list has only the retrieved hits.

    The ideal puts the hits found within the whole list (the largest cutoff) on top, not the truth,
    so that truth the list missed costs nothing. 0 where nothing is found.
    """
    del truth_sizes
    found = jnp.sum(hits, axis=1)
    ideal = _dcg(jnp.arange(cutoff)[None, :] < found[:, None])
    return jnp.where(found > 0, _dcg(hits[:, :cutoff]) / jnp.where(found > 0, ideal, 1.0), 0.0)


def _count(hits, cutoff):
    return jnp.sum(hits[:, :cutoff], axis=1).astype(jnp.float32)


def _dcg(gains):
    discounts = 1.0 / jnp.log2(jnp.arange(gains.shape[1], dtype=jnp.float32) + 2.0)
    return jnp.sum(gains * discounts[None, :], axis=1)


METRICS = {
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "ndcg_released": ndcg_released,
    "hit_rate": hit_rate,
}
