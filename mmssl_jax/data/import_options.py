"""The command line of `python -m mmssl_jax.data import`."""

import argparse
import contextlib
import math
import os
import re
from pathlib import Path

from mmssl_jax import command
from mmssl_jax.data import canonical, diffmm, features, lattice, lightgcn, mmrec, table_sources
from mmssl_jax.data.checks import REPEATS
from mmssl_jax.errors import InputError

TABLE = "table"
LAYOUTS = {
    "mmssl": canonical,
    "llmrec": canonical,
    "netflix": canonical,
    "lattice": lattice,
    "micro": lattice,
    "diffmm": diffmm,
    "mmrec": mmrec,
    "lightgcn": lightgcn,
}
PER_USER, LEAVE_LAST, COLD_ITEMS, BY_TIME = SPLITS = (
    *("per-user", "leave-last", "cold-items", "by-time"),
)
_BY_TIME = ("fractions", "val_since", "test_since")
_OF_TABLES = {  # what has no meaning for a folder, and the defaults
    "user_column": None,
    "item_column": None,
    "time_column": None,
    "rating_column": None,
    "separator": None,
    "header": True,
    "min_rating": None,
    "k_core": None,
    "split": None,
    "split_column": None,
    "fold": None,
    "time_order": None,
    "fractions": None,
    "val_since": None,
    "test_since": None,
    "unseen": "keep",
}


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; `of_table` says whether the source is a table, `modality` is a dict.

    Raises InputError for what cannot be understood and for options that do not go together.
    """
    options = _parser().parse_args(argv)
    if options.to is None and not options.dry_run:
        raise InputError("no --to given; name the folder to write, or add --dry-run")
    names = [name for name, _ in options.modality]
    if len(set(names)) < len(names):
        raise InputError(f"--modality names {', '.join(names)}: each may be there once")
    options.modality = dict(options.modality)
    if options.item_order and not options.modality:
        raise InputError("--item-order is for the files of --modality, and there is none")
    given = [name for name in _OF_TABLES if getattr(options, name) is not None]
    options.of_table = options.layout == TABLE or (
        options.layout is None and table_sources.is_table(options.path, bool(given))
    )
    if given and not options.of_table:
        flag = "no-header" if given[0] == "header" else given[0].replace("_", "-")
        raise InputError(f"--{flag} is for tables, but {options.path} is read as a folder")
    for name in set(_OF_TABLES) - set(given):
        setattr(options, name, _OF_TABLES[name])
    if options.rating_column is not None and options.min_rating is None:
        raise InputError("--rating-column is read only for --min-rating; give both or neither")
    _check_split(options)
    return options


def _check_split(options: argparse.Namespace) -> None:
    """Raises InputError for options of the split that have no meaning together."""
    timed = options.split in (LEAVE_LAST, BY_TIME)
    for name in ("time_column", "time_order"):
        if getattr(options, name) is not None and not timed:
            flag = name.replace("_", "-")
            raise InputError(
                f"--{flag} is read only for --split {LEAVE_LAST} or {BY_TIME}; give both or neither"
            )
    if options.time_column is not None and options.time_order is not None:
        raise InputError("--time-order rows takes no column of times; leave out --time-column")
    given = [f"--{name.replace('_', '-')}" for name in _BY_TIME if getattr(options, name)]
    if given and options.split != BY_TIME:
        raise InputError(f"{given[0]} is for --split {BY_TIME}; give both or neither")
    if given not in ([], ["--fractions"], ["--val-since", "--test-since"]):
        raise InputError(
            f"{' and '.join(given)}: give --fractions, or --val-since and --test-since, or none"
        )
    if options.split_column is not None and options.split is not None:
        raise InputError("--split-column takes the split that is there, --split makes another")
    if options.val_from_train and options.split is not None:
        raise InputError(
            f"--val-from-train is for data that is split already; --split {options.split} makes a "
            "validation split"
        )
    if options.seed is not None and not options.of_table and not options.val_from_train:
        raise InputError("--seed is for tables and for --val-from-train")
    if options.repeats is not None and options.of_table and options.split and not timed:
        raise InputError(
            f"--repeats is for data that is split already, and for --split {LEAVE_LAST} and "
            f"{BY_TIME}: {options.split} knows no earlier and later"
        )


def _parser() -> argparse.ArgumentParser:
    parser = command.Parser(
        prog="python -m mmssl_jax.data import",
        description="Imports a data set of any layout of docs/data.md, or a table of interactions.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "path",
        type=command.path,
        help="a folder of any layout, or of tables train, val and test; or a table: CSV, TSV or "
        "Parquet",
    )
    add("--to", type=command.path, metavar="FOLDER", help="the folder to write, such as data/NAME")
    add(
        "--from",
        dest="layout",
        choices=(*LAYOUTS, TABLE),
        metavar="LAYOUT",
        help=f"{', '.join(LAYOUTS)} or {TABLE} (default: seen from the files)",
    )
    add("--name", help="of the data set (default: that of the folder or file)")
    add("--overwrite", action="store_true", help="replace the data folder that is at --to")
    add("--dry-run", action="store_true", help="say what is found, and write nothing")
    add(
        "--modality",
        type=_modality,
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="add features, a .npy file with a row an item; may be given again",
    )
    add(
        "--item-order",
        type=command.path,
        metavar="FILE",
        help="a raw item id a line: which item each row of the --modality files is of",
    )
    add(
        "--zero-rows",
        choices=("keep", "missing"),
        default="keep",
        help="take items whose features are all zero as having none (default: keep)",
    )
    add(
        "--repeats",
        choices=REPEATS,
        help="pairs that return in a later split: an error, or left out of it (drop), or kept, so "
        "that all items are ranked, known ones too (default: error)",
    )
    add(
        "--val-from-train",
        action="store_true",
        help="for data without a validation split: hold one out of the training pairs, at random",
    )
    add("--seed", type=_count, metavar="N", help="of what is random in a split (default: 0)")
    _add_table_options(parser.add_argument_group("tables"))
    return parser


def _add_table_options(group) -> None:
    add = group.add_argument
    for role in ("user", "item", "time", "rating"):
        add(
            f"--{role}-column",
            metavar="COLUMN",
            help="name, or number from 1 with --no-header (default: guessed from the names)",
        )
    add("--separator", type=_separator, help="one character; 'tab' or '\\t' for a tab")
    add(
        "--no-header",
        dest="header",
        action="store_const",
        const=False,
        help="the first line is a pair, not the names of columns",
    )
    add("--min-rating", type=_finite, metavar="X", help="keep only rows rated X or more")
    add(
        "--k-core",
        type=_count,
        metavar="K",
        help="leave out users and items with fewer than K pairs (default: 5, or 0 for data that "
        "is split already; 0 keeps all)",
    )
    add(
        "--split",
        choices=SPLITS,
        help="how pairs are held out (default: as the data is split already, else per-user)",
    )
    add(
        "--split-column",
        metavar="COLUMN",
        help="names each row's split: train, val or test, or 0, 1, 2 (default: guessed)",
    )
    add("--fold", metavar="NAME", help="which of several splits in a folder, such as u1")
    add(
        "--time-order",
        choices=("rows",),
        help="rows are in order of time, where no column tells it",
    )
    add(
        "--fractions",
        type=_fractions,
        metavar="T,V,T",
        help="by-time: of train, val and test (default: .8,.1,.1)",
    )
    for name in ("val", "test"):
        add(f"--{name}-since", metavar="TIME", help=f"by-time: a date or number that starts {name}")
    add(
        "--unseen",
        choices=("keep", "drop"),
        help="pairs of val and test whose user or item training lacks (default: keep)",
    )


def _modality(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not features.is_name(name) or not path:
        raise argparse.ArgumentTypeError(
            f"{text!a} is not NAME=FILE, with letters, digits, _ and - in the name"
        )
    return name, command.path(path)


def _separator(text: str) -> str:
    text = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(text.encode()) != 1 or text in '"\r\n':
        raise argparse.ArgumentTypeError(
            f"{text!a} is not one character; of lines like 1::7::5 it is ':', with empty columns "
            "between: --no-header --user-column 1 --item-column 3"
        )
    return text


def _finite(text: str) -> float:
    with contextlib.suppress(ValueError):
        if math.isfinite(value := float(text)):
            return value
    raise argparse.ArgumentTypeError(f"{text!a} is not a number")


def _fractions(text: str) -> tuple[float, ...]:
    with contextlib.suppress(ValueError):
        parts = tuple(float(part) for part in text.split(","))
        if len(parts) == 3 and all(0 < part < 1 for part in parts) and abs(sum(parts) - 1) < 1e-6:
            return parts
    raise argparse.ArgumentTypeError(
        f"{text!a} is not three fractions of train, val and test with sum 1, such as .8,.1,.1"
    )


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 0 to 999999999")
    return int(text)
