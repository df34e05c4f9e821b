"""Faults, put in by the hundred, against what docs/reliability.md promises; `make faults`.

One module a promise, with

    PROMISE    the sentence that is kept
    campaign   puts the faults in: `campaign(tally, rng, share, folder)`

A campaign counts each fault in `tally`, draws all that is random from `rng`, puts in `share` of its
full number of faults, and writes below `folder` alone.
"""

import importlib
from types import ModuleType

PROMISES = (
    "kills",
    "replay",
    "disk",
    "corruption",
    "memory",
    "concurrency",
    "not_finite",
    "environment",
    "versions",
    "hostile",
)


def load(promise: str) -> ModuleType:
    """The module of a promise."""
    return importlib.import_module(f"faults.{promise}")
