"""files.sha256: what each file of a folder is to be, in the form of the program sha256sum.

    cd FOLDER && sha256sum -c files.sha256

A folder without it is taken as it is, and so is a file that it does not list.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, locks

FILE = "files.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\\n]+)")  # of a file in the folder itself
_MOST = 1 << 20  # bytes of the list: it may be a stranger's


def write(folder: Path, names: Iterable[str]) -> None:
    """Lists files of a folder as they are now, and no others.

    Raises:
      InputError: one cannot be read, or the list not be written.
    """
    _write(folder, {name: sha256(folder / name) for name in names if _listable(name)})


@contextlib.contextmanager
def changing(folder: Path, names: Collection[str]) -> Iterator[None]:
    """Around what writes or removes files of a folder that has a list, which then follows.

    They are not listed meanwhile, so that a kill leaves no file that is taken for a damaged one.

    Raises:
      InputError: as `write`, or the list is damaged.
    """
    if not (folder / FILE).is_file():
        yield
        return
    with _lock(folder):
        known = _read(folder)
        _write(folder, {name: known[name] for name in known if name not in names})
    yield
    with _lock(folder):
        there = [name for name in names if (folder / name).is_file() and _listable(name)]
        _write(folder, _read(folder) | {name: sha256(folder / name) for name in there})


def problems(
    folder: Path, remedy: str, but: Callable[[str], bool] = lambda name: False
) -> list[str]:
    """What is wrong with the files that are listed, a line each.

    Args:
      folder: with or without a list.
      remedy: what to do about a file.
      but: whether the file of a name is not looked at.

    Raises:
      InputError: the list is damaged, or a file cannot be read.
    """
    if not (folder / FILE).is_file():
        return []
    found = []
    for name, recorded in _read(folder).items():
        path = folder / name
        if but(name):
            continue
        if not path.is_file():
            found.append(f"{path}: is missing, and {FILE} lists it; {remedy}")
        elif sha256(path) != recorded:
            found.append(
                f"{path}: is not what {FILE} lists, so one of the two was edited or damaged; "
                f"{remedy}"
            )
    return found


def _read(folder: Path) -> dict[str, str]:
    """File -> its sha256, as listed."""
    path = folder / FILE
    try:
        if path.stat().st_size > _MOST:
            raise InputError(f"{path}: is longer than {_MOST} bytes; remove it")
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); remove it") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match and match[2].isprintable() and match[2] not in found:
            found[match[2]] = match[1]
        elif line or number < len(lines):
            raise InputError(
                f"{path}, line {number}: is not a sha256, two blanks and a file's name, each once; "
                "it was edited or damaged: get the folder again, or remove the list to take its "
                "files as they are"
            )
    return found


def _write(folder: Path, listed: dict[str, str]) -> None:
    lines = [f"{listed[name]}  {name}\n" for name in sorted(listed)]
    atomic.write_text(folder / FILE, "".join(lines))


def _listable(name: str) -> bool:
    return name != FILE and name.isprintable() and not set(name) & set("/\\")


def sha256(path: Path) -> str:
    """Of a file's bytes; InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Lets one process at a time change the list, where folders can be locked."""
    if os.name != "posix":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        locks.lock(handle, wait=True)
        yield
    finally:
        os.close(handle)
