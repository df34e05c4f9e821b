"""Small files, written whole or not at all."""

import contextlib
import errno
import json
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mmssl_jax.errors import InputError, PlaceError
from mmssl_jax.files import durable, locks


def write_text(path: pathlib.Path, text: str) -> None:
    """`write_bytes` of UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes a file in one step: a reader, or a run after a kill, sees the old or the new one.

    It is on the disk when this returns, and outlives a power cut.

    Raises:
      PlaceError: the folder cannot be written.
    """
    _write(path, lambda file: file.write(content))


def write_array(path: pathlib.Path, array: npt.ArrayLike) -> None:
    """`write_bytes` of an array as .npy, without a copy of it."""
    _write(path, lambda file: np.save(file, array, allow_pickle=False))


def _write(path: pathlib.Path, fill: Callable[[BinaryIO], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        durable.make_folder(path.parent)
        with open(temporary, "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        durable.move(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise PlaceError(
            f"cannot write {path}: {error.strerror}; choose a place that can be written"
        ) from error


@contextlib.contextmanager
def locked(folder: pathlib.Path, what: str) -> Iterator[None]:
    """Holds the lock of a run's folder, which is made where it is missing.

    Raises:
      PlaceError: another process does `what` there, or the folder cannot be written.
    """
    try:
        durable.make_folder(folder)
        lock = open(folder / "lock", "w")  # noqa: SIM115 (held until the end of the block)
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise PlaceError(f"cannot write to {folder}: {reason}; choose another --workdir") from error
    with lock:
        try:
            locks.lock(lock.fileno())
        except OSError as error:
            raise PlaceError(f"another process is {what} in {folder}") from error
        yield


def check_writable(path: pathlib.Path) -> None:
    """Raises PlaceError where `write_text` would, before any work is done; leaves no trace."""
    try:
        existing = next(folder for folder in path.absolute().parents if folder.exists())
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise PlaceError(
            f"cannot write {path}: {error.strerror}; choose a place that can be written"
        ) from error


def write_json(path: pathlib.Path, value: Any) -> None:
    """`write_text` of indented JSON."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: pathlib.Path) -> Any:
    """The content of a JSON file; InputError where it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: it is not valid JSON ({error})") from error
