"""Raw ids by index, from the lists that other projects keep beside their data."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.errors import InputError

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


def read_list(path: Path) -> tuple[str, ...] | None:
    """The raw ids by index, None without the file; the first line may name the columns."""
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    rows = [line.rstrip("\r") for line in lines if line.strip()]
    if rows and not _LINE.fullmatch(rows[0]):
        del rows[0]  # such as: org_id remap_id
    matches = [_LINE.fullmatch(row) for row in rows]
    if bad := [row for row, match in zip(rows, matches, strict=True) if not match]:
        raise InputError(f"{path}: {bad[0][:40]!a} is not a raw id and an index")
    return by_index(path, [int(match[2]) for match in matches], [match[1] for match in matches])
