"""Scores by groups: users by number of training pairs, items likewise, and cold ones.

Quartiles are over all users (items) with a training pair. Equal counts stay together, so groups
differ in size and may be empty.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from mmssl_jax.data import Dataset
from mmssl_jax.ranking import metrics
from mmssl_jax.ranking.full_ranking import Ranking

CUTOFF = 20
GROUPS = ("q1", "q2", "q3", "q4", "cold")  # the fewest training pairs first; cold has none
RECALL, NDCG = f"recall@{CUTOFF}", f"ndcg@{CUTOFF}"


def quartiles(counts: np.ndarray) -> np.ndarray:
    """The index in GROUPS of every count of training pairs.

    A count belongs to the first quartile whose upper edge it does not exceed.
    """
    groups = np.full(len(counts), GROUPS.index("cold"))
    trained = counts > 0
    if trained.any():
        edges = np.quantile(counts[trained], [0.25, 0.5, 0.75])
        groups[trained] = np.searchsorted(edges, counts[trained], side="left")
    return groups


def scores_of(rankings: Mapping[str, Ranking], dataset: Dataset) -> dict[str, Any]:
    """The scores of every group on every split, as flat keys.

    'test/recall@20/users_q1': the mean over the users of the group. 'test/recall@20/items_q1':
    recall of the truth that is in the group, over the users who have such truth. 'test/users/...':
    how many users that mean is over. 'training_pairs/...': the fewest and the most training pairs
    of the group's members. A mean over nobody, and a range of no members, is None.
    """
    train = dataset.train
    counts = {
        "users": np.diff(train.indptr),
        "items": np.bincount(train.indices, minlength=dataset.num_items),
    }
    of_user, of_item = quartiles(counts["users"]), quartiles(counts["items"])
    scores: dict[str, Any] = {}
    for kind, members in (("users", of_user), ("items", of_item)):
        for index, group in enumerate(GROUPS):
            inside = counts[kind][members == index]
            bounds = [int(inside.min()), int(inside.max())] if len(inside) else None
            scores[f"training_pairs/{kind}_{group}"] = bounds
    for split, ranking in rankings.items():
        found = _by_users(ranking, of_user) | _by_items(ranking, of_item)
        scores |= {f"{split}/{name}": value for name, value in found.items()}
    return scores


def _by_users(ranking: Ranking, of_user: np.ndarray) -> dict[str, Any]:
    """Recall and NDCG over the users of every group."""
    per_user = ranking.per_user((CUTOFF,))
    scores: dict[str, Any] = {}
    for index, group in enumerate(GROUPS):
        inside = of_user[ranking.users] == index
        scores[f"users/users_{group}"] = int(inside.sum())
        for name in (RECALL, NDCG):
            scores[f"{name}/users_{group}"] = _mean(per_user[name][inside])
    return scores


def _by_items(ranking: Ranking, of_item: np.ndarray) -> dict[str, Any]:
    """Recall of the truth in every group of items, over the users who have such truth."""
    places = ranking.places
    scores: dict[str, Any] = {}
    chances, of_pair = np.asarray(metrics.chances(places, CUTOFF)), of_item[ranking.items]
    for index, group in enumerate(GROUPS):
        rows = places.users[of_pair == index]
        sizes = np.bincount(rows, minlength=len(ranking.users))
        found = np.bincount(rows, chances[of_pair == index], minlength=len(ranking.users))
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
    result.add_column("pairs", justify="right")
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
            result.add_row(f"{kind} {group}", *cells)
        result.add_section()
    return result


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
