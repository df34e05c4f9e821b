"""Ids as indices: the place of each among the distinct ones, which are sorted by code points."""

from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.errors import InputError

MAX_ID = 1000  # characters


def of(path: Path, ids: pl.Series, name: str) -> tuple[np.ndarray, pl.Series]:
    """The place of each id among the distinct ones, int64 [n], and those in sorted order.

    Raises InputError for an id that is too long, or has control characters.
    """
    distinct = ids.unique().sort()
    refused = distinct.str.contains(r"\p{Cc}") | (distinct.str.len_chars() > MAX_ID)
    if refused.any():
        raise InputError(
            f"{path}: column {listed([name])} has the id "
            f"{listed([distinct.filter(refused)[0]])}; ids must be at most "
            f"{MAX_ID} characters, without tabs, line breaks and other control characters"
        )
    return ids.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64), distinct


def in_use(indices: np.ndarray, ids: pl.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """The indices among those ids alone that occur, and these."""
    occurs = np.bincount(indices, minlength=len(ids)) > 0
    return (np.cumsum(occurs) - 1)[indices], tuple(ids.filter(pl.Series(occurs)).to_list())
