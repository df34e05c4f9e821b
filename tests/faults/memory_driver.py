"""Runs commands of mmssl, each in a fork of its own that gets only so much more memory.

    python memory_driver.py < one JSON list a line: [limit, arguments, file for its stderr]

A limit is a number of bytes of addresses, the folder of a control group, or null. Prints, for each,
its exit code; negative where a signal ended it. What the commands import is there before the limit,
so that it hits their work.
"""

import json
import os
import resource
import signal
import sys
from pathlib import Path

import jax  # noqa: F401
import polars  # noqa: F401
from orbax.checkpoint import v1 as ocp  # noqa: F401

import mmssl_jax.api
import mmssl_jax.commands.data
import mmssl_jax.commands.evaluate
import mmssl_jax.commands.export
import mmssl_jax.commands.train  # noqa: F401
from mmssl_jax.commands import main

SECONDS, WAIT = 300, 120  # of the processor; and by the clock, where it waits for ever


def _child(limit: int | str | None, arguments: list[str], errors: str) -> None:
    """Never returns."""
    handle = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(handle, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.alarm(WAIT)
    if isinstance(limit, str):
        Path(limit, "cgroup.procs").write_text(str(os.getpid()))
    elif limit is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + limit
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    code = 0
    try:
        main(arguments)
    except SystemExit as exit_:
        code = exit_.code or 0
    except BaseException as error:
        print(f"a traceback: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
        code = 1
    finally:
        sys.stderr.flush()
        os._exit(code)


for line in sys.stdin:
    pid = os.fork()
    if not pid:
        _child(*json.loads(line))
    _, status = os.waitpid(pid, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
