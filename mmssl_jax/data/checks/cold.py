"""Truth that is of cold items: those without a training pair, which many models cannot score."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax.data import pair_matrix
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.errors import InputError

MUCH = 0.2  # a share of the truth that is worth a word
# Tests hold it to the models.
ABLE = "lattice, micro, vbpr and hybrid can, by features of the items"


def unscored(train: csr_array, truths: Mapping[str, csr_array], able: bool) -> dict[str, Any]:
    """'test/unscored_pairs': how many pairs of a split a model has no score for, and their share.

    Args:
      train: the training pairs [users, items].
      truths: split -> the pairs that are looked at.
      able: whether the model scores cold items: then there are none.
    """
    cold = pair_matrix.item_degrees(train) == 0
    found = {}
    for split, truth in truths.items():
        count = 0 if able else int(np.count_nonzero(cold[truth.indices]))
        found[f"{split}/unscored_pairs"] = count
        found[f"{split}/unscored_share"] = count / max(truth.nnz, 1)
    return found


def said(found: dict[str, Any], splits: Sequence[str]) -> str:
    """What is to be said of `unscored`: empty where it is not much in any of the splits."""
    parts = [
        f"{counted(found[f'{split}/unscored_pairs'], f'{split} pair')} ({share:.0%})"
        for split in splits
        if (share := found.get(f"{split}/unscored_share", 0.0)) > MUCH
    ]
    return f"{' and '.join(parts)} are of items without a training pair" if parts else ""


def check(dataset: Dataset, truths: Mapping[str, csr_array], model: str, able: bool) -> None:
    """Prints how much of the truth a model has no score for, where it is much.

    `truths` are the pairs of the splits that count, as in `unscored`.

    Raises:
      InputError: it has none for all of val, by which the epoch would be chosen.
    """
    found = unscored(dataset.train, truths, able)
    if found.get("val/unscored_share") == 1.0:
        count = truths["val"].nnz
        pairs = f"{count} val pairs" if count == dataset.val.nnz else f"{count} ranked val pairs"
        raise InputError(
            f"all {pairs} are of items without a training pair, which model '{model}' cannot "
            f"score, so that no epoch would be better than another; {ABLE}"
        )
    if text := said(found, tuple(truths)):
        print(f"warning: {text}, which model '{model}' cannot score; {ABLE}", file=sys.stderr)
