"""Rows that are costly to make, kept on disk while they are made: a kill loses one chunk."""

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mmssl_jax.errors import InputError
from mmssl_jax.files import durable, locks

_CHECKSUM = 4  # bytes


class PartialRows:
    """A float32 matrix in a file, of which the first `done` rows are made.

    The file is the fingerprint of what the rows are made from, then the rows in chunks, each with a
    checksum behind it. What a kill or a power cut leaves of the last chunk is no whole one, and is
    made again.
    """

    def __init__(self, file: BinaryIO, path: Path, shape: tuple[int, int], chunk: int):
        self._file, self._path, self._chunk, self.shape = file, path, chunk, shape
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
            durable.make_folder(path.parent)
            file = path.open("a+b")
        with file:
            rows = cls(file, path, shape, chunk)
            with _refusing(path):
                locks.lock(file.fileno())
                file.seek(0)
                if file.read(len(fingerprint)) == fingerprint:
                    for _, part in rows._chunks():
                        rows.done += len(part)
                    file.truncate(len(fingerprint) + rows._bytes(rows.done))
                else:
                    file.truncate(0)
                    file.write(fingerprint)
                    file.flush()
                    durable.sync(path.parent)
            yield rows

    def append(self, rows: np.ndarray) -> None:
        """Adds the float32 [n, width] of a chunk; they are on the disk when this returns."""
        with _refusing(self._path):
            data = np.ascontiguousarray(rows, np.float32).tobytes()
            self._file.write(data + _checksum(data))
            self._file.flush()
            os.fsync(self._file.fileno())
        self.done += len(rows)

    def read(self) -> np.ndarray:
        """All rows, float32, when all are done."""
        self._file.seek(-self._bytes(self.done), os.SEEK_END)
        rows = np.empty(self.shape, np.float32)
        for start, part in self._chunks():
            rows[start : start + len(part)] = part
        return rows

    def _chunks(self) -> Iterator[tuple[int, np.ndarray]]:
        """The first row of each whole chunk from here on, and its rows."""
        for start in range(0, self.shape[0], self._chunk):
            count = min(self._chunk, self.shape[0] - start)
            data = self._file.read(4 * count * self.shape[1])
            if self._file.read(_CHECKSUM) != _checksum(data):
                return
            yield start, np.frombuffer(data, np.float32).reshape(count, self.shape[1])

    def _bytes(self, rows: int) -> int:
        """The length of so many rows with their checksums."""
        return 4 * rows * self.shape[1] + -(-rows // self._chunk) * _CHECKSUM

    def remove(self) -> None:
        """Removes the file, when what is made of it is written."""
        self._path.unlink(missing_ok=True)


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data, 1).to_bytes(_CHECKSUM, "little")  # from 1: zeros are no chunk


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
