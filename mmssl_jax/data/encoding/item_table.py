"""Which item is which row, and its text: a table of items against the folder that gets features."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data import loading
from mmssl_jax.data.checks.wording import counted, reason_of, worded
from mmssl_jax.data.layouts import patterns
from mmssl_jax.data.tables import column_names, id_spelling
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.errors import InputError

FILE = "items.tsv"
TITLE = "title"  # what the only text of a folder's own table is called

Warn = Callable[[str], object]  # is told what is suspicious, a line each


class Items(NamedTuple):
    """The items of a folder by index: raw ids, and texts ('' where an item has none).

    `titles` are to be written with the ids where the folder has no items yet, else None.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    titles: tuple[str, ...] | None = None


def read(
    folder: Path,
    path: Path | None,
    id_column: str | None,
    text: Sequence[str],
    header: bool,
    warn: Warn,
) -> Items:
    """The items of `folder` in the order of their indices, with texts from a table.

    Where `folder` holds data, its items are what counts: the table's rows are found by raw id (by
    the index where the folder has no raw ids). Where it holds none, row i of the table is item i.

    Args:
      folder: of the data set; may be missing.
      path: the table, comma- or tab-separated; None is the folder's own items.tsv.
      id_column: the column of raw ids; None is the first.
      text: the columns of text, joined by spaces; none gives no texts.
      header: whether the first line holds the names of columns; else they are called 1, 2, ...
      warn: is told of rows that are ignored.

    Raises:
      InputError: there is no table, it cannot be read, or lacks a column; no row is of this folder.
    """
    own = folder / FILE
    known = _known(folder, own)
    if path is None or (own.is_file() and path.exists() and path.samefile(own)):
        return _own_items(folder, known, text)
    frame = _read_items(path, id_column, text, header, warn)
    if known is not None:
        return Items(known.ids, _aligned(folder, known.ids, path, frame, warn))
    _check_ids(path, frame["id"])
    return Items(tuple(frame["id"]), tuple(frame["text"]), tuple(frame["title"]))


def aligned(
    where: Path | str,
    ids: tuple[str, ...],
    path: Path,
    id_column: str | None,
    text: Sequence[str],
    warn: Warn,
) -> tuple[str, ...]:
    """The texts of the items `ids` from a table with a header, '' for those that it lacks.

    Args:
      where: what the items are of, as messages call it.
      ids: raw ids by index.
      path, id_column, text, warn: as in `read`.

    Raises:
      InputError: the table cannot be read, lacks a column, or has none of the items.
    """
    return _aligned(where, ids, path, _read_items(path, id_column, text, True, warn), warn)


def _known(folder: Path, own: Path) -> Items | None:
    """The items of a folder, with titles as texts; None where nothing in it says what they are."""
    if loading.is_canonical(folder):
        dataset = loading.load(str(folder), "none")
        ids = dataset.item_ids or tuple(map(str, range(dataset.num_items)))
        return Items(ids, dataset.item_titles or ())
    if any(patterns.matches(folder, name) for layout in loading.LAYOUTS for name in layout.FILES):
        raise InputError(
            f"{folder}: features are added to canonical folders only, so import this one first"
        )
    if not own.is_file():
        return None
    frame = _read_table(own, header=False, quoting=False)
    if frame.width < 2 or frame["1"].to_list() != [str(index) for index in range(len(frame))]:
        raise InputError(f"{own}: must list the items in order, as index from 0, tab, raw id")
    return Items(tuple(frame["2"]), tuple(frame["3"]) if frame.width > 2 else ())


def _own_items(folder: Path, known: Items | None, text: Sequence[str]) -> Items:
    """The folder's items, with what text it has of them itself."""
    if known is None:
        raise InputError(f"{folder} has no {FILE}; give --items FILE, a table of the items")
    if not text:
        return known._replace(texts=("",) * len(known.ids))
    if list(text) != [TITLE] or not known.texts:
        raise InputError(
            f"{folder}: has {f'no text but --text {TITLE}' if known.texts else 'no titles'} in its "
            f"{FILE}; give --items FILE, a table with the text"
        )
    return known


def _aligned(
    folder: Path | str, ids: tuple[str, ...], path: Path, frame: pl.DataFrame, warn: Warn
) -> tuple[str, ...]:
    """The texts of the items `ids`, '' for those that the table lacks."""
    listed, texts = frame["id"].to_list(), frame["text"].to_list()
    places = id_spelling.places(listed, ids)
    unknown = [listed[place] for place in np.setdiff1d(np.arange(len(listed)), places)]
    if len(unknown) == len(listed):
        raise InputError(
            f"{path}: none of its ids, such as {unknown[0][:40]!r}, is an item of {folder}, whose "
            f"ids are like {ids[0][:40]!r}; give another file or --id-column"
        )
    if unknown:
        examples = ", ".join(repr(name[:40]) for name in unknown[:3])
        ids_are = counted(len(unknown), "id is", "ids are")
        more = ", ..." if len(unknown) > 3 else ""
        warn(f"{path}: {ids_are} not in {folder} and ignored: {examples}{more}")
    for message in id_spelling.said_of_matches(path, listed, ids, places):
        warn(message)
    return tuple(texts[place] if place >= 0 else "" for place in places)


def _read_items(
    path: Path, id_column: str | None, text: Sequence[str], header: bool, warn: Warn
) -> pl.DataFrame:
    """Columns id, text, and title (the first of the text) as text without null; every id once."""
    frame = _read_table(path, header)
    text = [_column(path, frame, name, header) for name in text]
    if id_column is not None:
        id_column = _column(path, frame, id_column, header)
    else:
        id_column = frame.columns[0]
        if header and id_column.isdecimal():
            raise InputError(
                f"{path}: starts with {id_column[:40]!r}, which looks like an id and not like the "
                "name of a column; give --no-header, or --id-column"
            )
    texts = [pl.col(name).str.strip_chars() for name in text] or [pl.lit("")]
    frame = frame.select(
        id=pl.col(id_column),
        text=pl.concat_str(texts, separator=" ").str.strip_chars(),
        title=texts[0].str.replace_all(r"\s+", " "),
    ).filter(pl.col("id") != "")
    if not len(frame):
        raise InputError(f"{path}: has no row with an id in column {id_column[:40]!r}")
    once = frame.unique("id", keep="first", maintain_order=True)
    if repeated := len(frame) - len(once):
        rows = counted(repeated, "row repeats", "rows repeat")
        ignored = worded(repeated, "is ignored", "are ignored")
        warn(f"{path}: {rows} the id of an earlier row and {ignored}")
    return once


def _column(path: Path, frame: pl.DataFrame, asked: str, header: bool) -> str:
    """The name in the table of the column that is asked for."""
    found = column_names.meant(frame.columns, asked)
    listed = column_names.listed(found or frame.columns)
    if len(found) > 1:
        raise InputError(
            f"{path}: column {asked!r} may be any of {listed}; give the name as it is there"
        )
    if not found:
        hint = "; a file whose first line is an item needs --no-header" if header else ""
        raise InputError(f"{path}: has no column {asked!r}; it has {listed}{hint}")
    return found[0]


def _read_table(path: Path, header: bool, quoting: bool = True) -> pl.DataFrame:
    """All columns as text, '' where there is nothing."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: cannot be read (it is no file)")
    try:
        with path.open("rb") as file:
            first_line = file.readline(table_files.MAX_LINE)
        tabs = path.suffix.lower() != ".csv" and b"\t" in first_line
        # As in table_files.py: tab-separated text mostly has no quoting, or shows it at once.
        quoting = quoting and (not tabs or b'"' in first_line)
        if first_line.startswith(b"PAR1"):
            raise InputError(f"{path}: is Parquet; items are read from CSV or TSV")
        table_files.check_text(path, first_line, "\t" if tabs else ",", quoting)
        frame = pl.read_csv(
            path,
            has_header=header,
            separator="\t" if tabs else ",",
            quote_char='"' if quoting else None,
            infer_schema=False,  # 007 is not 7
            glob=False,
        ).fill_null("")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = reason_of(error)
        if "found more fields" in reason:
            reason = "a line has more fields than the first; put text with separators in quotes"
        raise InputError(f"{path}: cannot be read as a table in UTF-8 ({reason})") from error
    if not header:
        frame.columns = [str(number) for number in range(1, frame.width + 1)]
    return frame


def _check_ids(path: Path, ids: pl.Series) -> None:
    bad = ids.filter(ids.str.contains(r"\p{Cc}") | (ids.str.len_chars() > 1000))
    if len(bad):
        raise InputError(
            f"{path}: has the id {bad[0][:40]!r}; ids must be at most 1000 characters, without "
            "tabs, line breaks and other control characters"
        )
