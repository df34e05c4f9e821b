"""Features in CSV, TSV, other text and Parquet: a row an item, with or without ids and a header."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.arrays.pickles import Refused
from mmssl_jax.data.tables import column_names, parquet_trial
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.data.tables.column_names import plain_name

MAX_COLUMNS = 20_000
_FEW, _TIMES_FILE = 1 << 26, 100  # bytes in all, and as often as a Parquet file; zeros pack well
_IDS = {*column_names.NAMES["item"], "id", "postid", "rawid", "pid", "vid", "sku"}
_ROW_NUMBERS = {"", "index", "unnamed", "indexlevel0"}  # as pandas writes them


class Index(NamedTuple):
    """A column named as pandas names row numbers, which may have ids: whole numbers, all different.

    `start` is the first where each is one more than that before it.
    """

    name: str
    values: tuple[str, ...]
    start: int | None


class Rows(NamedTuple):
    """Features as in the file: values [n, width], raw ids by row where it has them, a remark.

    An `index_column` is there without `ids` alone.
    """

    values: np.ndarray
    ids: tuple[str, ...] | None = None
    said: str = ""
    index_column: Index | None = None


def read_text(path: Path, guess_ids: bool) -> Rows:
    """The numbers of a text file, float32; empty cells are NaN.

    The first column is ids where it is named so or is not all numbers. With `guess_ids` it is also
    where nothing is named, and it alone holds whole numbers, no two alike.

    Raises:
      Refused: it is no table of numbers. polars' errors and OSError go through.
    """
    with path.open("rb") as file:
        first_line = file.readline(table_files.MAX_LINE)
    separator = _separator(path, first_line)
    quoted = separator in ",;"
    _check_width(len(first_line.split(separator.encode())))
    table_files.check_text(path, first_line, separator, quoted, MAX_COLUMNS)
    cells = first_line.decode("utf-8-sig").strip("\r\n").split(separator)
    cells = [cell.strip(' "') for cell in cells]
    header = _is_header(cells[: -1 if len(cells) > 1 and not cells[-1] else None])
    names = [f"column {number}" for number in range(1, len(cells) + 1)]
    frame = pl.read_csv(
        path,
        has_header=False,
        skip_rows=int(header),
        separator=separator,
        quote_char='"' if quoted else None,
        schema=dict.fromkeys(names, pl.Float32) | {names[0]: pl.String},
        glob=False,
    )
    full = frame.select(pl.any_horizontal(pl.all().is_not_null())).to_series().arg_true()
    frame = frame.head(full[-1] + 1 if len(full) else 0)  # without blank lines at the end
    if frame.width > 1 and frame[:, -1].null_count() == len(frame):
        frame = frame[:, :-1]  # every line ends with a separator
    return _identified(frame, cells if header else None, guess_ids)


def _identified(frame: pl.DataFrame, header: Sequence[str] | None, guess_ids: bool) -> Rows:
    """The rows of a table whose first column is text, and may be ids; `header` is its names."""
    first = frame.to_series(0).str.strip_chars()
    numbers = first.cast(pl.Float32, strict=False)
    name = None if header is None else plain_name(header[0])
    ids, said = name in _IDS, ""
    if header is not None and name in _ROW_NUMBERS and _all_whole(first):
        return Rows(_numpy(frame[:, 1:]), index_column=_index(header[0], first))
    if not ids and numbers.null_count() > first.null_count():
        ids = True
        said = "the first column, which is not all numbers, is taken as raw ids"
    if not ids and guess_ids and header is None and _alone_whole(first, frame[:, 1:]):
        ids = True
        said = "the first column, the only one of whole numbers, is taken as raw ids"
    if ids:
        frame = frame.remove(pl.all_horizontal(pl.all().is_null()))  # where no row has a number
        return Rows(_numpy(frame[:, 1:]), _checked(frame.to_series(0).str.strip_chars()), said)
    if header is not None and all(map(_is_number, header)):
        said = "its first line is taken as names"
    return Rows(_numpy(frame.with_columns(numbers.alias(frame.columns[0]))), None, said)


def read_parquet(path: Path) -> Rows:
    """The numbers of a Parquet file, after a trial in a process of its own.

    A column of text, or one named as ids, has the ids. The others are numbers, or the one is lists
    of them. Raises as `read_text` does, and InputError where the trial fails.
    """
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise Refused("it is no Parquet file")
    parquet_trial.survive(path, None)
    return parse_parquet(path)


def parse_parquet(path: Path) -> Rows:
    """`read_parquet` of a file that is known not to end the process."""
    with table_files.without_stderr():  # where polars' threads tell of a damaged file
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema, rows = table.collect_schema(), table.select(pl.len()).collect().item()
        _check_width(len(schema))
        limit = max(_FEW, _TIMES_FILE * path.stat().st_size)
        if 8 * rows * max(len(schema), 1) > limit:
            raise Refused(f"it claims {rows} rows of {len(schema)} columns, more than its size can")
        frame = table.collect()
    texts = [name for name, kind in schema.items() if kind in (pl.String, pl.Categorical)]
    whole = [name for name, kind in schema.items() if kind.is_integer()]
    named = [name for name in whole if plain_name(name) in _IDS]
    ids = texts + named
    counts = [
        name for name in whole if plain_name(name) in _ROW_NUMBERS and not frame[name].null_count()
    ]
    indices = [] if ids else [_index(name, frame[name].cast(pl.String)) for name in counts]
    indices.sort(key=lambda index: index.start == 0)  # those that only number the rows last
    several = ids or [index.name for index in indices if index.start != 0]
    if len(several) > 1:
        listed = column_names.listed(several)
        raise Refused(f"it has several columns that may be ids, {listed}; keep one of them")
    beside = [name for name in counts if ids and (frame[name].diff().drop_nulls() != 1).any()]
    frame = frame.drop(counts)
    raw = _checked(frame[ids[0]].cast(pl.String)) if ids else None
    frame = frame.drop(ids)
    lists = [name for name, kind in frame.schema.items() if isinstance(kind, pl.List | pl.Array)]
    if lists and frame.width > 1:
        raise Refused(f"it has other columns beside the lists in {column_names.listed(lists[:1])}")
    values = _stacked(frame.to_series(), limit) if lists else _numpy(frame)
    said = [f"{ids[0][:40]!r} is taken as raw ids"] if texts else []
    said += [f"{column_names.listed(beside)} beside the ids is left out"] if beside else []
    return Rows(values, raw, "; ".join(said), indices[0] if indices else None)


def _separator(path: Path, first_line: bytes) -> str:
    known = "\t" if path.suffix.lower() == ".tsv" else "\t,;"
    return next((one for one in known if one.encode() in first_line), " ")


def _check_width(columns: int) -> None:
    if columns > MAX_COLUMNS:
        raise Refused(f"it has {columns} columns, more than {MAX_COLUMNS}")


def _is_header(cells: Sequence[str]) -> bool:
    """Whether a first line is names: after its first cell is no number, or it is 0, 1, 2, ..."""
    if len(cells) == 1:
        return not _is_number(cells[0])
    if not all(map(_is_number, cells[1:])):
        return True
    return any(cells[start:] == [str(i) for i in range(len(cells) - start)] for start in (0, 1))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _all_whole(column: pl.Series) -> bool:
    """Whether a column of text has whole numbers alone, perhaps with the .0 of floats."""
    return not column.null_count() and column.str.contains(r"^-?\d{1,18}(\.0*)?$").all()


def _index(name: str, column: pl.Series) -> Index:
    """An index by the text of its whole numbers."""
    if column.n_unique() < len(column):
        raise Refused(
            f"its column {name[:40]!r} is named as one of row numbers and has numbers twice; take "
            "it out"
        )
    numbers = column.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
    by_one = not numbers.null_count() and (numbers.diff().drop_nulls() == 1).all()
    return Index(name, tuple(column.to_list()), numbers[0] if by_one and len(numbers) else None)


def _alone_whole(first: pl.Series, others: pl.DataFrame) -> bool:
    """Whether a column holds whole numbers, no two alike, and the others together do not."""
    if not first.str.contains(r"^\d{1,18}$").all() or first.n_unique() < len(first):
        return False
    return others.width > 0 and any(not (column == column.round()).all() for column in others)


def _checked(ids: pl.Series) -> tuple[str, ...]:
    """Raw ids, each there and once."""
    if ids.null_count() or (ids == "").any():
        raise Refused("it has a row without an id")
    if ids.n_unique() < len(ids):
        twice = ids.filter(ids.is_duplicated())[0]
        raise Refused(f"it has the id {twice[:40]!r} twice; keep one row of each item")
    return tuple(ids.to_list())


def _numpy(frame: pl.DataFrame) -> np.ndarray:
    """Numbers as float32 [n, width]; NaN where there is none."""
    for name, kind in frame.schema.items():
        if not kind.is_numeric():
            raise Refused(f"its column {name[:40]!r} holds {kind}, not numbers")
    if not frame.width:
        raise Refused("it has no column of numbers")
    values = np.empty((len(frame), frame.width), np.float32)
    with np.errstate(over="ignore"):
        for place, column in enumerate(frame):
            values[:, place] = column.cast(pl.Float64).to_numpy()
    return values


def _stacked(lists: pl.Series, limit: int) -> np.ndarray:
    """A column of lists of numbers, all of one length, as float32 [n, length]."""
    lists = lists.arr.to_list() if isinstance(lists.dtype, pl.Array) else lists
    lengths = lists.list.len()
    if lists.null_count() or lengths.n_unique() != 1 or not lengths[0]:
        raise Refused("its lists of numbers are not all of one length")
    if 8 * len(lists) * lengths[0] > limit:
        raise Refused(f"it claims {len(lists)} lists of {lengths[0]}, more than its size can")
    return _numpy(lists.explode().to_frame()).reshape(len(lists), lengths[0])
