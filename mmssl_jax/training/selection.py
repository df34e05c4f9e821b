"""Which epoch of a run is the best, and when a run has waited long enough for a better one.

The best epoch is the one with the highest Recall@20 on validation. Scores are compared in float32,
in which the training state holds them; of equal scores the earliest epoch is the best. A run ends
after `train.epochs`, or at the (`train.patience` + 1)-th validation in a row without a new best.
"""

from typing import NamedTuple

import numpy as np

from mmssl_jax.config import Train

METRIC = "recall@20"  # on validation


class Selection(NamedTuple):
    """What the validations of a run so far have chosen."""

    best_score: float = -1.0  # -1 before any validation
    best_epoch: int = 0
    stale: int = 0  # validations in a row without a new best


def rank(score: float, epoch: int) -> tuple[float, int]:
    """What the best epoch has the most of."""
    return float(np.float32(score)), -epoch


def after(selection: Selection, score: float, epoch: int) -> Selection:
    """The selection after one more validation, of a later epoch."""
    if rank(score, epoch) > rank(selection.best_score, selection.best_epoch):
        return Selection(rank(score, epoch)[0], epoch, 0)
    return selection._replace(stale=selection.stale + 1)


def has_ended(epochs: int, stale: int, train: Train) -> bool:
    """Whether a run of so many epochs is over, without a new best in `stale` validations."""
    return epochs >= train.epochs or stale > train.patience


def stale_after(epochs: int, best_epoch: int, train: Train) -> int:
    """The validations without a new best of a run of so many epochs."""
    return (epochs - best_epoch) // train.evaluate_every
