"""Ids as indices: the place of each among the distinct ones, which are sorted by code points."""

from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.tables import coded
from mmssl_jax.data.tables.coded import Rows
from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.errors import InputError

MAX_ID = 1000  # characters


def of(path: Path, rows: Rows, role: str, name: str) -> tuple[np.ndarray, pl.Series]:
    """The place of each id among the distinct ones, int32 [n], and those in sorted order.

    Raises InputError for an id that is too long, or has control characters.
    """
    rows = coded.in_use(rows, role)
    distinct = rows.texts[role]
    refused = distinct.str.contains(r"\p{Cc}") | (distinct.str.len_chars() > MAX_ID)
    if refused.any():
        raise InputError(
            f"{path}: column {listed([name])} has the id "
            f"{listed([distinct.filter(refused)[0]])}; ids must be at most "
            f"{MAX_ID} characters, without tabs, line breaks and other control characters"
        )
    return rows.frame[role].to_numpy().astype(np.int32), distinct


def in_use(indices: np.ndarray, ids: pl.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """The indices among those ids alone that occur, and these."""
    occurs = np.bincount(indices, minlength=len(ids)) > 0
    places = np.cumsum(occurs, dtype=np.int32) - 1
    return places[indices], tuple(ids.filter(pl.Series(occurs)).to_list())
