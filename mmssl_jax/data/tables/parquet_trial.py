"""Reads a Parquet file in a process of its own first, since some damaged files end the process.

Polars asks for as much memory as the file says it needs, and aborts where it cannot have it.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import mmssl_jax
from mmssl_jax.data.arrays.pickles import Refused
from mmssl_jax.errors import InputError

_MEMORY, _TIMES_FILE = 8 << 30, 64  # bytes of address space: of any file, and as often as its size
COMMAND = (
    "import sys; from mmssl_jax.data.tables import parquet_trial; parquet_trial.run(*sys.argv[1:])"
)


def survive(path: Path, columns: Mapping[str, str | None] | None) -> None:
    """Raises InputError where the reader of a file does not come to an end of its own.

    That is `table_files.read_parquet` of the `columns`, or of features, where they are None,
    `feature_tables.parse_parquet`.
    """
    root = str(Path(mmssl_jax.__file__).parents[1])
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
        reason = wanted if done.returncode < 0 or "MemoryError" in last else ascii(last[:200])
        raise InputError(f"{path}: cannot be read as a table ({reason})")


def run(path: str, columns: str) -> None:
    """What the other process does: it reads, and forgets."""
    from mmssl_jax.data.features import tables
    from mmssl_jax.data.tables import files as table_files  # which import this module

    _limit_memory(_MEMORY + _TIMES_FILE * os.path.getsize(path))
    taken = json.loads(columns)
    with contextlib.suppress(InputError, Refused):  # which the parent then raises itself
        if taken is None:
            tables.parse_parquet(Path(path))
        else:
            table_files.read_parquet(Path(path), taken)


def _limit_memory(most: int) -> None:
    """Makes this process fail where it asks for more; Windows has no such limit."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, allowed = resource.getrlimit(resource.RLIMIT_AS)
    most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
    resource.setrlimit(resource.RLIMIT_AS, (most, allowed))
