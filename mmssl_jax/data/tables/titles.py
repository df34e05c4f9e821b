"""Titles of the items at import: from a column of the table itself, or from a table of items."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.data.tables.coded import Rows
from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.errors import InputError

_MAX_TITLE = 1000  # characters
_MOST_SEVERAL = 10  # at most one in so many items may have several titles, of a guessed column


def of_rows(
    path: Path, rows: Rows, name: str, guessed: bool
) -> tuple[dict[str, str] | None, list[str]]:
    """The title of each item from the columns 'item' and 'title', and what is to be said.

    Of several the most frequent is taken, and of these the first in order. None where a `guessed`
    column `name` has several titles of many items, as titles of reviews would be.
    """
    counts = (
        rows.frame.select("item", title=_line(pl.col("title")))
        .filter(pl.col("title") != "")
        .group_by("item", "title")
        .len()
        .sort("item", "len", "title", descending=[False, True, False])
    )
    first = counts.unique("item", keep="first", maintain_order=True)
    several = counts.filter(pl.col("item").is_duplicated())["item"].n_unique()
    column = f"column {listed([name])}"
    if guessed and several * _MOST_SEVERAL > len(first):
        return None, [
            f"{path}: {column} differs within {several} of {len(first)} items, so it is not taken "
            "for their titles; --title-column takes it anyway"
        ]
    said = []
    if several:
        said.append(
            f"{path}: {counted(several, 'item has', 'items have')} several titles in {column}; "
            "the most frequent is taken"
        )
    ids = rows.texts["item"].gather(first["item"])
    return dict(zip(ids, first["title"], strict=True)), said


def add(dataset: Dataset, where: Path, path: Path, column: str | None, spelling: str) -> Dataset:
    """The data set with titles from the table `path`, found by raw id (or index without any).

    Args:
      dataset: as read from `where`.
      where: named in messages.
      path: CSV, TSV, JSON lines or Parquet, with an item a row.
      column: of the titles, None to guess it; by number for a table without a header, whose first
        column then holds the raw ids. Otherwise the column of these is guessed.
      spelling: how ids are matched, as in `id_spelling.places`.

    Raises:
      InputError: the table cannot be read, has no such column, or has no item of the data set.
    """
    header = column is None or not column.isdecimal()
    asked = {"item": None if header else "1", "title": column}
    rows, taken, said = table_files.read_columns(path, asked, None, header)
    ids = dataset.item_ids or tuple(map(str, range(dataset.num_items)))
    full = rows._replace(frame=rows.frame.drop_nulls())
    titles, more = of_rows(path, full, taken["title"], False)
    raw, texts = list(titles or ()), list((titles or {}).values())
    places = id_spelling.places(raw, ids, spelling)
    found = int((places >= 0).sum())
    if not found:
        raise InputError(
            f"{path}: has no item of {where}; its column {listed([taken['item']])} is like "
            f"{listed(raw[:1])}, the items like {listed(ids[:1])}"
        )
    aligned = tuple(texts[place] if place >= 0 else "" for place in places)
    said += [*more, *id_spelling.said_of_matches(path, raw, ids, places)]
    said.append(f"{path}: gives the titles of {found} of {len(ids)} items")
    return dataclasses.replace(dataset, item_titles=aligned, warnings=(*dataset.warnings, *said))


def in_order(ids: Sequence[str], titles: dict[str, str]) -> tuple[str, ...]:
    """The titles of `ids`, '' for those without."""
    return tuple(titles.get(raw_id, "") for raw_id in ids)


def _line(text: pl.Expr) -> pl.Expr:
    """On one line, without tabs and other characters that steer a terminal."""
    plain = text.cast(pl.String).fill_null("").str.replace_all(r"[\p{Cc}\s]+", " ")
    return plain.str.strip_chars().str.slice(0, _MAX_TITLE)
