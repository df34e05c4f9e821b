"""Rows that are costly to make, kept on disk while they are made: a kill loses one chunk."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmssl_jax.errors import InputError
from mmssl_jax.files import locks


class PartialRows:
    """A float32 matrix in a file, of which the first `done` rows are made.

    The file is the fingerprint of what the rows are made from, then the rows. Only its length says
    how many are there, so what a kill cuts short is the last chunk, which is made again.
    """

    def __init__(self, file: BinaryIO, path: Path, fingerprint: bytes, shape: tuple[int, int]):
        self._file, self._path, self._start, self.shape = file, path, len(fingerprint), shape
        self.done = 0

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, path: Path, fingerprint: bytes, shape: tuple[int, int], chunk: int
    ) -> Iterator["PartialRows"]:
        """Goes on with the rows in `path`, or starts anew where they are made from something else.

        Args:
          path: of the file; its folder is made where it is missing.
          fingerprint: of everything that the rows depend on; always of the same length.
          shape: of the whole matrix.
          chunk: rows are appended so many at a time, but for the last.

        Raises:
          InputError: the file cannot be written, or another process is writing it.
        """
        with _refusing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        with file:
            with _refusing(path):
                locks.lock(file.fileno())
            rows = cls(file, path, fingerprint, shape)
            file.seek(0)
            if file.read(len(fingerprint)) == fingerprint:
                whole = (path.stat().st_size - len(fingerprint)) // (4 * shape[1])
                rows.done = shape[0] if whole >= shape[0] else whole - whole % chunk
            else:
                file.truncate(0)
                file.write(fingerprint)
            file.truncate(len(fingerprint) + rows.done * 4 * shape[1])
            yield rows

    def append(self, rows: np.ndarray) -> None:
        """Adds float32 [n, width]; they are on the disk when this returns."""
        with _refusing(self._path):
            self._file.write(np.ascontiguousarray(rows, np.float32).data)
            self._file.flush()
            os.fsync(self._file.fileno())
        self.done += len(rows)

    def read(self) -> np.ndarray:
        """All rows, float32, when all are done."""
        return np.fromfile(self._path, np.float32, offset=self._start).reshape(self.shape)

    def remove(self) -> None:
        """Removes the file, when what is made of it is written."""
        self._path.unlink(missing_ok=True)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError as error:
        raise InputError(f"another process is encoding into {path.parent}; wait for it") from error
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror}; choose a place that can be written"
        ) from error
