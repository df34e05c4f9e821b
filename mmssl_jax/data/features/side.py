"""Side information beside the items' modalities, as LLMRec uses it: read from a canonical folder.

user_<name>_feat.npy        row i is user i
attribute_<name>_feat.npy   row i is item i; all are of one width for LLMRec
augmented_edges.npy         integers [n, 3]: a user, a liked item, a disliked one
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmssl_jax.data.arrays import npy
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.errors import InputError

USER, ATTRIBUTE, SUFFIX = "user_", "attribute_", "_feat.npy"
AUGMENTED = "augmented_edges.npy"


class Side(NamedTuple):
    """What a folder has: arrays by name, and the augmented pairs."""

    user_features: Mapping[str, np.ndarray]
    attributes: Mapping[str, np.ndarray]
    augmented: np.ndarray | None


def is_side(name: str) -> bool:
    """Whether `<name>_feat.npy` is no modality of the items."""
    return name.startswith((USER, ATTRIBUTE))


def files(folder: Path) -> list[Path]:
    """The files of a folder that hold side information."""
    patterns = f"{USER}?*{SUFFIX}", f"{ATTRIBUTE}?*{SUFFIX}", AUGMENTED
    return [path for pattern in patterns for path in folder.glob(pattern)]


def read(folder: Path, shape: tuple[int, int], findings: Findings) -> Side:
    """The side information of a folder with so many users and items.

    Raises InputError, unless `findings` collects it, where rows do not fit or a file cannot be
    read.
    """
    users, items = shape
    augmented = findings.attempt("augmented", read_augmented, folder / AUGMENTED, shape, findings)
    return Side(
        _arrays(folder, USER, users, "users", findings),
        _arrays(folder, ATTRIBUTE, items, "items", findings),
        augmented,
    )


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
        raise InputError(f"{path}: has {there} rows, but there are {rows} {kind}")
    return npy.read(path)


def read_augmented(path: Path, shape: tuple[int, int], findings: Findings) -> np.ndarray | None:
    """The augmented pairs, int64 [n, 3] sorted by user; None without the file.

    Rows with an item that does not exist are dropped, as in LLMRec's release, and so are those
    whose two items are the same; a warning says how many. Raises InputError for any other array,
    and for a user that does not exist or comes twice.
    """
    if not path.is_file():
        return None
    header, dtype = npy.checked_header(path)
    if dtype.kind not in "iu" or len(header) != 2 or header[1] != 3:
        raise InputError(
            f"{path}: holds {npy.describe(dtype)} of shape {header}; it must hold integers in "
            "three columns: a user, an item that is liked, and one that is not"
        )
    rows: np.ndarray = npy.load(path).astype(np.int64)
    users = rows[:, 0]
    if len(rows) and not (users.min() >= 0 and users.max() < shape[0]):
        raise InputError(f"{path}: has a user outside 0 to {shape[0] - 1}")
    if len(np.unique(users)) < len(users):
        raise InputError(f"{path}: has a user twice; each has one pair")
    inside = ((rows[:, 1:] >= 0) & (rows[:, 1:] < shape[1])).all(axis=1)
    different = rows[:, 1] != rows[:, 2]
    for dropped, why in (
        (~inside, "name an item that does not exist"),
        (inside & ~different, "have one item as both"),
    ):
        if count := int(dropped.sum()):
            said = f"{count} of {len(rows)} rows {why}; they are left out"
            findings.warn("augmented", f"{path}: {said}")
    kept: np.ndarray = rows[inside & different]
    ordered: np.ndarray = kept[np.argsort(kept[:, 0], kind="stable")]
    return ordered
