"""users.tsv and items.tsv: index, raw id and, for items, a title."""

from collections.abc import Sequence
from pathlib import Path

from mmssl_jax.errors import InputError
from mmssl_jax.files import text


def read(path: Path, count: int) -> list[list[str]] | None:
    """The rows by index, or None without the table; every index must be there once."""
    if not path.is_file():
        return None
    lines = text.read(path, encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines if line]
    by_index = {row[0]: row for row in rows if len(row) > 1}
    if len(rows) != count or by_index.keys() != {str(index) for index in range(count)}:
        raise InputError(
            f"{path}: must list every index from 0 to {count - 1} once, as index, tab, raw id"
        )
    return [by_index[str(index)] for index in range(count)]


def column(rows: list[list[str]] | None, number: int) -> tuple[str, ...] | None:
    """A column of a table, or None where no row has it; rows that are shorter have ''."""
    if rows is None or all(len(row) <= number for row in rows):
        return None
    return tuple(row[number] if len(row) > number else "" for row in rows)


def write(path: Path, columns: Sequence[Sequence[str]]) -> None:
    """Writes columns by index; InputError for a value that does not fit on one line."""
    lines = []
    for index, row in enumerate(zip(*columns, strict=True)):
        for value in row:
            if any(separator in value for separator in "\t\n\r"):
                raise InputError(f"{path.name}: {value!r} has a tab or a line break")
        lines.append("\t".join((str(index), *row)) + "\n")
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
