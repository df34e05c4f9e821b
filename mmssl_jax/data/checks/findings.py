"""What is wrong with a dataset (errors) and what is only suspicious (warnings).

Readers and checks put what they find into `Findings`. Training refuses at the first error and
prints the warnings; the doctor collects everything from the very same checks.
"""

import dataclasses
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax.errors import InputError

ERROR, WARNING = "error", "warning"
ERROR_OF_REPEATS, DROP, KEEP = REPEATS = ("error", "drop", "keep")

FEW_PAIRS = "--val-from-train takes pairs of users with 3 or more to train on, and there are none"
WITHOUT_VAL = (
    "where the data comes without a validation split, 'python -m mmssl_jax.data import PATH --to "
    "data/NAME --val-from-train' holds one out of the training pairs"
)
TRAIN_ON_ALL = "to train on all pairs for serving, without validation, add --final to train.py"


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing found: `level` is ERROR or WARNING, `check` a short name, `message` one line."""

    level: str
    check: str
    message: str


@dataclasses.dataclass(frozen=True)
class SplitRules:
    """What is done about splits as they come.

    `repeats` is for pairs that return in a later split: an error (unless the folder was imported
    with them), or these are dropped from it, or kept. `val_seed` draws a validation split from the
    training pairs, for data that has none. `final` puts the pairs of every split into train, for
    serving. Entries of matrices below `min_rating` are no pairs.
    """

    repeats: str = ERROR_OF_REPEATS
    val_seed: int | None = None
    final: bool = False
    min_rating: float | None = None


class Findings:
    """All that was found. With `collect`, errors are kept too and reading goes on where it can.

    It goes through every reader, and so carries the rules that decide what of the splits is wrong.
    """

    def __init__(self, collect: bool = False, rules: SplitRules = SplitRules()):
        self.collect = collect
        self.rules = rules
        self.listed: list[Finding] = []

    def warn(self, check: str, message: str) -> None:
        self.listed.append(Finding(WARNING, check, message))

    def error(self, check: str, message: str) -> None:
        """Raises InputError, unless errors are collected."""
        if not self.collect:
            raise InputError(message)
        self.listed.append(Finding(ERROR, check, message))

    def attempt(self, check: str, function: Callable, *args) -> Any:
        """What `function(*args)` returns; None where it raised InputError and that is collected."""
        try:
            return function(*args)
        except InputError as error:
            if not self.collect:
                raise
            self.error(check, str(error))
            return None

    def messages(self, level: str) -> list[str]:
        """The messages of ERROR or of WARNING, in the order found."""
        return [finding.message for finding in self.listed if finding.level == level]


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
            "on and the test figures are too good",
        )
    for one, other in itertools.combinations(splits, 2):
        shared = shared_pairs(splits, one, other)
        if shared.nnz and not keep and not (twins and {one, other} == {"val", "test"}):
            _refuse_shared(findings, where, shared, one, other)
    if "train" in splits:
        _check_cold(findings, where, splits["train"])
    if len(splits) == 3:
        _check_unused(findings, where, sum(splits.values()))


def check_recorded(
    findings: Findings, where: Path | str, recorded: Mapping[str, str], actual: Mapping[str, str]
) -> None:
    """Refuses splits whose fingerprint is not the one that the folder's dataset.json records."""
    for split, fingerprint in actual.items():
        if recorded.get(split, fingerprint) != fingerprint:
            findings.error(
                "fingerprint",
                f"{Path(where) / split}.json: does not have the sha256 that dataset.json records, "
                "so it was edited or damaged; import the data again, or remove 'sha256' from "
                "dataset.json",
            )


def checked_ids(
    findings: Findings, where: Path | str, kind: str, ids: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """The raw ids of users or items, which must differ and not be empty; else an error, and None.

    With one id for two users, whoever is asked for by it would get the other's items.
    """
    if ids is None or (len(set(ids)) == len(ids) and all(ids)):
        return ids
    repeated = next((raw for raw, count in Counter(ids).items() if count > 1), "")
    problem = f"is listed {Counter(ids)[repeated]} times" if repeated else "is empty"
    findings.error(
        "ids",
        f"{where}: the raw {kind} id {repeated[:40]!a} {problem}; correct the list of ids, or "
        "remove it",
    )
    return None


def check_features(
    findings: Findings,
    where: Path | str,
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
) -> None:
    """Warns of items whose features are missing, all zero, or those of an earlier item.

    `features` are [I, d_m], `present` bool [I] for the modalities that some items lack.
    """
    for modality, values in features.items():
        known = present.get(modality, np.ones(len(values), bool))
        of = f"of {len(values)}"
        if not known.any():
            findings.error(
                "missing",
                f"{where}: no item has {modality}; leave it out of data.modalities",
            )
        elif lacking := int((~known).sum()):
            findings.warn("missing", f"{where}: {lacking} {of} items have no {modality}")
        empty = known & ~values.any(axis=1)
        if zeros := int(empty.sum()):
            findings.warn(
                "zero rows", f"{where}: {zeros} {of} {modality} feature rows are all zero"
            )
        rows = np.flatnonzero(known & ~empty)
        # Digests, so that a set of wide rows does not cost a second copy of the features.
        distinct = {hashlib.blake2b(values[row], digest_size=16).digest() for row in rows}
        if repeats := len(rows) - len(distinct):
            alike = "; ALL are the same" if 1 + repeats == len(values) else ""
            said = f"{repeats} {of} {modality} feature rows repeat an earlier row{alike}"
            findings.warn("repeated rows", f"{where}: {said}")


def _refuse_shared(
    findings: Findings, where: Path | str, shared: csr_array, one: str, other: str
) -> None:
    pairs = shared.tocoo()
    user, item = min(zip(pairs.row.tolist(), pairs.col.tolist(), strict=True))
    findings.error(
        "overlap",
        f"{where}: {shared.nnz} pairs are in both {one} and {other}, the first is user {user}, "
        f"item {item}; --repeats of import, or --config.data.repeats, decides: 'drop' leaves them "
        f"out of {other}, 'keep' ranks all items, known ones too, for people who buy again",
    )


def shared_pairs(splits: Mapping[str, csr_array], one: str, other: str) -> csr_array:
    """The pairs [U, I] that are in both."""
    return splits[one].multiply(splits[other]).tocsr()


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
            findings.warn("cold", f"{where}: {count} of {len(degree)} {kind} have no training pair")


def _check_unused(findings: Findings, where: Path | str, pairs: csr_array) -> None:
    """Users and items without any pair; those below the largest index in use are gaps."""
    for kind, degree in _degrees(pairs).items():
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
        "items": np.bincount(matrix.indices, minlength=matrix.shape[1]),  # pyright: ignore
    }
