"""What is done where splits that come with the data share pairs, or lack one for validation."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax.data import splits
from mmssl_jax.data.checks import findings as checks
from mmssl_jax.data.checks import split_checks
from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.errors import InputError

Matrices = Mapping[str, csr_array]


def settle(
    findings: checks.Findings, where: Path | str, given: Matrices, repeats: str
) -> dict[str, csr_array]:
    """The splits by the rules that `findings` carries, with what was done as warnings.

    Args:
      findings: the `val_seed` of its rules asks for a validation split of the training pairs.
      where: for messages.
      given: [U, I] matrices of those of train, val and test that could be read.
      repeats: what becomes of pairs of an earlier split in a later one, one of `checks.REPEATS`;
        under `ERROR` they stay, and `split_checks.check_splits` refuses them.

    Raises:
      InputError: a validation split is asked for, and there is one that is not the test split.
    """
    if findings.rules.final:
        return _all_in_train(given)
    settled = dict(given)
    if findings.rules.val_seed is not None and "train" in given:
        # A validation split that is the test split is none; so comes the public Netflix data.
        if "val" in given and given["val"].nnz and not split_checks.val_is_test(given):
            raise InputError(
                f"{where}: has {given['val'].nnz} validation pairs already; leave out "
                "--val-from-train"
            )
        settled |= _hold_out(given["train"], findings.rules.val_seed)
        findings.warn(
            "val from train",
            f"{where}: {counted(held := settled['val'].nnz, 'training pair')}, drawn at random, "
            f"{worded(held, 'was', 'were')} held out as its validation split",
        )
    if repeats == checks.ERROR_OF_REPEATS:
        return settled
    _settle_repeats(findings, where, settled, repeats)
    return settled


def _settle_repeats(
    findings: checks.Findings, where: Path | str, settled: dict[str, csr_array], repeats: str
) -> None:
    """Drops the pairs of an earlier split from the later ones, or keeps them, and says so."""
    counts, twins = [], split_checks.val_is_test(settled)  # as they came, before pairs are dropped
    total = 0
    there = [split for split in ("train", "val", "test") if split in settled]
    for one, other in itertools.combinations(there, 2):
        shared = split_checks.shared_pairs(settled, one, other)
        if shared.nnz and not (twins and one == "val"):
            pairs = counted(shared.nnz, f"pair of {one} returns", f"pairs of {one} return")
            counts.append(f"{pairs} in {other}")
            total += shared.nnz
            if repeats == checks.DROP:
                settled[other] = _without(settled[other], shared)
    if counts:
        done = {
            checks.DROP: f"and {worded(total, 'was', 'were')} left out there (to rank "
            f"{worded(total, 'it', 'them')}: repeats keep)",
            checks.KEEP: f"and {worded(total, 'is', 'are')} kept, so EVERY item is ranked, those "
            "trained on included",
        }[repeats]
        findings.warn("repeats", f"{where}: {', '.join(counts)} {done}")


def _all_in_train(given: Matrices) -> dict[str, csr_array]:
    shape = next(iter(given.values())).shape
    empty = csr_array(shape, dtype=np.float32)
    train = sum(given.values(), empty)
    train.data[:] = 1
    return {"train": train, "val": empty, "test": empty.copy()}


def _hold_out(train: csr_array, seed: int) -> dict[str, csr_array]:
    users = np.repeat(np.arange(train.shape[0]), np.diff(train.indptr))
    held = splits.some_per_user(users, seed)
    return {"train": _only(train, ~held), "val": _only(train, held)}


def _without(matrix: csr_array, others: csr_array) -> csr_array:
    """The pairs of a matrix that are not among `others`, which are all in it."""
    width = max(matrix.shape[1], 1)
    keys, gone = (_keys(each, width) for each in (matrix, others))
    return _only(matrix, ~np.isin(keys, gone, assume_unique=True))


def _keys(matrix: csr_array, width: int) -> np.ndarray:
    users = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    keys: np.ndarray = users * width + matrix.indices
    return keys


def _only(matrix: csr_array, kept: np.ndarray) -> csr_array:
    """The entries for which `kept` [nnz] holds, in the same form."""
    before = np.concatenate([[0], np.cumsum(kept)]).astype(matrix.indptr.dtype)
    result = csr_array(
        (matrix.data[kept], matrix.indices[kept], before[matrix.indptr]), shape=matrix.shape
    )
    result.has_canonical_format = True
    return result
