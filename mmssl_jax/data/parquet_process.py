"""What the process does in which `parquet_trial` has a Parquet file read first."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from mmssl_jax.data.arrays.pickles import Refused
from mmssl_jax.data.features import item_attributes
from mmssl_jax.data.features import tables as feature_tables
from mmssl_jax.data.layouts import splits_parquet
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.data.tables import parquet_trial
from mmssl_jax.errors import InputError


def run(path: str, columns: str) -> None:
    """Reads a file and forgets it: columns of a table, as JSON, features for null, or items."""
    parquet_trial.limit_memory(os.path.getsize(path))
    taken = json.loads(columns)
    with contextlib.suppress(InputError, Refused):  # which the parent then raises itself
        if taken == parquet_trial.ITEMS:
            item_attributes.parse_parquet(Path(path))
        elif taken is None:
            feature_tables.parse_parquet(Path(path))
        else:
            table_files.read_parquet(Path(path), taken)


def examine() -> None:
    """Reads the parts of pairs that stdin lists, and prints a line of JSON for each at once."""
    parts = [(Path(path), split) for path, split in json.load(sys.stdin)]
    largest = max((path.stat().st_size for path, _ in parts if path.is_file()), default=0)
    parquet_trial.limit_memory(largest)
    for path, split in parts:
        found: dict[str, Any]
        try:
            found = {"splits": splits_parquet.examine(path, split)}
        except InputError as error:
            found = {"error": str(error)}
        print(json.dumps(found), flush=True)
