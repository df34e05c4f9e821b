"""The one form in which data reaches training: three sparse splits and raw item features."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, get_index_dtype

from mmssl_jax.data import checks
from mmssl_jax.errors import InputError

SPLITS = ("train", "val", "test")

# An id of two billion would cost gigabytes of row pointers for one stray number.
MAX_COUNT = 50_000_000

Pairs = tuple[np.ndarray, np.ndarray]  # (users [n], items [n]), integers


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Interactions and item features, checked.

    `train`, `val` and `test` are [U, I] float32 matrices of ones with sorted indices and no
    duplicates. `features` maps a modality to float32 [I, d_m], in sorted name order; it is empty
    for a model without content. `user_ids` and `item_ids` are the raw ids by index, where known.
    `synthetic` is true for generated data. `warnings` are for the caller to print and to store.
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

    @property
    def num_users(self) -> int:
        """U, users without any interaction included."""
        return self.train.shape[0]  # pyright: ignore[reportOptionalSubscript]

    @property
    def num_items(self) -> int:
        """I, items without any interaction included."""
        return self.train.shape[1]  # pyright: ignore[reportOptionalSubscript]

    @functools.cached_property
    def split_fingerprints(self) -> dict[str, str]:
        """sha256 of each split's pairs in sorted order, as little-endian int64 [n, 2]."""
        return {split: _fingerprint(getattr(self, split)) for split in SPLITS}

    @functools.cached_property
    def fingerprint(self) -> str:
        """sha256 over the shape and the fingerprint of each split; features have no part in it."""
        lines = [f"{self.num_users} {self.num_items}", *self.split_fingerprints.values()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def assemble(
    where: Path | str,
    name: str,
    shape: tuple[int, int],
    pairs: Mapping[str, Pairs],
    features: Mapping[str, np.ndarray],
    *,
    user_ids: tuple[str, ...] | None = None,
    item_ids: tuple[str, ...] | None = None,
    synthetic: bool = False,
    warnings: Sequence[str] = (),
) -> Dataset:
    """Checks what a layout has read and makes the `Dataset`; `where` is named in messages.

    Every pair must lie within `shape` = (U, I). Raises InputError for an empty or overlapping
    split and for a shape beyond `MAX_COUNT`; what is only suspicious is added to `warnings`.
    """
    check_counts(where, *shape)
    found = list(warnings)
    splits = {}
    for split in SPLITS:
        splits[split], repeats = _matrix(pairs[split], shape)
        if repeats:
            found.append(f"{where}: {repeats} repeated pairs in the {split} split were merged")
    found += checks.check_splits(where, splits)
    found += checks.check_features(where, features)
    return Dataset(
        name=name,
        **splits,
        features={modality: features[modality] for modality in sorted(features)},
        user_ids=user_ids,
        item_ids=item_ids,
        synthetic=synthetic,
        warnings=tuple(found),
    )


def check_counts(where: Path | str, num_users: int, num_items: int) -> None:
    """Raises InputError where a count is beyond `MAX_COUNT`, before anything is allocated."""
    for count, kind in ((num_users, "users"), (num_items, "items")):
        if count > MAX_COUNT:
            raise InputError(
                f"{where}: {count} {kind} are more than the {MAX_COUNT} this project handles; "
                "ids must be contiguous from 0, so look for a stray large id"
            )


def _matrix(pairs: Pairs, shape: tuple[int, int]) -> tuple[csr_array, int]:
    """The pairs as a canonical matrix of ones, and how many repeats were merged."""
    users, items = (np.asarray(ids, np.int64) for ids in pairs)
    keys = np.unique(users * shape[1] + items)  # sorted by user, then item
    users, indices = np.divmod(keys, max(shape[1], 1))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=shape[0]))])
    index = get_index_dtype(maxval=max(len(keys), *shape))  # int32, unless there are 2^31 pairs
    entries = (np.ones(len(keys), np.float32), indices.astype(index), indptr.astype(index))
    matrix = csr_array(entries, shape=shape)
    matrix.has_canonical_format = True
    return matrix, len(items) - len(keys)


def _fingerprint(matrix: csr_array) -> str:
    users = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
    pairs = np.stack([users, matrix.indices], axis=1).astype("<i8")
    return hashlib.sha256(pairs.tobytes()).hexdigest()
