"""Which items the rows of features are of, where their file does not say so in plain words."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmssl_jax.data.features.tables import Index
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.errors import InputError

_EXACT = 1 << 24  # whole numbers up to here are exact as float32
_FEW_ROWS = 64


def said_of_index(
    path: Path, index: Index, items: Sequence[str], raw: bool, spelling: str
) -> str | None:
    """What is to be said of an index that has the rows' ids; None where it numbers the rows.

    It has the ids where half of its numbers, or of the items, are in the other. Where rows are as
    many as items and it counts them from 0 or 1 that could be chance, so all must be.

    Args:
      path: where it is from.
      index: the column.
      items: the items' raw ids, or their indices as text where `raw` is False.
      raw: whether the data has raw ids.
      spelling: how raw ids are matched, as in `id_spelling.places`.

    Raises:
      InputError: it does neither.
    """
    rows = len(index.values)
    found = int((id_spelling.places(index.values, items, spelling) >= 0).sum())
    counts_items = rows == len(items) and index.start in (0, 1)
    enough = found == rows if counts_items else 2 * found >= min(rows, len(items))
    if index.start == 0 and not (raw and enough):
        return None
    name = listed([index.name])
    if not enough:
        raise InputError(
            f"{path}: its column {name} holds whole numbers that are not the rows' 0, 1, 2, ..., "
            f"and only {found} of {rows} are ids of items; take it out if rows are in the items' "
            "order, or put the items' ids there"
        )
    return (
        f"{path}: its column {name} is taken as raw ids, as {found} of its {rows} numbers are ids "
        "of items; take it out if rows are in the items' order"
    )


def said_of_order(path: Path, items: Sequence[str]) -> str:
    """What is to be said where row i is taken for line i of the items.tsv that an import writes.

    Raises:
      InputError: raw ids are numbers that it has in another order, so who counts goes by another.
    """
    first = listed(items[:3])
    if all(map(_is_whole, items)) and sorted(items, key=int) != list(items):
        raise InputError(
            f"{path}: has no ids, and line i of items.tsv is not the i-th number, as it is sorted "
            f"as text ({first}, ...); say which item each row is of by --item-order FILE, a raw id "
            "a line"
        )
    return (
        f"{path}: has no ids, so row i is taken for line i of items.tsv, which begins with "
        f"{first}; --item-order FILE says which item each row is of"
    )


def said_of_id_column(path: Path, values: np.ndarray, items: Sequence[str]) -> str | None:
    """What is to be said of a column of `values` [n, width] that looks as if it had raw ids.

    Those are whole numbers, no two alike, of which at least half are raw ids.
    """
    if len(values) < 3:  # 0 and 1 are no ids yet
        return None
    numbers = np.array([int(raw) for raw in items if _is_whole(raw)], np.float32)
    start = values[:_FEW_ROWS]
    for column in np.flatnonzero((start == np.rint(start)).all(axis=0)):
        cells = values[:, column]
        found = np.isin(cells, numbers).sum()
        if 2 * found < len(cells) or (cells != np.rint(cells)).any():
            continue
        if len(np.unique(cells)) == len(cells) or np.abs(cells).min() > _EXACT:
            return (
                f"{path}: column {column} of its {values.shape[1]} features, counted from 0, holds "
                f"whole numbers, no two alike, of which {found} of {len(cells)} are raw ids"
            )
    return None


def _is_whole(raw_id: str) -> bool:
    return re.fullmatch(r"-?[0-9]{1,18}", raw_id) is not None
