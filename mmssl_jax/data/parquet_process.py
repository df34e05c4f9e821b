"""What the process does in which `parquet_trial` has a Parquet file read first."""

import contextlib
import json
import os
from pathlib import Path

from mmssl_jax.data.arrays.pickles import Refused
from mmssl_jax.data.features import tables as feature_tables
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.errors import InputError

_MEMORY, _TIMES_FILE = 8 << 30, 64  # bytes of address space: of any file, and as often as its size


def run(path: str, columns: str) -> None:
    """Reads a file and forgets it: columns of a table, as JSON, or features for null."""
    _limit_memory(_MEMORY + _TIMES_FILE * os.path.getsize(path))
    taken = json.loads(columns)
    with contextlib.suppress(InputError, Refused):  # which the parent then raises itself
        if taken is None:
            feature_tables.parse_parquet(Path(path))
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
