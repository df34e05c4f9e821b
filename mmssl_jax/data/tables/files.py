"""The columns of a CSV, TSV, JSON or Parquet file; the only module that knows how they fail."""

import contextlib
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from mmssl_jax.data.checks.wording import counted, reason_of, worded
from mmssl_jax.data.tables import (
    coded,
    column_names,
    json_rows,
    parquet_trial,
    row_limits,
    text_rows,
    unpacked,
    unused_columns,
)
from mmssl_jax.data.tables import values as table_values
from mmssl_jax.data.tables.coded import Rows
from mmssl_jax.data.tables.values import IDS
from mmssl_jax.errors import InputError

Columns = tuple[Rows, dict[str, str], list[str]]
MAX_LINE, MAX_COLUMNS = 1 << 20, 1000  # bytes, and columns: each costs polars kilobytes

_PARQUET = b"PAR1"
_NOT_TEXT = {
    b"\x28\xb5\x2f\xfd": "is compressed; unpack it first",
    b"\x78\x01": "is compressed; unpack it first",
    b"\x78\x9c": "is compressed; unpack it first",
    b"\x78\xda": "is compressed; unpack it first",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
}
_SUFFIXES = {".csv": ",", ".tsv": "\t"}
_REPEATS = "repeats the header"  # no role
_SHOWN, _SAMPLE = 64, 200  # bytes that show what a file is; lines that show whether it has a header


def read_columns(
    path: Path, columns: Mapping[str, str | None], separator: str | None, header: bool
) -> Columns:
    """The columns that `columns` asks for, named by their roles; their own names; warnings.

    'split' is text, and rows without a user or an item are left out. The others are as the file has
    them: text, unless it is Parquet, or times and ratings that are all numbers. Arguments and
    errors are those of `interactions.read`.
    """
    with refusing(path):
        if not path.is_file():
            raise InputError(f"{path}: is not a file")
        unpacked.check_name(path)
        with unpacked.stream(path) as stream:
            start = stream.peek(_SHOWN)[:_SHOWN]
            if json_rows.looks_like(start, unpacked.suffix(path)):
                _only_for_text(path, "JSON, whose values", separator, header)
                _check_kind(path, start)
                frame, taken, said = json_rows.read(path, stream, columns)
                own = dict.fromkeys(taken)
                rows = coded.collect(path, frame.lazy(), {role: role for role in own})
                return _chosen(path, rows, taken, said)
        if start.startswith(_PARQUET):
            _only_for_text(path, "Parquet, whose columns", separator, header)
            parquet_trial.survive(path, columns)
            return read_parquet(path, columns)
        with unpacked.file(path) as plain:
            return read_text(path, plain, columns, separator, header)


def read_parquet(path: Path, columns: Mapping[str, str | None]) -> Columns:
    """`read_columns` for Parquet, of a file that is known not to end the process."""
    with refusing(path), without_stderr():  # where polars' threads tell of a damaged file
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        rows, size = table.select(pl.len()).collect().item(), path.stat().st_size
        row_limits.check(path, rows)
        row_limits.check_parquet(path, rows, size)
        names = table.collect_schema().names()
        kinds = table.collect_schema()
        taken, said = column_names.take(
            path, names, columns, "", lambda role, name: table_values.fits(kinds[name], role)
        )
        said += unused_columns.said(path, names, taken)
        return _chosen(path, coded.collect(path, table, taken), taken, said)


def check_text(
    path: Path, first_line: bytes, separator: str, quoted: bool, most: int = MAX_COLUMNS
) -> None:
    """Raises InputError for a file that polars would unpack, or make very many columns of.

    It takes as many columns as the first line has, unless that is blank or ends within quotes.
    """
    _check_kind(path, first_line)
    if first_line.startswith(unpacked.GZIP):
        raise InputError(f"{path}: is compressed; unpack it first")
    if not first_line.strip():
        raise InputError(f"{path}: is empty, or its first line is, so it cannot be read as a table")
    if quoted and first_line.count(b'"') % 2:
        raise InputError(f"{path}: its first line has a quote that is not closed")
    if len(first_line) >= MAX_LINE or first_line.count(separator.encode()) >= most:
        raise InputError(
            f"{path}: its first line has more than {most} columns or {MAX_LINE} bytes; it "
            "is no table, or its columns are separated by something else"
        )


def _check_kind(path: Path, start: bytes) -> None:
    for magic, problem in _NOT_TEXT.items():
        if start.startswith(magic):
            raise InputError(f"{path}: {problem}")


def _only_for_text(path: Path, what: str, separator: str | None, header: bool) -> None:
    if separator is not None or not header:
        raise InputError(
            f"{path}: is {what} have names and no separator; leave out --separator and --no-header"
        )


def read_text(
    path: Path,
    plain: Path,
    columns: Mapping[str, str | None],
    separator: str | None,
    header: bool,
) -> Columns:
    """Reads the text in the file `plain`, which is `path` unless that is packed."""
    with plain.open("rb") as file:
        first_line = file.readline(MAX_LINE)
    if separator is None:
        separator = _SUFFIXES.get(unpacked.suffix(path), "\t" if b"\t" in first_line else ",")
    # Tab-separated text mostly has no quoting, and there a title that starts with a quote would
    # swallow the lines up to the next; where there is quoting, the first line shows it.
    quoted = separator != "\t" or b'"' in first_line
    check_text(path, first_line, separator, quoted)
    lines, joined = text_rows.count(plain, quoted)
    rows = lines - header
    row_limits.check(path, rows)
    table = pl.scan_csv(
        plain,
        has_header=header,
        separator=separator,
        quote_char='"' if quoted else None,
        infer_schema=False,  # 007 is not 7
        glob=False,
    )
    names = table.collect_schema().names()
    if header:
        taken, said = _taken_by_name(path, table, columns, first_line)
    else:
        names = [str(place) for place in range(1, len(names) + 1)]
        table = table.rename(dict(zip(table.collect_schema().names(), names, strict=True)))
        first = table.head(1).collect().fill_null("").row(0)
        taken = column_names.take_by_number(path, names, columns, first)
        said = unused_columns.said_by_number(path, first, taken)
    # All columns are parsed, or a line with a field too many would shift the others unseen.
    every = pl.QueryOptFlags(projection_pushdown=False)
    repeats = pl.all_horizontal([pl.col(name).eq_missing(pl.lit(name)) for name in taken.values()])
    read = coded.collect(path, table, taken, {_REPEATS: repeats}, optimizations=every)
    said += text_rows.said_of_quotes(path, read, rows, joined, separator, names, taken)
    if header:
        read = _without_headers(path, read, said)
    return _chosen(path, read, taken, said)


def _taken_by_name(
    path: Path, table: pl.LazyFrame, columns: Mapping[str, str | None], first_line: bytes
) -> tuple[dict[str, str], list[str]]:
    """The column of each role by the header, and what is to be said."""
    names = table.collect_schema().names()
    hint = " (or --separator, if that is not how its lines are divided)"
    if len(names) == 1:
        hint = text_rows.separator_hint(first_line) or hint
    else:
        column_names.check_header(path, names, table.head(_SAMPLE).collect())
    taken, said = column_names.take(path, names, columns, hint)
    return taken, said + unused_columns.said(path, names, taken)


def _without_headers(path: Path, rows: Rows, said: list[str]) -> Rows:
    """Without rows that repeat the header, as files that were joined have them."""
    repeats = rows.frame[_REPEATS]
    if not repeats.any():
        return rows
    count = int(repeats.sum())
    rows_repeat, were = counted(count, "row repeats", "rows repeat"), worded(count, "was", "were")
    said.append(f"{path}: {rows_repeat} the names of the columns and {were} left out")
    return rows._replace(frame=rows.frame.filter(~repeats))


def _chosen(path: Path, rows: Rows, taken: dict[str, str], said: list[str]) -> Columns:
    """The rows that have ids, each column in the type of its role."""
    ids = [role for role in IDS if role in taken]
    for role in ids:
        texts = table_values.without_blanks(rows.texts[role])
        rows = coded.respelt(rows, role, texts) if texts.null_count() else rows
    frame = rows.frame.select(list(taken))
    for role in [role for role in taken if role not in ids]:
        column = table_values.read(path, frame[role], role, taken[role])
        frame = frame.with_columns(column.alias(role))
    full = frame.drop_nulls(ids) if any(frame[role].null_count() for role in ids) else frame
    if full.is_empty():
        raise InputError(f"{path}: no row has both a user and an item; check the columns taken")
    if empty := len(frame) - len(full):
        were = worded(empty, "was", "were")
        said.append(f"{path}: {counted(empty, 'row')} without a user or an item {were} left out")
    return Rows(full, rows.texts), taken, said


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turns what goes wrong with a damaged or hostile file into InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path}: is cut off or damaged; get it again") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = reason_of(error)
        if "found more fields" in reason:
            reason = "a line has more fields than the first"
        raise InputError(
            f"{path}: cannot be read as a table ({reason}); text must be UTF-8, with a pair a line "
            "and --separator between its fields"
        ) from error


@contextlib.contextmanager
def without_stderr() -> Iterator[None]:
    """Keeps what other threads write to stderr from being seen."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
