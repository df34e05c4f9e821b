"""Lists that another system recommends, ranked as this project ranks: with what was left out said.

A list's items move up where one before them is left out, so that every system is judged by the same
candidates. What a list does not have counts as missed.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
import polars as pl
from scipy.sparse import csr_array

from mmssl_jax.config import Evaluation
from mmssl_jax.data import Dataset
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.data.tables.ranked_lists import Lists
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import candidates, groups, per_user, ranked_lists
from mmssl_jax.ranking.full_ranking import Ranking
from mmssl_jax.ranking.metrics import Places

# What is counted -> what follows "1 row" or "2 rows", in the order in which rows are left out.
LEFT_OUT = {
    "rows_unread": "without a user, an item or a number",
    "rows_of_unknown_users": "of users who are not in the data",
    "rows_of_other_users": "of users without a pair in this split",
    "rows_of_unknown_items": "of items that are not in the data",
    "rows_of_training_pairs": "of items that the user has in training",
    "rows_of_other_items": "of items that are no candidates",
    "rows_repeated": "with a user and an item once more",
}
# And what follows "1 user" or "2 users".
KEPT = {
    "users_without_list": "of this split without a list, counted as 0",
    "users_with_short_list": "with fewer items than the largest cutoff, the rest counted as missed",
    "users_with_ties": "with ties, for whom a metric is its mean over their orders",
}


WITHOUT_VAL = (
    "No list has an item that its user has in val, so these were left out. This project ranks them "
    "on the test split, where they take places; lists without them are better off."
)


class Scored(NamedTuple):
    """The scores of lists on a split."""

    split: str
    scores: dict[str, Any]  # 'test/recall@20', 'test/users_without_list', groups
    per_user: pl.DataFrame  # of `per_user.table`
    said: list[str]  # a line on everything that was left out, or counts as missed


class _Rows(NamedTuple):
    """Rows that are left: users and items by index, and worth, as `Lists` has it."""

    users: np.ndarray
    items: np.ndarray
    worth: np.ndarray

    def only(self, kept: np.ndarray) -> "_Rows":
        return _Rows(self.users[kept], self.items[kept], self.worth[kept])


def rank(
    lists: Lists, dataset: Dataset, split: str, evaluation: Evaluation
) -> tuple[Ranking, dict[str, int]]:
    """Where a split's truth stands in the lists, and the counts of `LEFT_OUT` and `KEPT`.

    Args:
      lists: by raw id, or by index where the data has no raw ids.
      dataset: the data.
      split: whose truth is looked for: 'val' or 'test'.
      evaluation: says which items are ranked, and the cutoffs.

    Raises:
      InputError: there is no truth, a cutoff is too large, or no row is left.
    """
    candidates.check_cutoffs(dataset, evaluation)
    truth = candidates.truths(dataset, evaluation, (split,))[split].sorted_indices()
    rows, counts = _chosen(lists, dataset, truth, candidates.candidates(dataset, evaluation))
    if not len(rows.users):
        raise InputError(f"no row is left to be scored: {'; '.join(_said(counts, LEFT_OUT))}")
    above, tied = _places(rows)
    longest = max(evaluation.cutoffs)
    lengths = np.bincount(rows.users, minlength=dataset.num_users)
    sizes = np.diff(truth.indptr)
    users = np.flatnonzero(sizes)
    having = lengths[users] > 0
    counts |= {
        "users_without_list": int(np.count_nonzero(~having)),
        "users_with_short_list": int(np.count_nonzero(having & (lengths[users] < longest))),
        "users_with_ties": len(np.unique(rows.users[tied > 1])),
    }
    above_truth = np.full(truth.nnz, longest)
    tied_truth = np.zeros(truth.nnz, np.int64)
    at, hits = _in_matrix(truth, rows)
    inside = above[hits] < longest
    above_truth[at[inside]] = above[hits][inside]
    tied_truth[at[inside]] = tied[hits][inside]
    row_of = np.repeat(np.arange(len(users)), sizes[users])
    places = Places(row_of, above_truth, tied_truth, sizes[users])
    return Ranking(users, truth.indices, places), counts


def score(lists: Lists, dataset: Dataset, split: str, evaluation: Evaluation) -> Scored:
    """The scores of lists, computed in float64; arguments and errors are those of `rank`."""
    ranking, counts = rank(lists, dataset, split, evaluation)
    with jax.enable_x64(True):
        frame = per_user.table({split: ranking}, dataset, evaluation.cutoffs)
    names = frame.columns[len(per_user.ABOUT) :]
    scores: dict[str, Any] = {name: float(np.mean(frame[name].to_numpy())) for name in names}
    scores = {f"{split}/{name}": value for name, value in (scores | counts).items()}
    said = _said(counts, LEFT_OUT | KEPT)
    if _lacks_val(lists, dataset, split):
        said.append(WITHOUT_VAL)
    return Scored(split, scores | groups.scores_of({split: ranking}, dataset), frame, said)


def _said(counts: dict[str, int], texts: dict[str, str]) -> list[str]:
    """A line on each count that is not 0."""
    words = {name: "user" if name in KEPT else "row" for name in texts}
    return [
        f"{counted(counts[name], words[name])} {text}"
        for name, text in texts.items()
        if counts.get(name)
    ]


def _lacks_val(lists: Lists, dataset: Dataset, split: str) -> bool:
    """Whether no list has an item that its user has in val, though there are such users."""
    if split == "val":
        return False
    rows, _ = _chosen(lists, dataset, getattr(dataset, split), None)
    held = np.diff(dataset.val.indptr)[np.unique(rows.users)]
    return bool(held.any() and not len(_in_matrix(dataset.val, rows)[0]))


def _chosen(
    lists: Lists, dataset: Dataset, truth: csr_array, ranked: np.ndarray | None
) -> tuple[_Rows, dict[str, int]]:
    """The rows that are scored, and how many were left out for what."""
    users, items = ranked_lists.user_and_item_ids(dataset)
    rows = _Rows(
        id_spelling.places(users, lists.user_ids)[lists.users],
        id_spelling.places(items, lists.item_ids)[lists.items],
        lists.worth,
    )
    counts = {"rows_unread": lists.unread}

    def keep(name: str, kept: np.ndarray) -> _Rows:
        counts[name] = int(np.count_nonzero(~kept))
        return rows.only(kept)

    rows = keep("rows_of_unknown_users", rows.users >= 0)
    rows = keep("rows_of_other_users", np.diff(truth.indptr)[rows.users] > 0)
    rows = keep("rows_of_unknown_items", rows.items >= 0)
    trained = np.zeros(len(rows.users), bool)
    trained[_in_matrix(dataset.unranked, rows)[1]] = True
    rows = keep("rows_of_training_pairs", ~trained)
    everything = np.ones(len(rows.users), bool)
    rows = keep("rows_of_other_items", everything if ranked is None else ranked[rows.items])
    rows = rows.only(np.lexsort((-rows.worth, rows.items, rows.users)))  # of repeats the best first
    again = (np.diff(rows.users, prepend=-1) == 0) & (np.diff(rows.items, prepend=-1) == 0)
    return keep("rows_repeated", ~again), counts


def _in_matrix(matrix: csr_array, rows: _Rows) -> tuple[np.ndarray, np.ndarray]:
    """(place among the entries, place among the rows) of every row that is in the matrix.

    The matrix has sorted indices.
    """
    users, items = matrix.shape
    keys = np.repeat(np.arange(users, dtype=np.int64) * items, np.diff(matrix.indptr))
    keys += matrix.indices
    wanted = rows.users * items + rows.items
    at = np.searchsorted(keys, wanted)
    hits = np.flatnonzero(np.append(keys, -1)[at] == wanted)
    return at[hits], hits


def _places(rows: _Rows) -> tuple[np.ndarray, np.ndarray]:
    """Of every row how many of the user's items are above it, and how many have its worth."""
    order = np.lexsort((-rows.worth, rows.users))
    users, worth = rows.users[order], rows.worth[order]
    new_user = np.diff(users, prepend=-1) != 0
    new_worth = new_user | (np.concatenate([[True], worth[1:] != worth[:-1]]))
    place = np.arange(len(users))
    first_of_user = np.maximum.accumulate(np.where(new_user, place, 0))
    first_of_worth = np.maximum.accumulate(np.where(new_worth, place, 0))
    group = np.cumsum(new_worth) - 1
    above, tied = np.empty(len(users), np.int64), np.empty(len(users), np.int64)
    above[order] = first_of_worth - first_of_user
    tied[order] = np.bincount(group)[group]
    return above, tied
