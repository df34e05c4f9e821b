"""How many rows a table may have, by what can be counted and by the memory that there is."""

from pathlib import Path

from mmssl_jax.errors import InputError
from mmssl_jax.files import memory

MAX_ROWS = 1 << 27
BYTES_OF_A_ROW = 40  # held at least: indices of user and item, a time, the pair's number, its order
FEW_ROWS, ROWS_PER_BYTE = 1 << 20, 4  # more in a Parquet file are one row, repeated to fill memory


def check_count(path: Path, rows: int) -> None:
    """Raises InputError where a table has more rows than an import can count."""
    if rows > MAX_ROWS:
        raise InputError(f"{path}: has {rows} rows, more than the {MAX_ROWS} that can be imported")


def check(path: Path, rows: int) -> None:
    """Raises InputError where rows that are still to be read are too many to be imported here."""
    check_count(path, rows)
    remedy = "import fewer, or have another engine write Parquet parts (docs/data.md#many-pairs)"
    memory.require(rows * BYTES_OF_A_ROW, f"{path}: an import of {rows} rows", remedy)


def check_parquet(path: Path, rows: int, size: int) -> None:
    """Raises InputError where a Parquet file of so many bytes claims more rows than it can hold."""
    if rows > max(FEW_ROWS, ROWS_PER_BYTE * size):
        raise InputError(f"{path}: claims {rows} rows in {size} bytes; leave out repeated rows")
