"""A table in one file, or in one for each split."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from mmssl_jax.data.tables import coded, presplit, unused_columns
from mmssl_jax.data.tables.column_names import IF_THERE, SPLIT, listed
from mmssl_jax.data.tables.files import Columns, read_columns
from mmssl_jax.errors import InputError


def read(
    path: Path | Mapping[str, Path],
    columns: Mapping[str, str | None],
    separator: str | None,
    header: bool,
) -> Columns:
    """`read_columns` of one file; or of one for each split, which becomes a column."""
    if isinstance(path, Path):
        return read_columns(path, columns, separator, header)
    parts = {split: read_columns(part, columns, separator, header) for split, part in path.items()}
    first, *others = [taken for _, taken, _ in parts.values()]
    shared = {
        role: name
        for role, name in first.items()
        if all(taken.get(role) == name for taken in others)
    }
    for part, taken in zip(list(path.values())[1:], others, strict=True):
        if any(taken.get(role) != first.get(role) for role in columns if columns[role] != IF_THERE):
            raise InputError(
                f"{part}: its columns are taken as {listed(list(taken.values()))}, those of the "
                f"splits before as {listed(list(first.values()))}; name them by options"
            )
    frames = [
        rows.frame.select(*shared, pl.lit(split).alias(SPLIT))
        for split, (rows, _, _) in parts.items()
    ]
    texts = [rows.texts for rows, _, _ in parts.values()]
    said = [message for _, _, messages in parts.values() for message in messages]
    whole = coded.joined(list(map(coded.Rows, _comparable(frames), texts)))
    return whole, shared | {SPLIT: presplit.said(path)}, unused_columns.once(said)


def _comparable(frames: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """The frames with times as text where one has dates and another something else.

    polars would make days of dates beside numbers, and cannot join dates with and without a zone.
    """
    mixed = [
        role
        for role in frames[0].columns
        if len({frame.schema[role] for frame in frames}) > 1
        and any(frame.schema[role].is_temporal() for frame in frames)
    ]
    return [frame.with_columns(_as_text(frame[role]) for role in mixed) for frame in frames]


def _as_text(times: pl.Series) -> pl.Series:
    if not times.dtype.is_temporal():
        return times.cast(pl.String)
    zone = "Z" if getattr(times.dtype, "time_zone", None) else ""
    return times.cast(pl.Datetime("us")).cast(pl.String) + zone  # in UTC
