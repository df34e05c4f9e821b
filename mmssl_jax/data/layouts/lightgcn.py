"""The folder of LightGCN, NGCF and KGAT: a line for each user, of indices alone.

train.txt test.txt                 user index, space, item indices
val.txt or valid.txt               the same (optional: import makes one of the training pairs)
user_list.txt item_list.txt        raw id and index (optional)
<modality>_feat.npy                row i is item i
"""

import re
from pathlib import Path

import numpy as np

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import patterns, raw_ids
from mmssl_jax.data.layouts.indexed import assemble_indexed
from mmssl_jax.data.layouts.splits_json import MAX_ID, Split
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.errors import InputError

FILES = ("train.txt", "{val,valid,validation}.txt", "test.txt")
_LINE = re.compile(rb"[0-9]{1,10}([ \t]+[0-9]{1,10})*[ \t\r]*")
_TABLE = "if these are tables with columns, import them with --from table"


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """Reads the text files and the chosen *_feat.npy; raises InputError.

    Users and items are counted as in `assemble_indexed`.
    """
    found = features.find(folder)
    chosen = findings.attempt("modalities", features.choose, modalities, found, folder) or ()
    splits: dict[str, Split] = {}
    for split, pattern in zip(SPLITS, FILES, strict=True):
        paths = patterns.matches(folder, pattern)
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths[:3])
            findings.error("files", f"{folder}: holds {names}; keep the one that is meant")
        part = findings.attempt("split", read_split, paths[0]) if paths else None
        if part is not None:
            splits[split] = part
    ids = raw_ids.read_lists(folder / "user_list.txt", folder / "item_list.txt", findings)
    return assemble_indexed(folder, folder.resolve().name, splits, ids, found, chosen, findings)


def read_split(path: Path) -> Split:
    """The pairs of a file; a user without items is a user still.

    Raises InputError for anything but indices, and for a user on two lines that hold more than a
    pair each, which are then rows of a table.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        lines = [line for line in content.split(b"\n") if line.strip()]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    for number, line in enumerate(lines, start=1):
        if not _LINE.fullmatch(line):
            shown = repr(line[:40].decode(errors="replace"))
            raise InputError(
                f"{path}: {shown}, line {number} of those not blank, is not a user's index and "
                f"items' indices with spaces between; {_TABLE}"
            )
    if not lines:
        raise InputError(f"{path}: is empty; get the file again")
    lengths = np.array([len(line.split()) - 1 for line in lines])
    numbers = np.fromstring(b" ".join(lines), np.int64, sep=" ")
    if (largest := int(numbers.max())) > MAX_ID:
        raise InputError(f"{path}: has the index {largest}; indices are at most {MAX_ID}")
    starts = np.cumsum(lengths + 1) - lengths - 1
    users = numbers[starts]
    distinct, occurs = np.unique(users, return_counts=True)
    if len(distinct) < len(users) and lengths.max() > 1:
        twice = distinct[occurs > 1][0]
        raise InputError(f"{path}: user {twice} has {occurs.max()} lines, not one; {_TABLE}")
    items = np.delete(numbers, starts)
    return Split(
        users=np.repeat(users, lengths),
        items=items,
        num_users=int(users.max()) + 1,
        num_items=int(items.max(initial=-1)) + 1,
    )


def fits(folder: Path) -> bool:
    """Whether train.txt starts with indices in the way of this layout, not with a table's line."""
    try:
        with (folder / FILES[0]).open("rb") as file:
            start = file.read(1 << 16)
    except OSError:
        return False
    lines = [line for line in start.split(b"\n")[:-1] or [start] if line.strip()]
    return bool(lines) and all(_LINE.fullmatch(line) and b"\t" not in line for line in lines)
