"""Files that may be packed by gzip, read to a bound, so that a small file cannot fill the disk."""

import contextlib
import gzip
import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmssl_jax.errors import InputError

GZIP = b"\x1f\x8b"
SMALL, RATIO = 64 << 20, 100  # bytes, and times the packed size: text packs to a third or a tenth
PREFIX = "mmssl_jax-"  # of temporary files


@contextlib.contextmanager
def stream(path: Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, unpacked as they are read where it is packed.

    Reading raises InputError where more comes out than a packed file of its size can be trusted
    with, and OSError, EOFError or zlib.error where it is damaged.
    """
    with path.open("rb") as file:
        if file.peek(2)[:2] != GZIP:
            yield file
            return
        limit = max(SMALL, RATIO * path.stat().st_size)
        with gzip.open(file) as packed, _bounded(path, packed, limit) as plain:
            yield plain


@contextlib.contextmanager
def file(path: Path) -> Iterator[Path]:
    """The file itself or, where it is packed, a temporary one with what is in it."""
    with stream(path) as packed:
        if isinstance(packed.raw, io.FileIO):
            yield path
            return
        with tempfile.NamedTemporaryFile(prefix=PREFIX, suffix=suffix(path)) as plain:
            try:
                shutil.copyfileobj(packed, plain, 1 << 20)
                plain.flush()
            except OSError as error:
                if error.errno is None:  # damaged
                    raise
                raise InputError(
                    f"{path}: cannot be unpacked to {tempfile.gettempdir()} ({error.strerror}); "
                    "unpack it yourself, or set TMPDIR"
                ) from error
            yield Path(plain.name)


def stem(path: Path) -> str:
    """The name without suffixes: ratings of ratings.csv.gz and of ratings.csv."""
    return Path(path.stem).stem if path.suffix.lower() == ".gz" else path.stem


def suffix(path: Path) -> str:
    """That of the file which is packed, in lower case: .csv of ratings.csv.gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _bounded(path: Path, packed: gzip.GzipFile, limit: int) -> io.BufferedReader:
    return io.BufferedReader(_Bounded(path, packed, limit))


class _Bounded(io.RawIOBase):
    """What a packed file holds, up to a limit in bytes."""

    def __init__(self, path: Path, packed: gzip.GzipFile, limit: int):
        self._path, self._packed, self._limit, self._total = path, packed, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # anything that can be written to
        count = self._packed.readinto(buffer)
        self._total += count
        if self._total > self._limit:
            raise InputError(
                f"{self._path}: unpacks to more than {self._limit >> 20} MB, {RATIO} times its "
                "size or more; if it is to be trusted, unpack it yourself"
            )
        return count


def check_name(path: Path | str) -> None:
    """Raises InputError for a name that polars cannot take."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # the system lets it be any bytes
        raise InputError(f"{str(path)!a}: its name must be UTF-8; rename it") from error
