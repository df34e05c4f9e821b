"""Raw tables of interactions -> distinct pairs of user and item indices."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import id_spelling, indices, likes, split_column, titles
from mmssl_jax.data.tables import pairs as table_pairs
from mmssl_jax.data.tables import parts as table_parts
from mmssl_jax.data.tables import times as table_times
from mmssl_jax.data.tables.column_names import IF_THERE, SPLIT
from mmssl_jax.data.tables.table import Table
from mmssl_jax.errors import InputError

K_CORE = 5
DISTINCT = "distinct pairs"
_UNASKED = dict.fromkeys(("rating", "event", "title"), IF_THERE)  # roles that are looked for


class Rules(NamedTuple):
    """How rows are read: what is a like, what is no id, and whether spellings of an id are one.

    See `likes.Rule` and `id_spelling.clean`.
    """

    like: likes.Rule = likes.Rule()
    null_ids: str = id_spelling.DROP
    id_spelling: str = id_spelling.JOIN


def read(
    path: Path | Mapping[str, Path],
    columns: Mapping[str, str | None],
    *,
    separator: str | None = None,
    header: bool = True,
    rules: Rules = Rules(),  # noqa: B008 (it is immutable)
    k_core: int | None = None,
    repeats: bool = False,
    split_anew: str | None = None,
) -> Table:
    """Reads the pairs of a table, or of the tables of each split.

    Ids are text: 7 and 007 are two, while 7 and 7.0 are one by `rules`. A pair that is there more
    than once counts once in each split, at its earliest time, or with `repeats` once at each time.
    Rows without a user or an item are left out, with a warning.

    Args:
      path: a Parquet file, or UTF-8 text with a pair a line: fields with a separator between, or
        JSON; text may be packed by gzip. Or one for each split.
      columns: the column of each of 'user', 'item', 'time', 'rating', 'event', 'title' and 'split'
        that is to be read, by name, or by number from 1 where there is no header; None finds it by
        its name, and 'split' may then be missing. Rating, event and title are looked for anyway.
      separator: one character; by default a tab in .tsv files, a comma in .csv files, and in
        others a tab if the first line has one, else a comma.
      header: whether the first line of a text file holds the names of the columns.
      rules: how rows are read.
      k_core: leaves out users and items with fewer pairs than this, until none is left; by default
        `K_CORE`, but none where the table is split already, as that would be another split.
      repeats: keeps a pair for every time at which it is there.
      split_anew: the rule for which a split that the table comes with is not used, but warned of.

    Raises:
      InputError: the file cannot be read, a column is missing or holds something else, or no pair
        remains.
    """
    where = path if isinstance(path, Path) else path["train"].parent
    liked = _read_likes(path, where, columns, separator, header, rules, split_anew)
    k_core = (K_CORE if liked.labels is None else 0) if k_core is None else k_core
    chosen = _rows_of_pairs(where, liked, k_core, repeats)
    return _table(liked._replace(keys=chosen[:0]), chosen, columns, k_core)


class _Likes(NamedTuple):
    """The rows that are likes, in the file's order; fields as of `Table`, but for all ids read."""

    users: np.ndarray
    items: np.ndarray
    keys: np.ndarray  # int64 [n], a number for the pair
    times: np.ndarray | None
    dated: bool
    labels: np.ndarray | None
    user_ids: pl.Series
    item_ids: pl.Series
    titles: dict[str, str] | None  # of items
    columns: dict[str, str]
    counts: dict[str, int]
    warnings: list[str]


def _read_likes(
    path: Path | Mapping[str, Path],
    where: Path,
    columns: Mapping[str, str | None],
    separator: str | None,
    header: bool,
    rules: Rules,
    split_anew: str | None,
) -> _Likes:
    """The likes without their text, which is most of the memory."""
    rows, taken, warnings = table_parts.read(path, _UNASKED | dict(columns), separator, header)
    counts = {"rows": len(rows.frame)}
    rows, said = id_spelling.clean(where, rows, taken, rules.null_ids, rules.id_spelling)
    warnings += said
    names = None
    if "title" in taken:
        names, said = titles.of_rows(where, rows, taken["title"], "title" not in columns)
        warnings += said
    users, user_ids = indices.of(where, rows, "user", taken["user"])
    items, item_ids = indices.of(where, rows, "item", taken["item"])
    keys = users.astype(np.int64) * max(len(item_ids), 1) + items
    frame = rows.frame.drop("item")  # not both, as rows without a column are none
    liked = _liked(where, frame, taken, rules.like, keys, counts, warnings)
    if not liked.all():
        frame = frame.filter(pl.Series(liked))
        users, items, keys = users[liked], items[liked], keys[liked]
    times, dated = _times(where, frame, taken, warnings)
    labels = None
    if SPLIT in taken:
        labels, unused = split_column.given(
            where, frame[SPLIT], taken[SPLIT], split_anew, bool(columns.get(SPLIT)), warnings
        )
        if labels is None:
            warnings.append(f"{where}: the split by {taken.pop(SPLIT)!r} is not used, as {unused}")
    of_rows = users, items, keys, times, dated, labels
    return _Likes(*of_rows, user_ids, item_ids, names, taken, counts, warnings)


def _rows_of_pairs(path: Path, rows: _Likes, k_core: int, repeats: bool) -> np.ndarray:
    """The row that stands for each pair of the k-core, int32; adds to the counts.

    Raises InputError where there is none.
    """
    keys = rows.keys if rows.labels is None else rows.keys * len(SPLITS) + rows.labels
    chosen: np.ndarray = table_pairs.distinct(keys, rows.times, repeats)
    first = np.ones(len(chosen), bool)  # of the rows of a pair
    if repeats or rows.labels is not None:
        first = np.diff(rows.keys[chosen], prepend=-1) != 0
    rows.counts[DISTINCT] = int(first.sum())
    if k_core > 1:
        pairs = chosen[first]
        kept = table_pairs.in_k_core(rows.users[pairs], rows.items[pairs], k_core)
        chosen = chosen[kept[np.cumsum(first) - 1]]
        rows.counts[f"in the {k_core}-core"] = int(kept.sum())
    if not len(chosen):
        steps = ", ".join(f"{count} {step}" for step, count in rows.counts.items())
        raise InputError(
            f"{path}: no pair is left ({steps}); lower --k-core, or take more rows: --min-rating, "
            "--events"
        )
    return chosen


def _table(
    rows: _Likes, chosen: np.ndarray, columns: Mapping[str, str | None], k_core: int
) -> Table:
    """The chosen rows with the ids that these have; `columns` are those that were asked for."""
    users, user_ids = indices.in_use(rows.users[chosen], rows.user_ids)
    items, item_ids = indices.in_use(rows.items[chosen], rows.item_ids)
    return Table(
        users=users,
        items=items,
        times=None if rows.times is None else rows.times[chosen],
        rows=chosen,
        user_ids=user_ids,
        item_ids=item_ids,
        columns={role: name for role, name in rows.columns.items() if role in (*columns, SPLIT)},
        counts=rows.counts,
        warnings=rows.warnings,
        k_core=k_core,
        labels=None if rows.labels is None else rows.labels[chosen],
        dated=rows.dated,
        titles=None if rows.titles is None else titles.in_order(item_ids, rows.titles),
    )


def _liked(
    path: Path,
    frame: pl.DataFrame,
    taken: Mapping[str, str],
    rule: likes.Rule,
    keys: np.ndarray,
    counts: dict[str, int],
    warnings: list[str],
) -> np.ndarray:
    """Which rows are likes, bool [n]; adds to `counts` and `warnings`."""
    latest = None
    if rule.rating_of == likes.LATEST:
        times, _ = _times(path, frame, taken, warnings)
        latest = table_pairs.latest(keys, np.arange(len(frame)) if times is None else times)
        if times is None:
            warnings.append(
                f"{path}: of a pair rated again the later row counts as the latest; --time-column "
                "names the column of times, if there is one"
            )
    liked, steps, said = likes.select(path, frame, taken, rule, latest, keys)
    counts |= steps
    warnings += said
    return liked


def _times(
    path: Path, frame: pl.DataFrame, taken: Mapping[str, str], warnings: list[str]
) -> tuple[np.ndarray | None, bool]:
    """The times, None without a column of them, and whether they are microseconds since 1970."""
    if "time" not in taken:
        return None, False
    times, dated, said = table_times.read(path, frame["time"], taken["time"])
    warnings += [message for message in said if message not in warnings]
    return times, dated
