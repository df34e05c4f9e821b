"""How the lines of a text table are divided, and how many rows they are, stray quotes or not."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.tables.coded import Rows
from mmssl_jax.data.tables.column_names import shape_of
from mmssl_jax.data.tables.values import IDS

_CHUNK = 1 << 20
_MANY, _LONG = 10_000, 4096  # lines within quotes that are looked at, and bytes of each


def count(path: Path, quoted: bool) -> tuple[int, list[bytes]]:
    """Rows of a text file, an unfinished last one included, and lines that begin within quotes.

    Line breaks in quotes end no row. Of very many such lines only the first are returned.
    """
    rows, inside, rest, last = 0, False, b"", b"\n"
    joined: list[bytes] = []
    began = False  # within quotes: the line that is being read
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            last = chunk[-1:]
            if not inside and not began and (not quoted or b'"' not in chunk):
                rows, rest = rows + chunk.count(b"\n"), b""
                continue
            *lines, end = chunk.split(b"\n")
            for line in lines:
                if began and len(joined) < _MANY:
                    joined.append((rest + line)[:_LONG])
                inside ^= line.count(b'"') % 2 == 1
                began, rest = inside, b""
                rows += not inside
            rest = (rest + end)[:_LONG]
            inside ^= end.count(b'"') % 2 == 1
    return rows + (last != b"\n"), joined


def separator_hint(first_line: bytes) -> str:
    """What else may divide the lines, for a table that seems to have one column."""
    if b"::" in first_line:
        return (
            "; its lines look divided by '::', which is --separator : with empty columns between: "
            "--no-header --user-column 1 --item-column 3"
        )
    for separator, name in ((b";", "';'"), (b"|", "'|'"), (b"\t", "tab"), (b",", "','")):
        if separator in first_line:
            return f"; its lines look divided by {name}: --separator {name}"
    if b" " in first_line.strip():
        return "; its lines look divided by blanks: --separator ' '"
    return ""


def swallowed(
    joined: Sequence[bytes],
    separator: str,
    width: int,
    places: Sequence[int],
    ids: Sequence[pl.Series],
) -> int:
    """How many lines within quotes look like rows of their own.

    Args:
      joined: the lines, from `count`.
      separator: between the fields.
      width: how many fields a row has.
      places: of the fields of ids, from 0.
      ids: some that were read, for each of the places.
    """
    shapes = [set(map(shape_of, some)) for some in ids]
    found = 0
    for line in joined:
        text, quote, _ = line.decode("utf-8", "replace").partition('"')
        fields = text.rstrip("\r").split(separator)
        if len(fields) > width or (not quote and len(fields) < width) or len(fields) <= max(places):
            continue
        found += all(
            shape_of(fields[place]) in known for place, known in zip(places, shapes, strict=True)
        )
    return found


def said_of_quotes(
    path: Path,
    read: Rows,
    lines: int,
    joined: Sequence[bytes],
    separator: str,
    names: Sequence[str],
    taken: Mapping[str, str],
) -> list[str]:
    """What is to be said of quotes that may have joined lines.

    Args:
      path: named in what is said.
      read: the rows that were read.
      lines: how many rows the file has by its line breaks, without a header.
      joined: the lines within quotes, from `count`.
      separator: between the fields.
      names: of all columns.
      taken: the columns' own names by role.
    """
    said = []
    if lines != len(read.frame):
        said.append(
            f"{path}: has {counted(lines, 'line')} but {counted(len(read.frame), 'row')}; a stray "
            "quote may have joined some, which are then lost"
        )
    roles = [role for role in IDS if role in taken]
    places = [names.index(taken[role]) for role in roles]
    some = [read.texts[role].gather(read.frame[role].drop_nulls().head(1000)) for role in roles]
    if lost := swallowed(joined, separator, len(names), places, some):
        said.append(
            f"{path}: {counted(lost, 'line')} within quotes "
            f"{worded(lost, 'looks like a row', 'look like rows')}; a stray quote may have joined "
            f"{worded(lost, 'it to others, and it is', 'them to others, and they are')} then lost"
        )
    return said
