"""Reads a Parquet file in a process of its own first, since some damaged files end the process.

Polars asks for as much memory as the file says it needs, and aborts where it cannot have it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmssl_jax.errors import InputError

_MEMORY, _TIMES_FILE = 8 << 30, 64  # bytes of address space: of any file, and as often as its size
COMMAND = (
    "import sys; from mmssl_jax.data import parquet_process; parquet_process.run(*sys.argv[1:])"
)
ITEMS = "items"  # for columns: all, of a table of items
PARTS_COMMAND = "from mmssl_jax.data import parquet_process; parquet_process.examine()"


def survive(path: Path, columns: Mapping[str, str | None] | None) -> None:
    """Raises InputError where the reader of a file does not come to an end of its own.

    That is what `parquet_process.run` calls, of the `columns`, or of features where they are None.
    """
    _survive(path, json.dumps(columns and dict(columns)))


def survive_items(path: Path) -> None:
    """`survive` of a table of items."""
    _survive(path, json.dumps(ITEMS))


def _survive(path: Path, asked: str) -> None:
    done = _run(COMMAND, str(path), asked)
    if done.returncode:
        raise InputError(f"{path}: cannot be read as a table ({_reason(done)})")


def of_parts(parts: Sequence[tuple[Path, str | None]]) -> list[dict[str, Any]]:
    """What `parquet_process.examine` says of each of the parts of pairs, in their order.

    A part that its reader does not survive has an 'error' as well; those after it have nothing.
    """
    given = json.dumps([(str(path), split) for path, split in parts])
    done = _run(PARTS_COMMAND, given=given)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode and len(found) < len(parts):
        path, _ = parts[len(found)]
        found.append({"error": f"{path}: cannot be read as Parquet ({_reason(done)})"})
    return found


def _run(
    command: str, *arguments: str, given: str | None = None
) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parents[3])
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-P", "-c", command, *arguments],
        env=os.environ | {"PYTHONPATH": paths},
        stdin=subprocess.DEVNULL if given is None else None,
        input=given,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    last = (done.stderr.strip().splitlines() or [""])[-1]
    wanted = "it asks for more memory than its size can need; it is damaged, so get it again"
    return wanted if done.returncode < 0 or "MemoryError" in last else repr(last[:200])


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
