"""The options of an import that say how a table is read: likes, ids, titles."""

import argparse
import re

from mmssl_jax.commands import running
from mmssl_jax.data.tables import id_spelling, likes
from mmssl_jax.data.tables.interactions import Rules
from mmssl_jax.errors import InputError

# Those that have no meaning for a folder, and the defaults.
OF_TABLES = {
    "min_rating": None,
    "rating_of": likes.ANY,
    "rating_column": None,
    "events": None,
    "event_column": None,
    "null_ids": id_spelling.DROP,
}


def add_to_tables(group) -> None:
    """Adds the options of tables, but for --rating-column and --min-rating."""
    add = group.add_argument
    add(
        "--rating-of",
        choices=(likes.ANY, likes.LATEST),
        help="of a pair rated again: any rating that is high enough will do, or the latest counts "
        "(default: any)",
    )
    add(
        "--events",
        type=_names,
        metavar="A,B",
        help="keep only rows with these in the column of events, such as view,buy",
    )
    add(
        "--event-column",
        metavar="COLUMN",
        help="as --user-column, of what the user did (default: guessed)",
    )
    add(
        "--null-ids",
        choices=(id_spelling.DROP, id_spelling.KEEP),
        help="rows with ids such as nan, None or null (default: drop)",
    )


def add_to_all(add) -> None:
    """Adds the options of tables and folders alike."""
    add(
        "--items",
        type=running.path,
        metavar="FILE",
        help="a table of items, whose titles are taken",
    )
    add(
        "--title-column",
        metavar="COLUMN",
        help="of the titles, in --items or the table itself (default: guessed)",
    )
    add(
        "--id-spelling",
        choices=(id_spelling.JOIN, id_spelling.KEEP),
        default=id_spelling.JOIN,
        help="ids that differ as 12 and 12.0, in blanks at the ends, or in how accents are "
        "composed, are one (join) or several (default: join)",
    )


def check(options: argparse.Namespace) -> None:
    """Raises InputError for options that do not go together."""
    if options.rating_column is not None and not (
        options.min_rating is not None or _latest(options)
    ):
        raise InputError(
            "--rating-column is read only for --min-rating or --rating-of latest; give one, or "
            "leave it out"
        )
    if options.title_column is not None and options.items is None and not options.of_table:
        raise InputError("--title-column needs --items, the table of items that has it")


def columns(options: argparse.Namespace) -> dict[str, str | None]:
    """The columns to be read, but for that of times, as `tables.read` takes them."""
    asked = {"user": options.user_column, "item": options.item_column}
    if options.min_rating is not None or _latest(options):
        asked["rating"] = options.rating_column
    if options.events is not None or options.event_column is not None:
        asked["event"] = options.event_column
    if options.title_column is not None and options.items is None:
        asked["title"] = options.title_column
    return asked


def rules(options: argparse.Namespace) -> Rules:
    """The options as `tables.read` takes them."""
    like = likes.Rule(options.min_rating, options.rating_of, options.events)
    return Rules(like, options.null_ids, options.id_spelling)


def recorded(options: argparse.Namespace) -> dict:
    """What dataset.json says of them."""
    return {
        "min_rating": options.min_rating,
        "rating_of": options.rating_of,
        "events": options.events,
        "null_ids": options.null_ids,
        "id_spelling": options.id_spelling,
    }


def _latest(options: argparse.Namespace) -> bool:
    return options.rating_of == likes.LATEST


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in re.split(",", text))
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!a} is not a list of values such as view,buy")
    return names
