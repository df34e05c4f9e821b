"""Side information beside the items' modalities, as LLMRec uses it, in a folder of any layout.

user_<name>_feat.npy        row i is user i
attribute_<name>_feat.npy   row i is item i; all are of one width for LLMRec
augmented_edges.npy         integers [n, 3]: a user, a liked item, a disliked one

LLMRec's public folders have pickles instead, which are read where there is none of these files:

augmented_user_init_embedding         user -> vector; becomes the users' `profile`
augmented_atttribute_embedding_dict   name -> item -> vector
augmented_sample_dict                 user -> {0: liked, 1: disliked}
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmssl_jax.data.arrays import npy, pickled_dicts
from mmssl_jax.data.checks.findings import WARNING, Findings
from mmssl_jax.data.checks.wording import worded
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.errors import InputError

USER, ATTRIBUTE, SUFFIX = "user_", "attribute_", "_feat.npy"
AUGMENTED = "augmented_edges.npy"
PROFILES, PROFILE = "augmented_user_init_embedding", "profile"
ATTRIBUTES = "augmented_atttribute_embedding_dict"  # with three t, as published
PAIRS = "augmented_sample_dict"
PICKLES = (PROFILES, ATTRIBUTES, PAIRS)


_REMEDY = (
    f"files named {USER}..., {ATTRIBUTE}... or {AUGMENTED} are side information (docs/llmrec.md); "
    "make its rows fit, or rename the file if it is a modality"
)


class Side(NamedTuple):
    """What a folder has: arrays by name, and the augmented pairs."""

    user_features: Mapping[str, np.ndarray]
    attributes: Mapping[str, np.ndarray]
    augmented: np.ndarray | None


def is_side(name: str) -> bool:
    """Whether `<name>_feat.npy` is no modality of the items."""
    return name.startswith((USER, ATTRIBUTE))


def added(dataset: Dataset, folder: Path, findings: Findings) -> Dataset:
    """The data set with the side information of a folder, of whatever layout.

    Raises InputError as `read` does.
    """
    before = len(findings.messages(WARNING))
    found = read(folder, dataset.train.shape, findings)
    said = findings.messages(WARNING)[before:]
    return dataclasses.replace(dataset, **found._asdict(), warnings=(*dataset.warnings, *said))


def files(folder: Path) -> list[Path]:
    """The files of a folder that hold side information."""
    patterns = f"{USER}?*{SUFFIX}", f"{ATTRIBUTE}?*{SUFFIX}"
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    return found + [folder / name for name in (AUGMENTED, *PICKLES)]


def read(folder: Path, shape: tuple[int, int], findings: Findings) -> Side:
    """The side information of a folder with so many users and items.

    Raises InputError, unless `findings` collects it, where rows do not fit or a file cannot be
    read.
    """
    users, items = shape
    profiles = _arrays(folder, USER, users, "users", findings)
    if not profiles:
        profiles = findings.attempt("features", _profiles, folder / PROFILES, users) or {}
    attributes = _arrays(folder, ATTRIBUTE, items, "items", findings)
    if not attributes:
        attributes = findings.attempt("features", _attributes, folder / ATTRIBUTES, items) or {}
    augmented = findings.attempt("augmented", read_augmented, folder, shape, findings)
    return Side(profiles, attributes, augmented)


def _is_there(path: Path) -> bool:
    """Whether there is a file; InputError for a folder, a pipe or a link to nowhere."""
    if path.is_file():
        return True
    if os.path.lexists(path):
        raise InputError(f"{path}: is no file; {_REMEDY}")
    return False


def _profiles(path: Path, users: int) -> dict[str, np.ndarray]:
    """The users' profiles of LLMRec's pickle; none without it."""
    if not _is_there(path):
        return {}
    return {PROFILE: _fitting(path, pickled_dicts.read_vectors(path), users, "users")}


def _attributes(path: Path, items: int) -> dict[str, np.ndarray]:
    """The items' attributes of LLMRec's pickle; none without it."""
    if not _is_there(path):
        return {}
    found = pickled_dicts.read_named_vectors(path)
    return {name: _fitting(path, array, items, "items") for name, array in sorted(found.items())}


def _fitting(path: Path, array: np.ndarray, rows: int, kind: str) -> np.ndarray:
    if len(array) != rows:
        raise InputError(f"{path}: has {len(array)} vectors, but there are {rows} {kind}")
    return array


def _arrays(
    folder: Path, prefix: str, rows: int, kind: str, findings: Findings
) -> dict[str, np.ndarray]:
    """The arrays of one kind by name, in sorted order."""
    found = {}
    for path in sorted(folder.glob(f"{prefix}?*{SUFFIX}")):
        array = findings.attempt("features", _read_rows, path, rows, kind)
        if array is not None:
            found[path.name.removeprefix(prefix).removesuffix(SUFFIX)] = array
    return found


def _read_rows(path: Path, rows: int, kind: str) -> np.ndarray:
    there = npy.read_header(path)[0]
    if there != rows:
        raise InputError(f"{path}: has {there} rows, but there are {rows} {kind}; {_REMEDY}")
    return npy.read(path)


def read_augmented(folder: Path, shape: tuple[int, int], findings: Findings) -> np.ndarray | None:
    """The augmented pairs, int64 [n, 3] sorted by user; None without a file of them.

    Rows with an item that does not exist are dropped, as in LLMRec's release, and so are those
    whose two items are the same; a warning says how many. Raises InputError for any other array,
    and for a user that does not exist or comes twice.
    """
    path = folder / AUGMENTED
    if _is_there(path):
        return _checked(path, _rows_of(path), shape, findings)
    path = folder / PAIRS
    if not _is_there(path):
        return None
    return _checked(path, pickled_dicts.read_pairs(path), shape, findings)


def _rows_of(path: Path) -> np.ndarray:
    """The rows of augmented_edges.npy."""
    header, dtype = npy.checked_header(path)
    if dtype.kind not in "iu" or len(header) != 2 or header[1] != 3:
        raise InputError(
            f"{path}: holds {npy.describe(dtype)} of shape {header}; it must hold integers in "
            "three columns: a user, an item that is liked, and one that is not"
        )
    rows: np.ndarray = npy.load(path).astype(np.int64)
    return rows


def _checked(
    path: Path, rows: np.ndarray, shape: tuple[int, int], findings: Findings
) -> np.ndarray:
    """The rows that can be used, sorted by user."""
    users = rows[:, 0]
    if len(rows) and not (users.min() >= 0 and users.max() < shape[0]):
        raise InputError(
            f"{path}: has a user outside 0 to {shape[0] - 1}; users are indices, as in train.json"
        )
    if len(np.unique(users)) < len(users):
        raise InputError(f"{path}: has a user twice; leave one pair of each user")
    inside = ((rows[:, 1:] >= 0) & (rows[:, 1:] < shape[1])).all(axis=1)
    different = rows[:, 1] != rows[:, 2]
    for dropped, verb, why in (
        (~inside, ("names", "name"), "an item that does not exist"),
        (inside & ~different, ("has", "have"), "one item as both"),
    ):
        if count := int(dropped.sum()):
            said = f"{count} of {len(rows)} rows {worded(count, *verb)} {why}; "
            said += worded(count, "it is left out", "they are left out")
            findings.warn("augmented", f"{path}: {said}")
    kept: np.ndarray = rows[inside & different]
    ordered: np.ndarray = kept[np.argsort(kept[:, 0], kind="stable")]
    return ordered
