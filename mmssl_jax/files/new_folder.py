"""A new folder, whole or not at all."""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from mmssl_jax.files import durable, locks


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Gives a hidden folder to write to, beside `folder`, which it becomes when the block ends.

    What was at `folder` is replaced: it is there as the old or as the new, never as a mixture, and
    the new one is on the disk when the block has ended. (Where a system cannot exchange two names
    in one step, which Linux can, it is not there for the instant between two renames; a kill in it
    is mended by the next one that writes the same folder.) When the block raises, nothing is left.
    What a killed process leaves is removed by the next one as well; a folder that a living process
    writes to is locked, and stays. Raises OSError.
    """
    folder = Path(os.path.realpath(folder))
    durable.make_folder(folder.parent)
    unique = f".{folder.name}.{secrets.token_hex(4)}"
    partial = folder.with_name(f"{unique}.partial")
    own_lock = folder.with_name(f".{folder.name}.lock")
    try:
        with contextlib.ExitStack() as stack:
            with _locked(folder.parent, own_lock, wait=True):  # no other clears it before its lock
                _clear(folder)
                partial.mkdir()
                stack.enter_context(_locked(partial, _beside(partial)))
            yield partial
            durable.sync_tree(partial)
            if not folder.is_dir():
                durable.move(partial, folder)
            elif not durable.exchange(partial, folder):
                _move_twice(partial, folder, folder.with_name(f"{unique}.replaced"))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move_twice(new: Path, folder: Path, old: Path) -> None:
    folder.rename(old)
    try:
        durable.move(new, folder)
    except OSError:
        if not folder.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Removes what processes that were killed have left of writing `folder`."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}\.(partial|replaced)")
    for path in sorted(folder.parent.iterdir()):
        match = name.fullmatch(path.name)
        if match and path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError), _locked(path, _beside(path)):  # OSError: in use
                if match[1] == "replaced" and not folder.exists():
                    path.rename(folder)  # killed just between the two renames
                else:
                    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, file: Path, wait: bool = False) -> Iterator[None]:
    """Holds the lock of a folder; OSError where it is in use, unless it should `wait`.

    Windows opens no folders: there the lock is that of a file, which goes with it.
    """
    on_folder = os.name == "posix"
    handle = os.open(folder, os.O_RDONLY) if on_folder else os.open(file, os.O_RDWR | os.O_CREAT)
    try:
        locks.lock(handle, wait=wait)
        yield
    finally:
        os.close(handle)
        if not on_folder:
            with contextlib.suppress(OSError):  # another process waits with it
                file.unlink()


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")
