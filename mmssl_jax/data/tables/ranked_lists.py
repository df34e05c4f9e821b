"""Lists that another system recommends: a TREC run, or a table of users, items and rank or score.

A line of a TREC run has six fields with blanks between: user, Q0, item, rank, score, name. Its
order is that of the scores, as trec_eval has it, which does not read the rank.
"""

import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.tables import files, unpacked, unused_columns
from mmssl_jax.data.tables.coded import Rows
from mmssl_jax.data.tables.column_names import IF_THERE
from mmssl_jax.errors import InputError
from mmssl_jax.files import checksums

RANK, SCORE = "rank", "score"
_TREC = {"user": "1", "item": "3", RANK: IF_THERE, SCORE: "5"}
_Q0 = (b"Q0", b"q0", b"0")  # the second field, which means nothing
_CHUNK, _START = 1 << 20, 4096
_EXACT = 1 << 53  # whole numbers below are exact as floats


class Lists(NamedTuple):
    """Rows of lists, in no order, one an item; what is the same id twice is so still.

    `users` and `items` are int64 [n] places in `user_ids` and `item_ids`. `worth` is float64 [n]:
    the higher, the further up, and equal for items that the list does not put in an order, or by
    fractions that float64 does not tell apart.
    `by` says what that is, rank or score. `unread` rows had no user, no item or no such number.
    """

    users: np.ndarray
    items: np.ndarray
    worth: np.ndarray
    user_ids: list[str]
    item_ids: list[str]
    by: str
    unread: int
    warnings: list[str]


def read(
    path: Path,
    columns: Mapping[str, str | None],
    separator: str | None = None,
    header: bool = True,
) -> Lists:
    """Reads the lists of a TREC run, which is known by its first line, or of a table.

    Args:
      path: a TREC run, CSV, TSV, JSON or Parquet; text may be packed by gzip.
      columns: the columns 'user', 'item', 'rank' and 'score' of a table by name, or by number
        where it has no header; None finds one by its name. Where a table has rank and score, and
        none of both is asked for, its order is that of the ranks.
      separator: of text, as `interactions.read` has it.
      header: whether the first line of a text names the columns.

    Raises:
      InputError: the file cannot be read or is not what the files.sha256 beside it lists, or a
        column is missing or holds something else.
    """
    remedy = f"export again, or remove {checksums.FILE} if the change is meant"
    for problem in checksums.problems(path.parent, remedy, lambda name: name != path.name):
        raise InputError(problem)
    with files.refusing(path), unpacked.stream(path) as stream:
        if not _is_trec(stream.peek(_START)[:_START]):
            return _of_table(path, columns, separator, header)
        if any(columns.values()) or separator is not None or not header:
            raise InputError(f"{path}: is a TREC run; leave out flags of columns and --separator")
        with tempfile.NamedTemporaryFile(prefix=unpacked.PREFIX) as plain:
            plain.writelines(_tabbed_lines(path, stream))
            plain.flush()
            read = files.read_text(path, Path(plain.name), _TREC, "\t", False)
        return _lists(path, read, SCORE)


def _of_table(
    path: Path, columns: Mapping[str, str | None], separator: str | None, header: bool
) -> Lists:
    asked = [name for name in (RANK, SCORE) if columns.get(name)]
    if len(asked) > 1:
        raise InputError(f"{path}: give --rank-column or --score-column, not both")
    orders = {name: columns.get(name) or IF_THERE for name in asked or (RANK, SCORE)}
    ids = {role: columns.get(role) for role in ("user", "item")}
    read = files.read_columns(path, ids | orders, separator, header)
    by = next((name for name in (RANK, SCORE) if name in read[1]), None)
    if by is None:
        raise InputError(
            f"{path}: has no column that looks like a rank or a score; give --rank-column or "
            "--score-column"
        )
    return _lists(path, read, by)


def _lists(path: Path, read: tuple[Rows, dict[str, str], list[str]], by: str) -> Lists:
    rows, _, said = read
    frame = rows.frame.select("user", "item", _worth(rows.frame[by]).alias("worth"))
    full = frame.drop_nulls()
    if full.is_empty():
        raise InputError(f"{path}: no row has a number as its {by}; check the columns taken")
    worth = full["worth"].to_numpy()
    return Lists(
        users=full["user"].cast(pl.Int64).to_numpy(),
        items=full["item"].cast(pl.Int64).to_numpy(),
        worth=-worth if by == RANK else worth,
        user_ids=rows.texts["user"].to_list(),
        item_ids=rows.texts["item"].to_list(),
        by=by,
        unread=len(frame) - len(full),
        warnings=[line for line in said if unused_columns.SAYS not in line],
    )


def _worth(column: pl.Series) -> pl.Series:
    """The numbers of a column as floats of the same order, null where it has none.

    Whole numbers that float64 does not tell apart are counted from the lowest.
    """
    floats = column.cast(pl.Float64, strict=False).fill_nan(None)
    if column.dtype.is_float() or not (floats.abs() >= _EXACT).any():
        return floats
    whole = column if column.dtype.is_integer() else column.cast(pl.Int64, strict=False)
    if whole.null_count() > floats.null_count():  # others among them
        return floats
    return whole.rank("dense").cast(pl.Float64)


def _is_trec(start: bytes) -> bool:
    """Whether a file starts with a line of six fields, as those of a TREC run are."""
    fields = start.lstrip().partition(b"\n")[0].split()
    if len(fields) != 6 or fields[1] not in _Q0:
        return False
    try:
        [float(field) for field in fields[3:5]]
    except ValueError:
        return False
    return True


def _tabbed_lines(path: Path, stream: io.BufferedReader) -> Iterator[bytes]:
    """The lines with one tab between their fields, some at a time."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        lines, end, rest = (rest + chunk).rpartition(b"\n")
        if len(rest) > files.MAX_LINE:
            raise InputError(f"{path}: a line has more than {files.MAX_LINE} bytes; it is no list")
        yield _tabbed(lines + end)
    yield _tabbed(rest)


def _tabbed(lines: bytes) -> bytes:
    lines = lines.replace(b"\r", b"").replace(b"\t", b" ")
    for several, one in ((b"  ", b" "), (b"\n ", b"\n"), (b" \n", b"\n"), (b"\n\n", b"\n")):
        while several in lines:
            lines = lines.replace(several, one)
    return lines.strip(b" ").lstrip(b"\n").replace(b" ", b"\t")
