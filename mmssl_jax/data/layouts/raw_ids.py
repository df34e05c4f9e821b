"""Raw ids by index, from the lists that other projects keep beside their data."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.errors import InputError
from mmssl_jax.files import text

_LINE = re.compile(r"(.*\S)[ \t]+([0-9]{1,10})[ \t]*")


def by_index(
    path: Path, indices: Sequence[int] | np.ndarray, ids: Sequence[str]
) -> tuple[str, ...]:
    """The ids in the order of their indices, which must be 0, 1, 2, ..., each once.

    Raises InputError otherwise.
    """
    order = np.argsort(indices, kind="stable")
    if not np.array_equal(np.asarray(indices, np.int64)[order], np.arange(len(order))):
        raise InputError(
            f"{path}: must list every index from 0 to {len(order) - 1} once; correct or remove it"
        )
    return tuple(ids[place] for place in order)


class IdLists(NamedTuple):
    """The raw ids of users and of items by index, each with its file; None where there is none."""

    users_path: Path
    items_path: Path
    users: tuple[str, ...] | None
    items: tuple[str, ...] | None


def complete(
    path: Path, ids: tuple[str, ...] | None, count: int, findings: Findings
) -> tuple[str, ...] | None:
    """The ids where there are `count` of them; fewer are an error."""
    if ids is not None and len(ids) < count:
        findings.error(
            "ids", f"{path}: lists {len(ids)} raw ids of {count}; complete it, or remove it"
        )
        return None
    return ids


def read_lists(users_path: Path, items_path: Path, findings: Findings) -> IdLists:
    """The lists of users and items; `findings` may collect what `read_list` raises."""
    users = findings.attempt("ids", read_list, users_path)
    items = findings.attempt("ids", read_list, items_path)
    return IdLists(users_path, items_path, users, items)


def read_list(path: Path) -> tuple[str, ...] | None:
    """The raw ids by index, None without the file; the first line may name the columns."""
    if not path.is_file():
        return None
    rows = [line.rstrip("\r") for line in text.read(path).split("\n") if line.strip()]
    if rows and not _LINE.fullmatch(rows[0]):
        del rows[0]  # such as: org_id remap_id
    indices, ids = [], []
    for row in rows:
        match = _LINE.fullmatch(row)
        if match is None:
            raise InputError(f"{path}: {row[:40]!r} is not a raw id and an index")
        ids.append(match[1])
        indices.append(int(match[2]))
    return by_index(path, indices, ids)
