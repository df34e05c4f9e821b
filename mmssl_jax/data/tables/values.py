"""The values of a table's column, in the type that its role needs."""

from pathlib import Path
from typing import Any

import polars as pl

from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.errors import InputError

IDS = ("user", "item")
_NUMBERS = ("time", "rating", "rank", "score")
_EXACT = 1 << 53  # whole numbers up to here are exact as floats
_INVISIBLE = r"^[\s\p{Cf}]*$"


def read(path: Path, column: pl.Series, role: str, name: str) -> pl.Series:
    """A column as text or, of a Parquet file, numbers or dates; null where it is blank.

    Raises InputError where `role` cannot have such values; `name` is what the column is called.
    """
    column = as_text(path, column, role, name)
    if column.dtype != pl.String:
        return column
    if role in IDS:
        return without_blanks(column)
    stripped = column.str.strip_chars()
    return stripped.set(stripped == "", None)


def as_text(path: Path, column: pl.Series, role: str, name: str) -> pl.Series:
    """As `read`, but with blanks."""
    kind = column.dtype
    if not fits(kind, role):
        raise InputError(f"{path}: column {listed([name])} holds {kind}, which is no {role}")
    if role in IDS and kind.is_float():
        column = _whole(path, column, name)
    elif kind == pl.Boolean:
        column = column.cast(pl.Int8 if role == "rating" else pl.String)
    elif kind in (pl.Categorical, pl.Enum, pl.Null) or (kind.is_numeric() and role not in _NUMBERS):
        column = column.cast(pl.String)
    return column


def text_of_rows(kind: Any, column: pl.Expr) -> pl.Expr:
    """Ids of this polars type as `as_text` makes of them, which has looked at all there are."""
    if kind.is_float():
        return column.fill_nan(None).cast(pl.Int64).cast(pl.String) + ".0"
    return column.cast(pl.String)


def without_blanks(ids: pl.Series) -> pl.Series:
    """Ids, null where they are blank."""
    return ids.set(ids.str.strip_chars().str.contains(_INVISIBLE), None)


def fits(kind: Any, role: str) -> bool:
    """Whether a column of this polars type can have that role."""
    if kind in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return True
    if role == "time":
        return bool(kind.is_numeric() or kind in (pl.Date, pl.Datetime))
    if role == "split":
        return bool(kind.is_integer())
    if role in IDS:
        return bool(kind.is_integer() or kind.is_float())
    return bool(kind.is_numeric() or kind == pl.Boolean)


def _whole(path: Path, column: pl.Series, name: str) -> pl.Series:
    """Ids that are floats, as pandas makes of a column with a gap, as text like 12.0."""
    column = column.fill_nan(None)
    exact = (column.floor() == column) & (column.abs() <= _EXACT)
    if not exact.fill_null(True).all():
        raise InputError(
            f"{path}: column {listed([name])} holds {column.dtype}s such as "
            f"{column.filter(~exact)[0]}, which may not be the ids any more; save it as whole "
            "numbers or text"
        )
    return column.cast(pl.Int64).cast(pl.String) + ".0"
