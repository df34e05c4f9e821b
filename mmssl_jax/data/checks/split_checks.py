"""What is wrong or suspicious in the splits of a data set."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, vstack

from mmssl_jax.data import pair_matrix
from mmssl_jax.data.checks.findings import (
    ANOTHER_VAL,
    FEW_PAIRS,
    TRAIN_ON_ALL,
    WITHOUT_VAL,
    Findings,
)
from mmssl_jax.data.checks.wording import counted, worded

_AT_A_TIME = 1 << 24  # pairs

FINGERPRINT = "fingerprint"  # the check of `check_recorded`


def check_splits(
    findings: Findings, where: Path | str, splits: Mapping[str, csr_array], keep: bool = False
) -> None:
    """Checks the [U, I] matrices of those of train, val and test that could be read.

    An empty split is an error (selection needs val, the result needs test), and so are pairs that
    two splits share, unless `keep` says that they may. One case of sharing is a warning only: val
    equal to test, which is how the public Netflix data comes.
    """
    for split, matrix in splits.items():
        if matrix.nnz == 0 and not (findings.rules.final and split != "train"):
            tried = findings.rules.val_seed is not None
            hint = {
                "train": "",
                "val": f"; {FEW_PAIRS if tried else WITHOUT_VAL}; {TRAIN_ON_ALL}",
                "test": f"; {TRAIN_ON_ALL}",
            }
            findings.error(
                "empty",
                f"{where}: the {split} split is empty; training needs pairs in train, val and test"
                f"{hint[split]}",
            )
    twins = val_is_test(splits)
    if twins:
        findings.warn(
            "val is test",
            f"{where}: val IS THE SAME AS test, so the model is selected on the data it is tested "
            f"on and the test figures are too good; {ANOTHER_VAL}",
        )
    for one, other in itertools.combinations(splits, 2):
        shared = shared_pairs(splits, one, other)
        if shared.nnz and not keep and not (twins and {one, other} == {"val", "test"}):
            _refuse_shared(findings, where, shared, one, other)
    if "train" in splits:
        _check_cold(findings, where, splits["train"])
    if len(splits) == 3:
        _check_unused(findings, where, splits)


def check_recorded(
    findings: Findings, where: Path | str, recorded: Mapping[str, str], actual: Mapping[str, str]
) -> None:
    """Refuses splits whose fingerprint is not the one that the folder's dataset.json records."""
    for split, fingerprint in actual.items():
        if recorded.get(split, fingerprint) != fingerprint:
            file = Path(where) / f"{split}.json"
            of = file if file.is_file() else f"{where}: the {split} split"
            findings.error(
                FINGERPRINT,
                f"{of}: does not have the sha256 that dataset.json records, "
                "so it was edited or damaged; import the data again, or, if the change is meant, "
                f"mmssl data check {where} --accept",
            )


def _refuse_shared(
    findings: Findings, where: Path | str, shared: csr_array, one: str, other: str
) -> None:
    pairs = shared.tocoo()
    user = int(pairs.row.min())
    item = int(pairs.col[pairs.row == user].min())
    findings.error(
        "overlap",
        f"{where}: {counted(shared.nnz, 'pair is', 'pairs are')} in both {one} and {other}, the "
        f"first is user {user}, item {item}; --repeats of import, or --config.data.repeats, "
        f"decides: 'drop' leaves {worded(shared.nnz, 'it', 'them')} "
        f"out of {other}, 'keep' ranks all items, known ones too, for people who buy again",
    )


def shared_pairs(splits: Mapping[str, csr_array], one: str, other: str) -> csr_array:
    """The pairs [U, I] that are in both, looked for in some users at a time."""
    first, second = splits[one], splits[other]
    blocks = pair_matrix.row_blocks(first.indptr, _AT_A_TIME)
    shared = [first[start:end].multiply(second[start:end]) for start, end in blocks]
    return vstack(shared, format="csr") if shared else csr_array(first.shape, dtype=first.dtype)


def val_is_test(splits: Mapping[str, csr_array]) -> bool:
    """Whether val as a whole is test, as the public Netflix data has it."""
    if not {"val", "test"} <= splits.keys():
        return False
    one, other = splits["val"], splits["test"]
    return (
        one.nnz > 0
        and np.array_equal(one.indptr, other.indptr)
        and np.array_equal(one.indices, other.indices)
    )


def _check_cold(findings: Findings, where: Path | str, train: csr_array) -> None:
    for kind, degree in _degrees(train).items():
        if count := int((degree == 0).sum()):
            of_kind = f"{count} of {len(degree)} {kind} {worded(count, 'has', 'have')}"
            findings.warn("cold", f"{where}: {of_kind} no training pair")


def _check_unused(findings: Findings, where: Path | str, splits: Mapping[str, csr_array]) -> None:
    """Users and items without any pair; those below the largest index in use are gaps."""
    degrees = [_degrees(matrix) for matrix in splits.values()]
    for kind in degrees[0]:
        degree = np.sum([of_split[kind] for of_split in degrees], axis=0)
        used = np.flatnonzero(degree)
        if unused := len(degree) - len(used):
            loud = unused > len(degree) / 10  # a few are common, many mean that data is missing
            split = "NO SPLIT" if loud else "no split"
            message = f"{where}: {unused} of {len(degree)} {kind} are in {split}"
            if gaps := int(used.max(initial=-1)) + 1 - len(used):
                message += f"; {gaps} of their indices lie below the largest in use, {used[-1]}"
            findings.warn("unused", message)


def _degrees(matrix: csr_array) -> dict[str, np.ndarray]:
    return {
        "users": np.diff(matrix.indptr),
        "items": pair_matrix.item_degrees(matrix),
    }
