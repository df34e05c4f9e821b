"""One split as JSON: an object from a user index, as decimal text, to a list of item indices."""

import itertools
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.errors import InputError

MAX_ID = 2**31 - 2  # so that id + 1, the count, is an int32
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")  # one spelling for each user: 7 and 007 would be two keys


class Split(NamedTuple):
    """The pairs of one file, int64 or int32 [n] each, and the counts its ids imply.

    A user with an empty list counts as a user.
    """

    users: np.ndarray
    items: np.ndarray
    num_users: int
    num_items: int

    @property
    def pairs(self) -> int:
        """How many there are, with those that repeat."""
        return len(self.users)


def read_json_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; raises InputError for broken JSON and repeated keys."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        value = json.loads(text, object_pairs_hook=lambda pairs: _unique(path, pairs))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}); write it again") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds a JSON {type(value).__name__}, expected an object")
    return value


def read_split(path: Path) -> Split:
    """Reads one split; raises InputError for anything but users with lists of item indices."""
    content = read_json_object(path)
    for key, items in content.items():
        if not _INDEX.fullmatch(key) or int(key) > MAX_ID:
            raise InputError(
                f"{path}: {_short(key)} is not a user index; keys are decimal integers, "
                f"0 to {MAX_ID}, without sign or leading zeros"
            )
        if type(items) is not list:
            raise InputError(f"{path}: user {key} has {_short(items)}, not a list of item indices")
        # type(), not isinstance: true and false are integers to Python.
        bad = [item for item in items if type(item) is not int or not 0 <= item <= MAX_ID]
        if bad:
            raise InputError(
                f"{path}: user {key} has item {_short(bad[0])}; "
                f"items are integers from 0 to {MAX_ID}"
            )
    indices = [int(key) for key in content]
    lengths = [len(items) for items in content.values()]
    items = np.fromiter(itertools.chain.from_iterable(content.values()), np.int64, sum(lengths))
    return Split(
        users=np.repeat(np.array(indices, np.int64), lengths),
        items=items,
        num_users=max(indices, default=-1) + 1,
        num_items=int(items.max(initial=-1)) + 1,
    )


def read_splits(folder: Path, findings: Findings) -> dict[str, Split]:
    """The splits of a folder, without those that are missing or, where collected, unreadable."""
    paths = {split: folder / f"{split}.json" for split in SPLITS}
    parts = {
        split: findings.attempt("split", read_split, path)
        for split, path in paths.items()
        if path.is_file()
    }
    return {split: part for split, part in parts.items() if part is not None}


def write_split(path: Path, matrix: csr_array) -> None:
    """Writes a [U, I] matrix as `read_split` reads it, users without a pair left out."""
    indices, bounds = matrix.indices.tolist(), matrix.indptr.tolist()
    content = {
        str(user): indices[start:end]
        for user, (start, end) in enumerate(itertools.pairwise(bounds))
        if end > start
    }
    path.write_text(json.dumps(content), encoding="utf-8")


def _unique(path: Path, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = {}
    for key, value in pairs:
        if key in content:
            raise InputError(f"{path}: the key {_short(key)} is there twice; merge the two")
        content[key] = value
    return content


def _short(value: Any) -> str:
    # Containers by their type only: they can be a megabyte long, or nested as deep.
    return repr(value)[:60] if isinstance(value, (str, int, float, bool)) else type(value).__name__
