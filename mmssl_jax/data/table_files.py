"""The columns of a CSV, TSV or Parquet file; the only module that knows how such files fail."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from mmssl_jax.data import parquet_trial
from mmssl_jax.errors import InputError

IDS = ("user", "item")
MAX_LINE, MAX_COLUMNS = 1 << 20, 1000  # bytes, and columns: each costs polars kilobytes
MAX_ROWS = 1 << 27
FEW_ROWS, ROWS_PER_BYTE = 1 << 20, 4  # more in a Parquet file are one row, repeated to fill memory

# What a column goes by, the likeliest first, in lower case and without '_', '-' and spaces.
_NAMES = {
    "user": ("userid", "user", "uid", "reviewerid", "customerid", "visitorid"),
    "item": ("itemid", "item", "iid", "asin", "parentasin", "movieid", "productid", "businessid"),
    "time": ("timestamp", "time", "unixreviewtime", "unixtime", "datetime", "date"),
    "rating": ("rating", "overall", "stars", "score"),
    "split": ("split", "xlabel", "subset", "partition", "fold", "set", "usage"),
}
SPLIT = "split"  # the one role that a table may lack, where no name is given
_PARQUET = b"PAR1"
_NOT_TEXT = {
    b"\x1f\x8b": "is compressed; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed; unpack it first",
    b"\x78\x01": "is compressed; unpack it first",
    b"\x78\x9c": "is compressed; unpack it first",
    b"\x78\xda": "is compressed; unpack it first",
    b"PK\x03\x04": "is a zip archive; unpack it first",
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
}
_SUFFIXES = {".csv": ",", ".tsv": "\t"}


def read_columns(
    path: Path, columns: Mapping[str, str | None], separator: str | None, header: bool
) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """The columns that `columns` asks for, named by their roles; their own names; warnings.

    'user', 'item' and 'split' are text, and rows without a user or an item are left out. The others
    are as the file has them: text, unless it is Parquet. Arguments and errors are those of
    `tables.read`.
    """
    with _refusing(path):
        if not path.is_file():
            raise InputError(f"{path}: is not a file")
        with path.open("rb") as file:
            first_line = file.readline(MAX_LINE)
        if first_line.startswith(_PARQUET):
            if separator is not None or not header:
                raise InputError(
                    f"{path}: is a Parquet file, whose columns have names and no separator; leave "
                    "out --separator and --no-header"
                )
            parquet_trial.survive(path, columns)
            return read_parquet(path, columns)
        lines = _count_lines(path)
        table = _scan_text(path, first_line, separator, header)
        return _read(path, table, columns, header, lines - header)


def read_parquet(
    path: Path, columns: Mapping[str, str | None]
) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """`read_columns` for Parquet, of a file that is known not to end the process."""
    with _refusing(path), _without_stderr():  # where polars' threads tell of a damaged file
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        rows, size = table.select(pl.len()).collect().item(), path.stat().st_size
        _check_rows(path, rows)
        if rows > max(FEW_ROWS, ROWS_PER_BYTE * size):
            raise InputError(f"{path}: claims {rows} rows in {size} bytes; leave out repeated rows")
        return _read(path, table, columns, True, None)


def listed(names: Sequence[str]) -> str:
    """Names from a file, as short and as safe to print as they need to be."""
    shown = ", ".join(ascii(name[:40]) for name in names[:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def check_text(path: Path, first_line: bytes, separator: str, quoted: bool) -> None:
    """Raises InputError for a file that polars would unpack, or make very many columns of.

    It takes as many columns as the first line has, unless that is blank or ends within quotes.
    """
    for start, problem in _NOT_TEXT.items():
        if first_line.startswith(start):
            raise InputError(f"{path}: {problem}")
    if not first_line.strip():
        raise InputError(f"{path}: is empty, or its first line is, so it cannot be read as a table")
    if quoted and first_line.count(b'"') % 2:
        raise InputError(f"{path}: its first line has a quote that is not closed")
    if len(first_line) >= MAX_LINE or first_line.count(separator.encode()) >= MAX_COLUMNS:
        raise InputError(
            f"{path}: its first line has more than {MAX_COLUMNS} columns or {MAX_LINE} bytes; it "
            "is no table, or its columns are separated by something else"
        )


def _read(
    path: Path,
    table: pl.LazyFrame,
    columns: Mapping[str, str | None],
    header: bool,
    expected: int | None,
) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    names = table.collect_schema().names()
    taken = {
        role: _column(path, names, role, asked, header)
        for role, asked in columns.items()
        if role != SPLIT or asked is not None or (header and _names_splits(table))
    }
    if len(set(taken.values())) < len(taken):
        raise InputError(f"{path}: a column is asked for twice: {listed(list(taken.values()))}")
    # All columns are parsed, or a line with a field too many would shift the others unseen.
    whole = pl.QueryOptFlags(projection_pushdown=expected is None)
    chosen = table.select(**{role: pl.col(name) for role, name in taken.items()})
    frame = chosen.collect(engine="streaming", optimizations=whole)
    warnings = []
    if expected not in (None, len(frame)):
        warnings.append(
            f"{path}: has {expected} lines but {len(frame)} rows; a stray quote may have joined "
            "some, which are then lost"
        )
    frame = pl.DataFrame(
        {role: _values(path, frame[role], role, name) for role, name in taken.items()}
    )
    full = frame.drop_nulls(IDS)
    if full.is_empty():
        raise InputError(f"{path}: no row has both a user and an item; check the columns taken")
    if empty := len(frame) - len(full):
        warnings.append(f"{path}: {empty} rows without a user or an item were left out")
    return full, taken, warnings


def _scan_text(path: Path, first_line: bytes, separator: str | None, header: bool) -> pl.LazyFrame:
    if separator is None:
        separator = _SUFFIXES.get(path.suffix.lower(), "\t" if b"\t" in first_line else ",")
    # Tab-separated text mostly has no quoting, and there a title that starts with a quote would
    # swallow the lines up to the next; where there is quoting, the first line shows it.
    quoted = separator != "\t" or b'"' in first_line
    check_text(path, first_line, separator, quoted)
    table = pl.scan_csv(
        path,
        has_header=header,
        separator=separator,
        quote_char='"' if quoted else None,
        infer_schema=False,  # 007 is not 7
        glob=False,
    )
    if header:
        return table
    names = table.collect_schema().names()
    return table.rename({name: str(number) for number, name in enumerate(names, start=1)})


def _count_lines(path: Path) -> int:
    """Lines of a text file, an unfinished last one included."""
    count, last = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            count, last = count + chunk.count(b"\n"), chunk[-1:]
    _check_rows(path, count)
    return count + (last != b"\n")


def _check_rows(path: Path, count: int) -> None:
    if count > MAX_ROWS:
        raise InputError(f"{path}: has {count} rows, more than the {MAX_ROWS} that can be imported")


def _column(path: Path, names: Sequence[str], role: str, asked: str | None, header: bool) -> str:
    """The name of the column for `role`: what was `asked` for, or one that goes by such a name."""
    if not header:
        if asked is None or not asked.isdecimal() or not 1 <= int(asked) <= len(names):
            raise InputError(
                f"{path}: has {len(names)} columns without names; give --{role}-column as a number "
                f"from 1 to {len(names)}"
            )
        return names[int(asked) - 1]
    if asked in names:
        return asked
    if asked is None and (guess := _guess(names, role)):
        return guess
    order = ", or --time-order rows where the rows are in order" if role == "time" else ""
    what = f"column '{asked}'" if asked is not None else f"column that looks like the {role}"
    raise InputError(
        f"{path}: has no {what}; give --{role}-column, one of {listed(names)}{order} (or "
        "--separator, if that is not how its lines are divided)"
    )


def _guess(names: Sequence[str], role: str) -> str | None:
    """The column that goes by the likeliest name."""
    plain = {_plain(name): name for name in reversed(names)}
    return next((plain[known] for known in _NAMES[role] if known in plain), None)


def _names_splits(table: pl.LazyFrame) -> bool:
    """Whether a column seems to name the split, by its name and the type of its values."""
    kinds = table.collect_schema()
    name = _guess(kinds.names(), SPLIT)
    text = (pl.String, pl.Categorical, pl.Enum)
    return name is not None and (kinds[name] in text or kinds[name].is_integer())


def _plain(name: str) -> str:
    """A name as in `_NAMES`; RecBole writes the type after a colon, as in user_id:token."""
    name = name.partition(":")[0].lower()
    return "".join(character for character in name if character not in "_- ")


def _values(path: Path, column: pl.Series, role: str, name: str) -> pl.Series:
    """A column as text or, of a Parquet file, numbers or dates; null where it is blank."""
    kind = column.dtype
    as_text = (*IDS, SPLIT)
    if kind in (pl.Categorical, pl.Enum, pl.Null) or (role in as_text and kind.is_integer()):
        column = column.cast(pl.String)
    elif not (
        kind == pl.String
        or (role not in as_text and kind.is_numeric())
        or (role == "time" and kind in (pl.Date, pl.Datetime))
    ):
        raise InputError(f"{path}: column {listed([name])} holds {kind}, which is no {role}")
    if column.dtype != pl.String:
        return column
    stripped = column.str.strip_chars()
    return (column if role in IDS else stripped).set(stripped == "", None)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turns what goes wrong with a damaged or hostile file into InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = ascii(str(error).partition("\n")[0])[1:-1][:200]
        if "found more fields" in reason:
            reason = "a line has more fields than the first"
        raise InputError(
            f"{path}: cannot be read as a table ({reason}); text must be UTF-8, with a pair a line "
            "and --separator between its fields"
        ) from error


@contextlib.contextmanager
def _without_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
