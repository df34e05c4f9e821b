"""Users without a training pair are ranked by popularity.

A model's scores for them would be accidental: zero (EASE), or from an untrained embedding.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse

from mmssl_jax.data import pair_matrix


class Fallback(NamedTuple):
    """Scores that stand in for a model's where a user has no training pair."""

    trained: np.ndarray  # bool [users]: has a training pair
    scores: np.ndarray  # float32 [items]: training pairs of every item


def fallback(train: scipy.sparse.csr_array) -> Fallback:
    """The fallback of a training matrix [users, items]."""
    return Fallback(
        trained=np.diff(train.indptr) > 0,
        scores=pair_matrix.item_degrees(train).astype(np.float32),
    )


def counts(
    train: scipy.sparse.csr_array, splits: Mapping[str, scipy.sparse.csr_array]
) -> dict[str, int]:
    """'test/unknown_users': how many users of a split are ranked by the fallback."""
    trained = fallback(train).trained
    return {
        f"{split}/unknown_users": int(np.count_nonzero((np.diff(truth.indptr) > 0) & ~trained))
        for split, truth in splits.items()
    }


def note(scores: Mapping[str, Any]) -> str:
    """One line on the users of `counts`, empty where there are none."""
    parts = [
        f"{count} of {split}"
        for split in ("val", "test")
        if (count := scores.get(f"{split}/unknown_users"))
    ]
    if not parts:
        return ""
    return f"Ranked by popularity, as they have no training pair: {' and '.join(parts)} users."
