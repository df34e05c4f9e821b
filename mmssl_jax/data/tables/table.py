"""The pairs of a table, as the readers of tables give them to an import."""

from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.tables import indices, titles


class Table(NamedTuple):
    """Distinct pairs, sorted by user and then item.

    `users` and `items` are int32 [n] indices into `user_ids` and `item_ids`, which are sorted by
    their code points; `titles` are those of the items, where there are any. `times` are numbers
    [n], or None if no column of times was asked for; `dated` says that these are microseconds since
    1970. `rows` are int32 [n] and rise with the place of the pair in the file. `labels` are int8
    [n] indices into `SPLITS`, where the table is split already. `columns` says which column was
    taken for what, and `counts` how many rows each step left.
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
    titles: tuple[str, ...] | None = None


def only(table: Table, kept: np.ndarray) -> Table:
    """Some pairs of a table, bool [n], with the ids that these have."""
    users, user_ids = indices.in_use(table.users[kept], pl.Series(table.user_ids))
    items, item_ids = indices.in_use(table.items[kept], pl.Series(table.item_ids))
    titles_of = dict(zip(table.item_ids, table.titles or (), strict=False))
    return table._replace(
        users=users,
        items=items,
        times=None if table.times is None else table.times[kept],
        rows=table.rows[kept],
        user_ids=user_ids,
        item_ids=item_ids,
        labels=None if table.labels is None else table.labels[kept],
        titles=None if table.titles is None else titles.in_order(item_ids, titles_of),
    )
