"""Raw tables of interactions -> distinct pairs of user and item indices."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data import presplit
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.table_files import SPLIT, listed, read_columns
from mmssl_jax.errors import InputError

MAX_ID = 1000  # characters
K_CORE = 5
DISTINCT = "distinct pairs"
_DATE = r"^\d{4}-\d\d-\d\d"  # 05/06/2024 is May to some and June to others


class Table(NamedTuple):
    """Distinct pairs, sorted by user and then item.

    `users` and `items` are int64 [n] indices into `user_ids` and `item_ids`, which are sorted by
    their code points. `times` are numbers [n], or None if no column of times was asked for; `dated`
    says that the file has dates, and these are microseconds. `rows` are int64 [n] and rise with
    the place of the pair in the file. `labels` are int8 [n] indices into `SPLITS`, where the table
    is split already. `columns` says which column was taken for what, and `counts` how many rows
    each step left.
    """

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray | None
    rows: np.ndarray
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]
    columns: dict[str, str]
    counts: dict[str, int]
    warnings: list[str]
    k_core: int
    labels: np.ndarray | None = None
    dated: bool = False


def read(
    path: Path | Mapping[str, Path],
    columns: Mapping[str, str | None],
    *,
    separator: str | None = None,
    header: bool = True,
    min_rating: float | None = None,
    k_core: int | None = None,
    repeats: bool = False,
    split_anew: str | None = None,
) -> Table:
    """Reads the pairs of a table, or of the tables of each split.

    Ids are text as it is in the file: 7 and 007 are two. A pair that is there more than once counts
    once in each split, at its earliest time, or with `repeats` once at each time. Rows without a
    user or an item are left out, with a warning.

    Args:
      path: a Parquet file, or UTF-8 text with a pair a line; or one for each split.
      columns: the column of each of 'user', 'item', 'time', 'rating' and 'split' that is to be
        read, by name, or by number from 1 where there is no header; None finds it by its name, and
        'split' may then be missing.
      separator: one character; by default a tab in .tsv files, a comma in .csv files, and in
        others a tab if the first line has one, else a comma.
      header: whether the first line of a text file holds the names of the columns.
      min_rating: leaves out rows whose rating is lower or missing; needs the column 'rating'.
      k_core: leaves out users and items with fewer pairs than this, until none is left; by default
        `K_CORE`, but none where the table is split already, as that would be another split.
      repeats: keeps a pair for every time at which it is there.
      split_anew: the rule for which a split that the table comes with is not used, but warned of.

    Raises:
      InputError: the file cannot be read, a column is missing or holds something else, or no pair
        remains.
    """
    frame, taken, warnings = _read_parts(path, columns, separator, header)
    path = path if isinstance(path, Path) else path["train"].parent
    counts = {"rows": len(frame)}
    if min_rating is not None:
        ratings = _ratings(path, frame["rating"], taken["rating"])
        frame = frame.filter((ratings >= min_rating).fill_null(False))
        counts[f"rated {min_rating:g} or more"] = len(frame)
    users, user_ids = _index(path, frame["user"], taken["user"])
    items, item_ids = _index(path, frame["item"], taken["item"])
    dated, times = False, None
    if "time" in taken:
        times, dated = _times(path, frame["time"], taken["time"])
    labels = None
    if SPLIT in taken:
        labels, unused = _given(path, frame[SPLIT], taken[SPLIT], split_anew)
        if labels is None:
            warnings.append(f"{path}: the split by {taken.pop(SPLIT)!a} is not used, as {unused}")
    k_core = (K_CORE if labels is None else 0) if k_core is None else k_core
    del frame  # the text, which is most of the memory
    keys = users * max(len(item_ids), 1) + items
    split_keys = keys if labels is None else keys * len(SPLITS) + labels
    rows = _distinct(split_keys, times, repeats)
    first = np.diff(keys[rows], prepend=-1) != 0  # of the rows of a pair
    counts[DISTINCT] = int(first.sum())
    kept = in_k_core(users[rows[first]], items[rows[first]], k_core)
    rows = rows[kept[np.cumsum(first) - 1]]
    if k_core > 1:
        counts[f"in the {k_core}-core"] = int(kept.sum())
    if not len(rows):
        steps = ", ".join(f"{count} {step}" for step, count in counts.items())
        raise InputError(f"{path}: no pair is left ({steps}); lower --k-core or --min-rating")
    users, user_ids = _only(users[rows], user_ids)
    items, item_ids = _only(items[rows], item_ids)
    times = None if times is None else times[rows]
    labels = None if labels is None else labels[rows]
    counted = taken, counts, warnings, k_core
    return Table(users, items, times, rows, user_ids, item_ids, *counted, labels, dated)


def only(table: Table, kept: np.ndarray) -> Table:
    """Some pairs of a table, bool [n], with the ids that these have."""
    users, user_ids = _only(table.users[kept], pl.Series(table.user_ids))
    items, item_ids = _only(table.items[kept], pl.Series(table.item_ids))
    of_pairs = {
        name: None if (values := getattr(table, name)) is None else values[kept]
        for name in ("times", "rows", "labels")
    }
    return table._replace(
        users=users, items=items, user_ids=user_ids, item_ids=item_ids, **of_pairs
    )


def in_k_core(users: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """Which pairs are left when users and items with fewer than `k` of them go, again and again.

    `users` and `items` are int [n], no pair twice; the result is bool [n].
    """
    left = np.arange(len(users))
    while True:
        enough = np.ones(len(left), bool)
        for ids in (users[left], items[left]):
            enough &= (np.bincount(ids) >= k)[ids]
        if enough.all():
            break
        left = left[enough]
    kept = np.zeros(len(users), bool)
    kept[left] = True
    return kept


def _index(path: Path, ids: pl.Series, name: str) -> tuple[np.ndarray, pl.Series]:
    """The place of each id among the distinct ones, int64 [n], and those in sorted order."""
    distinct = ids.unique().sort()
    refused = distinct.str.contains(r"\p{Cc}") | (distinct.str.len_chars() > MAX_ID)
    if refused.any():
        raise InputError(
            f"{path}: column {listed([name])} has the id "
            f"{listed([distinct.filter(refused)[0]])}; ids must be at most "
            f"{MAX_ID} characters, without tabs, line breaks and other control characters"
        )
    return ids.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int64), distinct


def _given(
    path: Path, column: pl.Series, name: str, anew: str | None
) -> tuple[np.ndarray | None, str]:
    """The labels that a table comes with; or None, and why not."""
    if anew is not None:
        return None, f"--split {anew} is given"
    labels = presplit.labels_of(path, column, name)
    return (None, labels) if isinstance(labels, str) else (labels, "")


def _distinct(keys: np.ndarray, times: np.ndarray | None, every_time: bool) -> np.ndarray:
    """For each key, in ascending order, the row of its earliest time, of those the first.

    With `every_time` that of each of its times; without times these are the rows.
    """
    order = np.argsort(keys, kind="stable") if times is None else np.lexsort((times, keys))
    new = np.diff(keys[order], prepend=-1) != 0
    if every_time:
        new |= True if times is None else np.diff(times[order], prepend=0) != 0
    return order[new]


def _read_parts(
    path: Path | Mapping[str, Path],
    columns: Mapping[str, str | None],
    separator: str | None,
    header: bool,
) -> tuple[pl.DataFrame, dict[str, str], list[str]]:
    """`read_columns` of one file; or of one for each split, which becomes a column."""
    if isinstance(path, Path):
        return read_columns(path, columns, separator, header)
    frames, warnings, taken = [], [], {}
    for split, part in path.items():
        frame, names, said = read_columns(part, columns, separator, header)
        frames.append(frame.with_columns(pl.lit(split).alias(SPLIT)))
        warnings += said
        if taken and names != taken:
            raise InputError(
                f"{part}: its columns are taken as {listed(list(names.values()))}, those of the "
                f"splits before as {listed(list(taken.values()))}; name them by options"
            )
        taken = names
    taken |= {SPLIT: presplit.said(path)}
    return pl.concat(frames, how="vertical_relaxed"), taken, warnings


def _only(indices: np.ndarray, ids: pl.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """The indices among those ids alone that occur, and these."""
    occurs = np.bincount(indices, minlength=len(ids)) > 0
    return (np.cumsum(occurs) - 1)[indices], tuple(ids.filter(pl.Series(occurs)).to_list())


def _ratings(path: Path, column: pl.Series, name: str) -> pl.Series:
    """A column as float64, null where it is empty or NaN."""
    ratings = column.cast(pl.Float64, strict=False)
    if ratings.null_count() > column.null_count():
        raise InputError(
            f"{path}: column {listed([name])} holds {_not_a_number(column)}, which is no rating; "
            "correct it, or name another --rating-column"
        )
    return ratings.fill_nan(None)


def _times(path: Path, column: pl.Series, name: str) -> tuple[np.ndarray, bool]:
    """A column of times as integers or floats [n], and whether it holds dates, the year first.

    Dates become microseconds since 1970.
    """
    if empty := column.null_count():
        raise InputError(
            f"{path}: column {listed([name])} has no time in {empty} rows; complete it, or choose "
            "another --split"
        )
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("us")).to_physical().to_numpy(), True
    whole = column.dtype == pl.String or column.dtype.is_integer()  # casts cut other numbers off
    for kind in (pl.Int64, pl.Float64) if whole else (pl.Float64,):
        times = column.cast(kind, strict=False)
        if not times.null_count() and times.is_finite().all():
            return times.to_numpy(), False
    if column.dtype == pl.String and column.str.contains(_DATE).all():
        with contextlib.suppress(pl.exceptions.ComputeError):  # no format fits
            times = column.str.to_datetime(strict=False)
            if not times.null_count():
                return times.cast(pl.Datetime("us")).to_physical().to_numpy(), True
    raise InputError(
        f"{path}: column {listed([name])} holds {_not_a_number(column)}; times must be numbers, or "
        "dates all alike such as 2024-05-31 or 2024-05-31T10:00:00"
    )


def _not_a_number(column: pl.Series) -> str:
    """The first value that is no finite number, to show."""
    finite = column.cast(pl.Float64, strict=False).is_finite().fill_null(False)
    return listed([str(column.filter(~finite)[0])])
