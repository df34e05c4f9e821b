"""Pairs of a folder in Parquet that are too many for one machine, read in part.

Of a range of users, or of items, only the row groups are read whose statistics say that they may
have it: none else where the parts are sorted by user, or all where they are not. Degrees are
counted as the parts are read. Nothing here holds all pairs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import check_counts
from mmssl_jax.data.layouts import canonical, parquet_parts, splits_parquet
from mmssl_jax.data.layouts.splits_parquet import ITEM, USER, Examined
from mmssl_jax.data.splits import SPLITS, Pairs
from mmssl_jax.errors import InputError


class PairParts(NamedTuple):
    """A folder's parts, looked through once by `open_parts`; U and I are its users and items."""

    folder: Path
    num_users: int
    num_items: int
    examined: tuple[Examined, ...]

    def count(self, split: str) -> int:
        """How many pairs a split has, those that repeat included."""
        return sum(each.extents[split].pairs for each in self.examined if split in each.extents)

    def of_users(self, split: str, first: int, end: int) -> Pairs:
        """The pairs of the users from `first` up to but not `end`, int32 [n] each.

        They are sorted by user and then item, each once: rows of the matrix of `Dataset`.
        """
        return self._of(split, pl.col(USER).is_between(first, end - 1), (USER, ITEM))

    def of_items(self, split: str, first: int, end: int) -> Pairs:
        """As `of_users`, the pairs of a range of items, sorted by item and then user."""
        return self._of(split, pl.col(ITEM).is_between(first, end - 1), (ITEM, USER))

    def degrees(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """How many pairs each user [U] and each item [I] has, int64; repeats count each time."""
        found = np.zeros(self.num_users, np.int64), np.zeros(self.num_items, np.int64)
        for column, counts in zip((USER, ITEM), found, strict=True):
            for rows in self._rows(split):
                each = rows.group_by(column).len().collect(engine="streaming")
                counts[each[column].to_numpy()] += each["len"].to_numpy()
        return found

    def _of(self, split: str, inside: pl.Expr, order: tuple[str, str]) -> Pairs:
        chosen = [rows.filter(inside).collect(engine="streaming") for rows in self._rows(split)]
        whole = pl.concat(chosen) if chosen else pl.DataFrame(schema=dict.fromkeys(order, pl.Int32))
        pairs = whole.unique().sort(order)
        return pairs[USER].to_numpy(), pairs[ITEM].to_numpy()

    def _rows(self, split: str) -> Iterator[pl.LazyFrame]:
        if split not in SPLITS:
            raise ValueError(f"split {split!r} is none of {SPLITS}")
        for each in self.examined:
            if split in each.extents:
                yield splits_parquet.rows_of(each.part, split)


def open_parts(folder: Path) -> PairParts:
    """Looks through all parts of a folder, in little memory.

    There are as many users and items as dataset.json says, or one more than the largest index.
    Raises InputError for a part that cannot be read, and where the folder has none.
    """
    findings = Findings()
    parts = parquet_parts.find(folder) if folder.is_dir() else []
    if not parts:
        raise InputError(f"{folder}: has no pairs in Parquet (docs/data.md, 'Many pairs')")
    examined = splits_parquet.examine_all(parts, findings)
    extents = [extent for each in examined for extent in each.extents.values()]
    about = canonical.read_about(folder / canonical.ABOUT)
    users = max([about.get("users", 0), *(extent.user + 1 for extent in extents)])
    items = max([about.get("items", 0), *(extent.item + 1 for extent in extents)])
    check_counts(folder, users, items, sum(extent.pairs for extent in extents))
    return PairParts(folder, users, items, tuple(examined))
