"""The one form in which data reaches training: three sparse splits and raw item features."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax.data import pair_matrix, split_rules
from mmssl_jax.data.checks import feature_checks, id_checks, split_checks
from mmssl_jax.data.checks import findings as checks
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.mapped_pairs import MappedSplit
from mmssl_jax.data.splits import SPLITS, Pairs
from mmssl_jax.errors import InputError

# A stray id of two billion, or of 49 million in a tiny file, would cost gigabytes of row pointers.
MAX_COUNT = 50_000_000
FEW, MAX_RATIO = 1_000_000, 100

_NO_PAIRS = (np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions and item features, checked.

    `train`, `val` and `test` are [U, I] float32 matrices of ones with sorted indices and no
    duplicates. `features` maps a modality to float32 [I, d_m], in sorted name order; it is empty
    for a model without content. `user_ids`, `item_ids` and `item_titles` are by index, where known.
    `present` maps a modality that some items lack to bool [I]: whose features are real. The rows of
    the others are zero, until `content.prepare` puts something there. `user_features` [U, p] and
    `attributes` [I, q] are by name, and `augmented` is int64 [n, 3]: a user, at most once, an item
    that a language model says is liked, and one that is not. `synthetic` is true for
    generated data. `warnings` are for the caller to print and to store. With `repeats`, pairs may
    return in a later split, and what a user has trained on is ranked like the rest. `source` is
    what a config's `data` must say to load it again; it is empty for data in memory alone. Of many
    pairs the matrices, and `mapped_by_item`, the transpose of `train`, are in files.
    """

    name: str
    train: csr_array
    val: csr_array
    test: csr_array
    features: Mapping[str, np.ndarray]
    user_ids: tuple[str, ...] | None
    item_ids: tuple[str, ...] | None
    synthetic: bool
    warnings: tuple[str, ...]
    item_titles: tuple[str, ...] | None = None
    present: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    repeats: bool = False
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    user_features: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    attributes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    augmented: np.ndarray | None = None
    mapped_by_item: csr_array | None = None

    @functools.cached_property
    def by_item(self) -> csr_array:
        """The transpose of `train`, [I, U], with sorted indices."""
        return self.train.T.tocsr() if self.mapped_by_item is None else self.mapped_by_item

    @property
    def user_degrees(self) -> np.ndarray:
        """Training pairs of each user, int [U]."""
        return np.diff(self.train.indptr)

    @functools.cached_property
    def item_degrees(self) -> np.ndarray:
        """How many training pairs each item has, int64 [I]."""
        return pair_matrix.item_degrees(self.train)

    @property
    def num_users(self) -> int:
        """U, users without any interaction included."""
        return int(self.train.shape[0])

    @property
    def num_items(self) -> int:
        """I, items without any interaction included."""
        return int(self.train.shape[1])

    @property
    def unranked(self) -> csr_array:
        """[U, I]: the items that are left out of each user's ranking; the training pairs, or none.

        With `repeats`, masking would hide the right answers, and masking all but these would give
        them away, so nothing is masked.
        """
        return csr_array(self.train.shape, dtype=np.float32) if self.repeats else self.train

    @property
    def final(self) -> bool:
        """Whether every pair is in train: nothing is left to validate or to test on."""
        return not (self.val.nnz or self.test.nnz)

    @property
    def side_information(self) -> dict[str, np.ndarray]:
        """Users' features, attributes and augmented pairs, by the names of their files."""
        found = {f"user_{name}": array for name, array in self.user_features.items()}
        found |= {f"attribute_{name}": array for name, array in self.attributes.items()}
        return found if self.augmented is None else found | {"augmented": self.augmented}

    @functools.cached_property
    def split_fingerprints(self) -> dict[str, str]:
        """sha256 of each split's pairs in sorted order, as little-endian int64 [n, 2]."""
        return {split: pair_matrix.fingerprint(getattr(self, split)) for split in SPLITS}

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 over the shape, each split's fingerprint and `repeats`; features have no part."""
        lines = [f"{self.num_users} {self.num_items}", *self.split_fingerprints.values()]
        lines += ["repeats"] * self.repeats  # the same pairs, ranked by another rule
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @functools.cached_property
    def tie_order(self) -> np.ndarray:
        """The items in a pseudo-random order, int64 [I]: of equal items the first here comes first.

        It is that of a hash of the raw ids (of the index where there are none): the same on every
        machine, and with raw ids however the items are numbered. An order by index would favour
        whatever the numbering follows, such as the time of an item's first sale.
        """
        names = self.item_ids or map(str, range(self.num_items))
        hashes = [hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names]
        return np.argsort(np.frombuffer(b"".join(hashes), ">u8"), kind="stable")


def assemble(
    where: Path | str,
    name: str,
    shape: tuple[int, int],
    pairs: Mapping[str, Pairs | MappedSplit],
    features: Mapping[str, np.ndarray],
    *,
    user_ids: tuple[str, ...] | None = None,
    item_ids: tuple[str, ...] | None = None,
    item_titles: tuple[str, ...] | None = None,
    present: Mapping[str, np.ndarray] | None = None,
    synthetic: bool = False,
    repeats: bool = False,
    recorded: Mapping[str, str] | None = None,
    findings: checks.Findings | None = None,
) -> Dataset:
    """Checks what a layout has read and makes the `Dataset`; `where` is named in messages.

    Every pair must lie within `shape` = (U, I). `present` holds bool [I] for any of the features,
    whose rows become zero where it is false. Raises InputError for a shape that `check_counts`
    refuses and, unless `findings` collects errors, for an empty or overlapping split and for one
    whose fingerprint is not the `recorded` one; what is only suspicious is added to `findings`,
    whose warnings become the dataset's. `repeats` says that the data was made with pairs that
    return; its rules can say so too, or otherwise. Where errors are collected, `pairs` may lack the
    splits that cannot be read: they are then empty.
    """
    findings = findings or checks.Findings()
    check_counts(where, *shape)
    user_ids = id_checks.checked_ids(findings, where, "user", user_ids)
    item_ids = id_checks.checked_ids(findings, where, "item", item_ids)
    rule = findings.rules.repeats
    if rule == checks.ERROR_OF_REPEATS and repeats:
        rule = checks.KEEP
    splits, by_item = _splits(findings, where, shape, pairs, recorded or {}, rule)
    features, present = _checked_features(findings, where, features, present or {})
    return Dataset(
        name=name,
        **splits,
        features=features,
        user_ids=user_ids,
        item_ids=item_ids,
        synthetic=synthetic,
        warnings=tuple(findings.messages(checks.WARNING)),
        item_titles=item_titles,
        present=present,
        repeats=rule == checks.KEEP,
        mapped_by_item=by_item,
    )


def _splits(
    findings: checks.Findings,
    where: Path | str,
    shape: tuple[int, int],
    pairs: Mapping[str, Pairs | MappedSplit],
    recorded: Mapping[str, str],
    repeats: str,
) -> tuple[dict[str, csr_array], csr_array | None]:
    """The matrices, checked by the rule `repeats`, and the transpose of train if it is mapped."""
    splits = {}
    for split in SPLITS:
        splits[split], merged = _matrix(pairs.get(split, _NO_PAIRS), shape)
        if merged:
            repeated = counted(merged, "repeated pair")
            findings.warn("duplicates", f"{where}: merged {repeated} of the {split} split")
    read = {split: splits[split] for split in SPLITS if split in pairs}
    if recorded:
        actual = {split: pair_matrix.fingerprint(matrix) for split, matrix in read.items()}
        split_checks.check_recorded(findings, where, recorded, actual)
    settled = split_rules.settle(findings, where, read, repeats)
    split_checks.check_splits(findings, where, settled, keep=repeats == checks.KEEP)
    train, by_item = pairs.get("train"), None
    if isinstance(train, MappedSplit) and settled["train"] is splits["train"]:
        by_item = pair_matrix.widened(train.by_item, shape[::-1])
    return splits | settled, by_item


def _checked_features(
    findings: checks.Findings,
    where: Path | str,
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Features in the order of their names, zero where missing; the masks of those with gaps."""
    lacking = {name: mask for name, mask in present.items() if not mask.all()}
    zeroed = {name: np.where(mask[:, None], features[name], 0) for name, mask in lacking.items()}
    features = {**features, **zeroed}
    feature_checks.check_features(findings, where, features, lacking)
    return {name: features[name] for name in sorted(features)}, lacking


def check_counts(
    where: Path | str, num_users: int, num_items: int, evidence: int = MAX_COUNT
) -> None:
    """Raises InputError where a count is too large, before anything is allocated.

    `evidence` is how many pairs and feature rows were read, where that is known: a count beyond
    `FEW` that is more than `MAX_RATIO` times as large comes from a stray id, not from data.
    """
    for count, kind in ((num_users, "users"), (num_items, "items")):
        if count > MAX_COUNT:
            limit = f"the {MAX_COUNT} this project handles"
        elif count > max(FEW, MAX_RATIO * evidence):
            limit = f"{evidence} pairs and feature rows can account for"
        else:
            continue
        raise InputError(
            f"{where}: {count} {kind} are more than {limit}; "
            "ids must be contiguous from 0, so look for a stray large id"
        )


def _matrix(pairs: Pairs | MappedSplit, shape: tuple[int, int]) -> tuple[csr_array, int]:
    """The matrix of ones, and how many repeats were merged."""
    if isinstance(pairs, MappedSplit):
        return pair_matrix.widened(pairs.matrix, shape), pairs.pairs - pairs.matrix.nnz
    return pair_matrix.made(pairs, shape)
