"""A warm process that forks: commands start at once, and can be killed at any moment.

python -m faults.warm    # a task in JSON on each line of stdin, its outcome on one of stdout
"""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from faults import errands
from faults.errands import ERRANDS

_WRITING = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.fsync"}
_CALLS = {*_WRITING, "open", "os.listdir", "os.scandir"}
_TO_WRITE = os.O_WRONLY | os.O_RDWR


class Outcome(NamedTuple):
    """How a command ended: its exit code, or the negative number of a signal."""

    code: int
    seconds: float
    calls: int  # that it made on files of its folder; -1 where it was killed
    left: int  # processes of its group that outlived it and its killer
    said: str  # the end of what it printed


class Warm:
    """One warm process, seen from outside; `run` gives it one command at a time."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        command = [sys.executable, "-m", "faults.warm"]
        self._process = subprocess.Popen(command, env=errands.environment(), text=True, **pipes)

    def __enter__(self) -> "Warm":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # upon which it ends
        self._process.wait()
        self._process.stdout.close()

    def run(
        self,
        errand: str,
        folder: Path,
        *,
        after: float | None = None,
        call: int | None = None,
        late: float = 0.0,
        group: bool = False,
        error: int = 0,
        lasting: bool = False,
        vanish: str = "",
    ) -> Outcome:
        """Runs a command in a fork, and disturbs it if a moment is given: kills it with SIGKILL.

        Args:
          errand: one of `ERRANDS`.
          folder: that of `errands.prepare`.
          after: seconds after which it is killed.
          call: the number of a call on files of the folder before which it kills itself, from 1.
          late: seconds to wait then, while it goes on.
          group: whether all processes of its group are killed.
          error: instead of being killed, the call raises OSError of this errno.
          lasting: and so do all later ones.
          vanish: a path below the folder that is removed instead.
        """
        task = {"errand": errand, "folder": str(folder), "after": after, "call": call}
        task |= {"late": late, "group": group, "error": error, "lasting": lasting}
        task["vanish"] = vanish
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


def main() -> None:
    """Does what stdin says until it ends."""
    _import()
    for line in sys.stdin:
        print(json.dumps(_outcome(json.loads(line))._asdict()), flush=True)


def _import() -> None:
    """What commands import late; no device is looked for, as those do not survive a fork."""
    import importlib

    import optax  # noqa: F401
    import orbax.checkpoint  # noqa: F401
    import polars  # noqa: F401

    for name in ("train", "data", "data_import", "encode", "export", "compare", "tune"):
        importlib.import_module(f"mmssl_jax.commands.{name}")
    with contextlib.suppress(ImportError):
        from mmssl_jax.studies import tune_folder  # noqa: F401


def _outcome(task: dict[str, Any]) -> Outcome:
    folder, began = Path(task["folder"]), time.monotonic()
    said, counted = (
        folder.with_name(f".{folder.name}-{kind}-{os.getpid()}") for kind in ("said", "calls")
    )
    child = os.fork()
    if child == 0:
        _be_child(task, said, counted)
    killer = os.killpg if task["group"] else os.kill
    status = None
    while status is None:
        ended, found = os.waitpid(child, os.WNOHANG)
        if ended:
            status = found
        elif task["after"] is not None and time.monotonic() - began > task["after"]:
            with contextlib.suppress(ProcessLookupError):  # it has no group of its own yet
                killer(child, signal.SIGKILL)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        else:
            time.sleep(0.001)
    seconds = time.monotonic() - began
    calls = int(counted.read_text()) if counted.exists() else -1
    words = said.read_text(errors="replace")[-4000:] if said.exists() else ""
    for path in (said, counted):
        path.unlink(missing_ok=True)
    code = os.waitstatus_to_exitcode(status)
    return Outcome(code, seconds, calls, _living(child) if task["group"] else 0, words)


def _living(group: int) -> int:
    """Processes of a group that still run some moments after it was killed."""
    for _ in range(100):
        states = [stat.rpartition(")")[2].split() for stat in _stats()]
        living = [state for state in states if int(state[2]) == group and state[0] not in "ZX"]
        if not living:
            return 0
        time.sleep(0.05)
    return len(living)


def _stats() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            yield path.read_text(errors="replace")


def _be_child(task: dict[str, Any], said: Path, counted: Path) -> None:
    """Runs the command and ends this process."""
    code = 70
    try:
        os.setsid()
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(out, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        calls = _watch(task)
        code = errands.run(ERRANDS[task["errand"]], Path(task["folder"]))
        counted.write_text(str(calls[0]))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _watch(task: dict[str, Any]) -> list[int]:
    """Counts calls on files of the folder, and disturbs the one that the task names."""
    calls, folder, last = [0], task["folder"], task["call"]
    busy = [False]

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _CALLS or busy[0] or not str(arguments[0]).startswith(folder + os.sep):
            return
        if task["error"] in _OF_WRITING and not _writes(event, arguments):
            return
        calls[0] += 1
        if calls[0] == last or (last and task["lasting"] and calls[0] > last):
            busy[0] = True
            try:
                _disturb(task, str(arguments[0]))
            finally:
                busy[0] = False

    real = os.fsync

    def fsync(handle: int) -> None:
        heard("os.fsync", (os.readlink(f"/proc/self/fd/{handle}"),))
        real(handle)

    os.fsync = fsync
    sys.addaudithook(heard)
    return calls


_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def _writes(event: str, arguments: tuple[Any, ...]) -> bool:
    return event in _WRITING or (event == "open" and bool((arguments[2] or 0) & _TO_WRITE))


def _disturb(task: dict[str, Any], path: str) -> None:
    if task["error"]:
        raise OSError(task["error"], os.strerror(task["error"]), path)
    if task["vanish"]:
        shutil.rmtree(Path(task["folder"]) / task["vanish"], ignore_errors=True)
    elif task["late"]:
        timer = threading.Timer(task["late"], _die, (task["group"],))
        timer.daemon = True
        timer.start()
    else:
        _die(task["group"])


def _die(group: bool) -> None:
    if group:
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
