"""Ids as numbers from the moment they are read: 4 bytes a row, and each text once.

So a table of very many rows is read in little memory; the rules of ids go by the distinct texts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.tables import values as table_values
from mmssl_jax.data.tables.values import IDS

# As which text is held, where all of it fits.
_ORDERS = ("rank", "score")  # which stay text where floats do not tell whole numbers apart
_EXACT = 1 << 53  # whole numbers below are exact as floats
_NUMBERS = {"time": pl.Int64} | dict.fromkeys(("rating", "rank", "score"), pl.Float64)


class Rows(NamedTuple):
    """Rows of a table, columns by their roles.

    Users and items are places, uint32, in the sorted distinct `texts` of their role.
    """

    frame: pl.DataFrame
    texts: dict[str, pl.Series]

    def ids(self, role: str) -> pl.Series:
        """The texts of all rows."""
        return self.texts[role].gather(self.frame[role])


def collect(
    path: Path,
    table: pl.LazyFrame,
    taken: Mapping[str, str],
    also: Mapping[str, pl.Expr] | None = None,
    **options: Any,
) -> Rows:
    """The columns that are taken, by role, without holding any text of the ids twice.

    Args:
      path: named in errors.
      table: read several times, a part after the other.
      taken: role -> column.
      also: other columns, by name.
      **options: of polars' `collect`.

    Raises:
      InputError: a column of ids has a type that is none, or fractions.
    """
    kinds, texts, chosen = table.collect_schema(), {}, dict(also or {})
    for role, name in taken.items():
        column = pl.col(name)
        if role in IDS:
            raw = _collected(table.select(column).unique(), options)[name]
            texts[role] = table_values.as_text(path, raw, role, name).drop_nulls().sort()
            text = table_values.text_of_rows(kinds[name], column)
            column = text.cast(pl.Enum(texts[role])).to_physical().cast(pl.UInt32)
        elif kinds[name] == pl.String and role in _NUMBERS:
            number = column.cast(_NUMBERS[role], strict=False)
            lost = (number.is_null() & column.is_not_null()).any()
            if role in _ORDERS:
                lost |= (number.is_finite() & (number.abs() >= _EXACT)).any()
            if not _collected(table.select(lost), options).item():
                column = number
        chosen[role] = column
    return Rows(_collected(table.select(**chosen), options), texts)


def _collected(table: pl.LazyFrame, options: Mapping[str, Any]) -> pl.DataFrame:
    frame: pl.DataFrame = table.collect(engine="streaming", **options)
    return frame


def respelt(rows: Rows, role: str, texts: pl.Series) -> Rows:
    """The rows with other `texts` in the place of those of a role; null where the id is none."""
    distinct = texts.drop_nulls().unique().sort()
    places = texts.cast(pl.Enum(distinct)).to_physical().cast(pl.UInt32)
    frame = rows.frame.with_columns(places.gather(rows.frame[role]).alias(role))
    return Rows(frame, rows.texts | {role: distinct})


def joined(tables: list[Rows]) -> Rows:
    """The rows of several tables with the same columns."""
    texts = {}
    for role in IDS:
        every = pl.concat([rows.texts[role] for rows in tables])
        texts[role] = every.unique().sort()
        kind = pl.Enum(texts[role])
        tables = [
            rows._replace(
                frame=rows.frame.with_columns(
                    rows.texts[role].cast(kind).to_physical().cast(pl.UInt32)
                    .gather(rows.frame[role]).alias(role)
                )
            )
            for rows in tables
        ]  # fmt: skip
    frames = [rows.frame for rows in tables]
    return Rows(pl.concat(frames, how="vertical_relaxed"), texts)


def counts(rows: Rows, role: str) -> np.ndarray:
    """How many rows have each of the texts, int64."""
    return np.bincount(rows.frame[role].to_numpy(), minlength=len(rows.texts[role]))


def in_use(rows: Rows, role: str) -> Rows:
    """Without texts that no row has any more."""
    used = pl.Series(counts(rows, role) > 0)
    return rows if used.all() else respelt(rows, role, rows.texts[role].set(~used, None))
