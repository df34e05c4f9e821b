"""The flags of `mmssl data import`, by the sections of its help."""

import contextlib
import math
import re
from pathlib import Path

import click

from mmssl_jax.commands.help_sections import Described, option, section
from mmssl_jax.commands.paths import PATH
from mmssl_jax.data.features import folder
from mmssl_jax.data.importing.option_checks import MOST
from mmssl_jax.data.importing.options import CHOICES


def _modality(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not folder.is_name(name) or not path:
        raise click.BadParameter(
            f"{text!r} is not NAME=FILE, with letters, digits, _ and - in the name"
        )
    return name, PATH.convert(path, None, None)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise click.BadParameter(f"{text!r} is not a whole number from 0 to {MOST}")
    return int(text)


def _finite(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise click.BadParameter(f"{text!r} is not a number")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.BadParameter(f"{text!r} is not a list of values such as view,buy")
    return names


def _fractions(text: str) -> tuple[float, ...]:
    with contextlib.suppress(ValueError):
        return tuple(float(part) for part in text.split(","))
    raise click.BadParameter(f"{text!r} is not three numbers such as .8,.1,.1")


def _separator(text: str) -> str:
    return {"tab": "\t", "\\t": "\t"}.get(text, text)


def _choice(name: str) -> click.Choice[str]:
    return click.Choice(CHOICES[name])


def _column(role: str) -> Described:
    return option(f"--{role}-column", metavar="COLUMN", help=f"Of the {role}.")


where = section(
    "Options",
    option("--to", type=PATH, metavar="FOLDER", help="To write, such as data/NAME."),
    option(
        "--from",
        "layout",
        type=_choice("layout"),
        metavar="LAYOUT",
        help=f"{', '.join(CHOICES['layout'])} (default: seen from the files).",
    ),
    option("--name", help="Of the data set (default: that of the folder or file)."),
    option("--overwrite", is_flag=True, help="Replace the data folder that is at --to."),
    option("--dry-run", is_flag=True, help="Say what is found, and write nothing."),
)
features = section(
    "Features and titles of items",
    option(
        "--modality",
        "modalities",
        type=_modality,
        multiple=True,
        metavar="NAME=FILE",
        help="Add features: .npy, .npz, .pt, .pkl, .csv, .tsv, .txt or .parquet, a row an item; "
        "may be given again.",
    ),
    option(
        "--item-order",
        type=PATH,
        metavar="FILE",
        help="A raw item id a line: whose the rows of --modality files are.",
    ),
    option(
        "--catalogue",
        type=_choice("catalogue"),
        help="Items without a pair that these files have (default: drop).",
    ),
    option(
        "--zero-rows",
        type=_choice("zero_rows"),
        default="keep",
        help="Features that are all zero: as they are, or missing (default: keep).",
    ),
    option("--items", type=PATH, metavar="FILE", help="A table of items, for titles."),
    option(
        "--title-column",
        metavar="COLUMN",
        help="Of titles, in --items or the table itself.",
    ),
    option(
        "--id-spelling",
        type=_choice("id_spelling"),
        default="join",
        help="Ids that differ as 12 and 12.0, in blanks at the ends or in composed accents: one, "
        "or several (default: join).",
    ),
)
splits = section(
    "Splits",
    option(
        "--repeats",
        type=_choice("repeats"),
        help="Pairs that return in a later split: refused, left out of it, or kept, so that "
        "items trained on are ranked too (default: error).",
    ),
    option(
        "--val-from-train",
        is_flag=True,
        help="Hold val out of the training pairs at random, for data without it.",
    ),
    option("--seed", type=_count, metavar="N", help="Of what is random in a split (default: 0)."),
)
tables = section(
    "Tables: a column is a name, or a number from 1 with --no-header (default: guessed)",
    *map(_column, ("user", "item", "time", "rating")),
    option("--event-column", metavar="COLUMN", help="Of what the user did."),
    option(
        "--separator", type=_separator, metavar="CHARACTER", help="Such as ';', or 'tab' or '\\t'."
    ),
    option("--no-header", is_flag=True, help="The first line is a pair, not names of columns."),
    option(
        "--min-rating",
        type=_finite,
        metavar="X",
        help="Keep rows rated X or more, or such entries of a folder's matrices.",
    ),
    option(
        "--rating-of",
        type=_choice("rating_of"),
        help="Which rating of a pair must be high enough (default: any).",
    ),
    option("--events", type=_names, metavar="A,B", help="Keep rows of these, such as view,buy."),
    option(
        "--null-ids",
        type=_choice("null_ids"),
        help="Rows with ids such as nan, None or null (default: drop).",
    ),
)
held_out = section(
    "Tables: which pairs go where",
    option(
        "--k-core",
        type=_count,
        metavar="K",
        help="Leave out users and items with fewer than K pairs (default: 5; 0 where the data is "
        "split already).",
    ),
    option(
        "--split",
        type=_choice("split"),
        metavar="RULE",
        help=f"{', '.join(CHOICES['split'])} (default: as the data is split, else per-user).",
    ),
    option(
        "--split-column",
        metavar="COLUMN",
        help="Holds train, val and test, or 0, 1 and 2 (default: guessed).",
    ),
    option("--fold", metavar="NAME", help="Which of several splits in a folder, such as u1."),
    option(
        "--time-order",
        type=_choice("time_order"),
        help="Rows are in order of time, where no column tells it.",
    ),
    option(
        "--fractions",
        type=_fractions,
        metavar="T,V,T",
        help="by-time: of train, val and test (default: .8,.1,.1).",
    ),
    option("--val-since", metavar="TIME", help="by-time: a date or number that starts val."),
    option("--test-since", metavar="TIME", help="by-time: the same of test."),
    option(
        "--unseen",
        type=_choice("unseen"),
        help="Held-out pairs whose user or item training lacks (default: keep).",
    ),
)
