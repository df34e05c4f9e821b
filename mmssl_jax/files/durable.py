"""What outlives a power cut: bytes that were synced, under names whose folder was synced too."""

import contextlib
import ctypes
import errno
import os
from pathlib import Path

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
_NOT_FOR_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}


def sync(path: Path) -> None:
    """Brings a file, or the names in a folder, to the disk; raises OSError.

    Windows, and some file systems, sync no folders: their names come to the disk by themselves.
    """
    is_folder = path.is_dir()
    if is_folder and os.name != "posix":
        return
    try:
        handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if not is_folder or error.errno not in _NOT_FOR_FOLDERS:
            raise


def sync_tree(folder: Path) -> None:
    """`sync` of everything in a folder, and of itself."""
    for where, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(where, name))
        sync(Path(where))


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it, where they are missing; raises OSError."""
    missing, above = [], folder
    while not above.exists() and above != above.parent:
        missing.append(above)
        above = above.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync(each.parent)
    folder.mkdir(exist_ok=True)  # which refuses a file


def move(old: Path, new: Path) -> None:
    """Renames a file or folder, in place of what is at `new`; raises OSError."""
    os.replace(old, new)
    sync(new.parent)
    if old.parent != new.parent:
        sync(old.parent)


def exchange(one: Path, other: Path) -> bool:
    """Swaps two names in the same folder in one step; False where the system cannot."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        names = os.fsencode(one), os.fsencode(other)
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        if rename(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0:
            sync(one.parent)
            return True
    return False
