"""Scores by groups: users and items by their number of training pairs.

Quartiles are over all users (items) with a training pair, so their edges differ between data sets.
The groups of FIXED have the same bounds in every data set. Equal counts stay together, so groups
differ in size and may be empty.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from mmssl_jax.data import Dataset
from mmssl_jax.ranking import metrics
from mmssl_jax.ranking.full_ranking import Ranking

CUTOFF = 20
QUARTILES = ("q1", "q2", "q3", "q4")  # the fewest training pairs first
FIXED = {"cold": (0, 0), "1-2": (1, 2), "3-5": (3, 5), "6+": (6, math.inf)}  # fewest, most
GROUPS = (*QUARTILES, *FIXED)
RECALL, NDCG = f"recall@{CUTOFF}", f"ndcg@{CUTOFF}"


def members(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Group -> whether each count of training pairs is in it, bool [n].

    A count above zero is in one quartile, the first whose upper edge it does not exceed; and every
    count is in one group of FIXED.
    """
    trained = counts > 0
    edges = np.quantile(counts[trained], [0.25, 0.5, 0.75]) if trained.any() else np.empty(0)
    quartile = np.searchsorted(edges, counts, side="left")
    inside = {group: trained & (quartile == index) for index, group in enumerate(QUARTILES)}
    for group, (fewest, most) in FIXED.items():
        inside[group] = (fewest <= counts) & (counts <= most)
    return inside


def scores_of(rankings: Mapping[str, Ranking], dataset: Dataset) -> dict[str, Any]:
    """The scores of every group on every split, as flat keys.

    'test/recall@20/users_q1': the mean over the users of the group. 'test/recall@20/items_q1':
    recall of the truth that is in the group, over the users who have such truth. 'test/users/...':
    how many users that mean is over. 'training_pairs/...': the fewest and the most training pairs
    of the group's members. A mean over nobody, and a range of no members, is None.
    """
    counts = {"users": dataset.user_degrees, "items": dataset.item_degrees}
    groups = {kind: members(of_kind) for kind, of_kind in counts.items()}
    scores: dict[str, Any] = {}
    for kind, of_kind in counts.items():
        for group, inside in groups[kind].items():
            found = of_kind[inside]
            bounds = [int(found.min()), int(found.max())] if len(found) else None
            scores[f"training_pairs/{kind}_{group}"] = bounds
    for split, ranking in rankings.items():
        found = _by_users(ranking, groups["users"]) | _by_items(ranking, groups["items"])
        scores |= {f"{split}/{name}": value for name, value in found.items()}
    return scores


def _by_users(ranking: Ranking, groups: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Recall and NDCG over the users of every group."""
    per_user = ranking.per_user((CUTOFF,))
    scores: dict[str, Any] = {}
    for group, within in groups.items():
        inside = within[ranking.users]
        scores[f"users/users_{group}"] = int(inside.sum())
        for name in (RECALL, NDCG):
            scores[f"{name}/users_{group}"] = _mean(per_user[name][inside])
    return scores


def _by_items(ranking: Ranking, groups: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Recall of the truth in every group of items, over the users who have such truth."""
    places, count = ranking.places, len(ranking.users)
    chances = np.asarray(metrics.chances(places, CUTOFF))
    scores: dict[str, Any] = {}
    for group, within in groups.items():
        pairs = within[ranking.items]
        sizes = np.bincount(places.users[pairs], minlength=count)
        found = np.bincount(places.users[pairs], chances[pairs], minlength=count)
        inside = sizes > 0
        scores[f"users/items_{group}"] = int(inside.sum())
        scores[f"{RECALL}/items_{group}"] = _mean(found[inside] / sizes[inside])
    return scores


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values, dtype=np.float64)) if len(values) else None


def table(scores: Mapping[str, Any], title: str) -> Table:
    """The scores of `scores_of` as a table: groups in rows, '-' where there is nothing."""
    result = Table(title=title, title_justify="left")
    result.add_column("group", no_wrap=True)
    result.add_column("pairs", justify="right", no_wrap=True)
    splits = [key.split("/")[0] for key in scores if key.endswith("/users/users_q1")]
    for split in splits:
        for name in ("users", "recall", "ndcg"):
            result.add_column(f"{split} {name}", justify="right")
    for kind in ("users", "items"):
        for group in GROUPS:
            bounds = scores[f"training_pairs/{kind}_{group}"]
            cells = [f"{bounds[0]}-{bounds[1]}" if bounds else "-"]
            for split in splits:
                cells.append(str(scores[f"{split}/users/{kind}_{group}"]))
                cells += [
                    _cell(scores.get(f"{split}/{name}/{kind}_{group}")) for name in (RECALL, NDCG)
                ]
            last = group in (QUARTILES[-1], GROUPS[-1])
            result.add_row(f"{kind} {group}", *cells, end_section=last)
    return result


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
