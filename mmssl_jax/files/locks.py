"""Locks on open files, which end with the process that holds them."""

import os
import time
from typing import Any

fcntl: Any  # modules that not every system has
msvcrt: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
try:
    import msvcrt
except ImportError:
    msvcrt = None

_FAR = 1 << 40  # Windows locks bytes, and nobody else can read them: one past the end of any file


def lock(handle: int, *, wait: bool = False) -> None:
    """Locks an open file; where a system has no locks at all, does nothing.

    Args:
      handle: the file's descriptor; the lock goes when it is closed.
      wait: for as long as another process holds the lock.

    Raises:
      BlockingIOError: another process holds the lock.
    """
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    elif msvcrt is not None:
        while not _lock_byte(handle):
            if not wait:
                raise BlockingIOError("another process holds the lock")
            time.sleep(0.1)


def _lock_byte(handle: int) -> bool:
    """Whether Windows gives the lock now."""
    place = os.lseek(handle, 0, os.SEEK_CUR)
    os.lseek(handle, _FAR, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    finally:
        os.lseek(handle, place, os.SEEK_SET)
    return True
