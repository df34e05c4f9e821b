"""How much memory this process can still have, as far as the system says."""

import contextlib
import errno
import sys
from pathlib import Path
from typing import Any

from mmssl_jax.errors import InputError

resource: Any  # a module that not every system has
try:
    import resource
except ImportError:  # Windows
    resource = None

_MOUNTED = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# Bytes. Loading takes .7e9; with 1.3e9 more, not all commands ended well.
_ADDRESSES = 2_500_000_000


def available() -> int | None:
    """Bytes, by the tightest limit: of the machine, process or control group; None if unknown.

    Containers and schedulers such as SLURM set limits of control groups. That of the process is of
    addresses (`ulimit -v`), of which a program takes more than it uses.
    """
    if not sys.platform.startswith("linux"):
        return None
    limits = [_of_machine(), _of_process(), *map(_of_group, _groups())]
    known = [limit for limit in limits if limit is not None]
    return max(min(known), 0) if known else None


def require_addresses() -> None:
    """Raises InputError where `ulimit -v` is too low for the libraries, before they are loaded.

    OpenBLAS, polars and XLA wait for ever, or end the process, where their threads get no memory.
    """
    if resource is None:
        return
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if 0 <= limit < _ADDRESSES:
        raise InputError(
            f"the limit of addresses is {said(limit)}, and libraries need {said(_ADDRESSES)} at "
            "least; raise it (ulimit -v)"
        )


def require(count: float | int, what: str, remedy: str) -> None:
    """Raises InputError where so many bytes cannot be had."""
    room = available()
    if room is not None and count > room:
        raise InputError(
            f"{what} needs {said(count)} of memory, and {said(room)} can be had here; {remedy}"
        )


def ran_out(error: BaseException | None) -> bool:
    """Whether an error, or what it came of, is that the system or a device gave no more."""
    if error is None:
        return False
    text = str(error)
    if type(error).__name__ == "JaxRuntimeError":
        mine = "RESOURCE_EXHAUSTED" in text or "allocate" in text
    elif isinstance(error, OSError):
        mine = error.errno == errno.ENOMEM
    else:
        no_thread = isinstance(error, RuntimeError) and "can't start new thread" in text
        mine = no_thread or isinstance(error, MemoryError)
    return mine or ran_out(error.__cause__) or ran_out(error.__context__)


def said(count: float | int) -> str:
    """A number of bytes in words."""
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_process() -> int | None:
    if resource is None:
        return None
    with contextlib.suppress(OSError, ValueError, IndexError):
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
            return int(limit) - pages * int(resource.getpagesize())
    return None


def _groups() -> list[Path]:
    """The folders of the control groups that this process is in, for memory: its own and all above.

    Where a container is not told of the groups outside, its own is at the top of what is mounted.
    """
    folders = []
    with contextlib.suppress(OSError, ValueError):
        for line in _OWN_GROUPS.read_text("utf-8").splitlines():
            number, kinds, path = line.split(":", 2)
            if number == "0" or "memory" in kinds.split(","):
                top = _MOUNTED if number == "0" else _MOUNTED / "memory"  # of version 2, of 1
                own = top / path.strip("/")
                above = own.parents[: len(own.parts) - len(top.parts)]
                folders += [own, *above] if own.is_relative_to(top) else [top]
    return folders


def _of_group(folder: Path) -> int | None:
    """What a control group still gives: its limit, without what is in use and no cache of files."""
    for most, used, prefix in (
        ("memory.max", "memory.current", ""),  # version 2
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),  # version 1
    ):
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / most).read_text("ascii"))  # "max" is none
            stat = (folder / "memory.stat").read_text("ascii")
            counts = dict(line.split() for line in stat.splitlines())
            caches = [int(counts.get(f"{prefix}{name}_file", 0)) for name in ("inactive", "active")]
            return limit - int((folder / used).read_text("ascii")) + sum(caches)
    return None
