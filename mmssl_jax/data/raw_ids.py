"""Raw ids by index, from the lists that other projects keep beside their data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmssl_jax.data.checks import Findings
from mmssl_jax.errors import InputError


def by_index(
    path: Path, indices: Sequence[int] | np.ndarray, ids: Sequence[str]
) -> tuple[str, ...]:
    """The ids in the order of their indices, which must be 0, 1, 2, ..., each once.

    Raises InputError otherwise.
    """
    order = np.argsort(indices, kind="stable")
    if not np.array_equal(np.asarray(indices, np.int64)[order], np.arange(len(order))):
        raise InputError(
            f"{path}: must list every index from 0 to {len(order) - 1} once; correct or remove it"
        )
    return tuple(ids[place] for place in order)


def complete(
    path: Path, ids: tuple[str, ...] | None, count: int, findings: Findings
) -> tuple[str, ...] | None:
    """The ids where there are `count` of them; fewer are an error."""
    if ids is not None and len(ids) < count:
        findings.error(
            "ids", f"{path}: lists {len(ids)} raw ids of {count}; complete it, or remove it"
        )
        return None
    return ids
