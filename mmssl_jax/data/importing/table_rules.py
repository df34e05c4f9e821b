"""The options of an import as the reader of tables takes them: columns, likes, ids."""

from pathlib import Path
from typing import Any

from mmssl_jax.data.importing.options import TIMED, ImportOptions
from mmssl_jax.data.tables import id_spelling, likes
from mmssl_jax.data.tables.column_names import IF_THERE
from mmssl_jax.data.tables.interactions import Rules
from mmssl_jax.errors import InputError


def columns(options: ImportOptions, path: Path | dict[str, Path]) -> dict[str, str | None]:
    """The columns to be read of the table at `path`, or of tables by split.

    Raises InputError where files are the splits, and a column is to be.
    """
    asked = {"user": options.user_column, "item": options.item_column}
    if options.min_rating is not None or options.latest:
        asked["rating"] = options.rating_column
    if options.events is not None or options.event_column is not None:
        asked["event"] = options.event_column
    if options.title_column is not None and options.items is None:
        asked["title"] = options.title_column
    if options.split in TIMED and options.time_order is None:
        asked["time"] = options.time_column
    elif options.latest and options.time_order is None:
        asked["time"] = options.time_column or IF_THERE
    if isinstance(path, Path):
        asked["split"] = options.split_column
    elif options.split_column is not None:
        raise InputError(f"{options.path}: its files are the splits; leave out --split-column")
    return asked


def rules(options: ImportOptions) -> Rules:
    """Which rows are likes, and which ids are one."""
    like = likes.Rule(options.min_rating, options.rating_of or likes.ANY, options.events)
    return Rules(like, options.null_ids or id_spelling.DROP, options.id_spelling)


def recorded(options: ImportOptions) -> dict[str, Any]:
    """What dataset.json says of them."""
    (like, null_ids, spelling) = rules(options)
    return {**like._asdict(), "null_ids": null_ids, "id_spelling": spelling}
