"""Reads a Parquet file in a process of its own first, since some damaged files end the process.

Polars asks for as much memory as the file says it needs, and aborts where it cannot have it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mmssl_jax.errors import InputError

_MEMORY, _TIMES_FILE = 8 << 30, 64  # bytes of address space: of any file, and as often as its size
COMMAND = (
    "import sys; from mmssl_jax.data import parquet_process; parquet_process.run(*sys.argv[1:])"
)


def survive(path: Path, columns: Mapping[str, str | None] | None) -> None:
    """Raises InputError where the reader of a file does not come to an end of its own.

    That is what `parquet_process.run` calls, of the `columns`, or of features where they are None.
    """
    root = str(Path(__file__).parents[3])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMMAND, str(path), json.dumps(columns and dict(columns))],
        env=os.environ | {"PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        errors="replace",
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        wanted = "it asks for more memory than its size can need; it is damaged, so get it again"
        reason = wanted if done.returncode < 0 or "MemoryError" in last else repr(last[:200])
        raise InputError(f"{path}: cannot be read as a table ({reason})")


def limit_memory(size: int) -> None:
    """Makes this process fail where it asks for more than a file of so many bytes can need.

    Windows has no such limit.
    """
    most = _MEMORY + _TIMES_FILE * size
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
    resource.setrlimit(resource.RLIMIT_AS, (most, allowed))
