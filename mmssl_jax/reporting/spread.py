"""How lists spread over the items: coverage, concentration, popularity."""

from typing import NamedTuple

import numpy as np

from mmssl_jax.data import Dataset
from mmssl_jax.ranking.ranked_lists import RankedLists

CUTOFFS = (10, 20)
_POINTS = 60  # of a curve


class Spread(NamedTuple):
    """How the lists of a run spread over the items.

    Attributes:
      coverage: cutoff -> the share of all items that are in somebody's list.
      gini: from 0, every item as often as the others, to 1, one item alone; at the last cutoff.
      popularity: the mean number of training pairs of what is listed, at the last cutoff.
      novelty: the mean of -log2(share of users who have the item in training), in bits, of what is
        listed and somebody has; at the last cutoff.
      curve: [points, 2]: share of the items, the least listed first, and the share of the places in
        lists that they have. Its distance from the diagonal is what `gini` measures.
    """

    coverage: dict[int, float]
    gini: float
    popularity: float
    novelty: float
    curve: np.ndarray


def spread(lists: RankedLists, dataset: Dataset) -> Spread:
    """How these lists spread over the items of the data set."""
    popularity = dataset.item_degrees
    coverage = {}
    for cutoff in CUTOFFS:
        places = lists.items[:, :cutoff]
        coverage[cutoff] = len(np.unique(places[places >= 0])) / dataset.num_items
    listed = lists.items[lists.items >= 0]
    counts = np.bincount(listed, minlength=dataset.num_items)
    own = popularity[listed]
    known = own[own > 0] / dataset.num_users
    return Spread(
        coverage=coverage,
        gini=gini(counts),
        popularity=float(own.mean()) if len(own) else 0.0,
        novelty=float(-np.log2(known).mean()) if len(known) else 0.0,
        curve=lorenz(counts),
    )


def gini(counts: np.ndarray) -> float:
    """Gini's coefficient of counts [n], from 0 for equal ones to (n - 1) / n for one that has all.

    It is sum_i (2 i - n - 1) x_i / (n sum_i x_i), x ascending and i from 1; 0 where all are 0.
    """
    ordered, n = np.sort(counts).astype(np.float64), len(counts)
    total = ordered.sum()
    if not total:
        return 0.0
    weights = 2 * np.arange(1, n + 1) - n - 1
    return float(weights @ ordered / (n * total))


def lorenz(counts: np.ndarray) -> np.ndarray:
    """Points of the Lorenz curve of counts: [points, 2], from (0, 0) to (1, 1).

    Where all counts are 0, nobody has a share: it stays at 0 and ends in (1, 0).
    """
    ordered = np.concatenate([[0.0], np.cumsum(np.sort(counts), dtype=np.float64)])
    ordered /= max(ordered[-1], 1.0)
    # Few items have most places, so the points are denser towards the end.
    share = 1 - (1 - np.linspace(0, 1, _POINTS)) ** 2
    places = np.round(share * len(counts)).astype(np.int64)
    return np.stack([places / len(counts), ordered[places]], axis=1)
