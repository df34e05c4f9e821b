"""What is wrong with a dataset (InputError) and what is only suspicious (a list of warnings)."""

import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax.errors import InputError


def check_splits(where: Path | str, splits: Mapping[str, csr_array]) -> list[str]:
    """Checks the [U, I] matrices of train, val and test against each other.

    Raises InputError for an empty split (selection needs val, the result needs test) and for
    pairs that two splits share. One case of sharing is a warning only: val equal to test, which
    is how the public Netflix data comes.
    """
    for split, matrix in splits.items():
        if matrix.nnz == 0:
            raise InputError(
                f"{where}: the {split} split is empty; training needs pairs in train, val and test"
            )
    warnings = []
    val_is_test = _same_pairs(splits["val"], splits["test"])
    if val_is_test:
        warnings.append(
            f"{where}: val IS THE SAME AS test, so the model is selected on the data it is tested "
            "on and the test figures are too good"
        )
    for one, other in itertools.combinations(splits, 2):
        if not (val_is_test and {one, other} == {"val", "test"}):
            _refuse_overlap(where, splits, one, other)
    return warnings + _cold(where, splits["train"])


def check_features(where: Path | str, features: Mapping[str, np.ndarray]) -> list[str]:
    """Warns of feature rows [I, d_m] that cannot tell items apart: all zero, or repeated."""
    warnings = []
    for modality, values in features.items():
        empty = ~values.any(axis=1)
        if zeros := int(empty.sum()):
            warnings.append(
                f"{where}: {zeros} of {len(values)} {modality} feature rows are all zero"
            )
        rows = np.flatnonzero(~empty)
        # Digests, so that a set of wide rows does not cost a second copy of the features.
        distinct = {hashlib.blake2b(values[row], digest_size=16).digest() for row in rows}
        if repeats := len(rows) - len(distinct):
            warnings.append(
                f"{where}: {repeats} of {len(values)} {modality} feature rows repeat an earlier row"
            )
    return warnings


def _refuse_overlap(
    where: Path | str, splits: Mapping[str, csr_array], one: str, other: str
) -> None:
    shared = splits[one].multiply(splits[other]).tocoo()
    if shared.nnz:
        user, item = min(zip(shared.row.tolist(), shared.col.tolist(), strict=True))
        raise InputError(
            f"{where}: {shared.nnz} pairs are in both {one} and {other}, the first is "
            f"user {user}, item {item}; each pair may be in one split only"
        )


def _same_pairs(one: csr_array, other: csr_array) -> bool:
    return np.array_equal(one.indptr, other.indptr) and np.array_equal(one.indices, other.indices)


def _cold(where: Path | str, train: csr_array) -> list[str]:
    degrees = {"users": np.diff(train.indptr), "items": np.asarray(train.sum(axis=0))}
    return [
        f"{where}: {count} of {len(degree)} {kind} have no training pair"
        for kind, degree in degrees.items()
        if (count := int((degree == 0).sum()))
    ]
