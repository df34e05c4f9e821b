"""The command line of `python -m mmssl_jax.data import`."""

import argparse
import contextlib
import math
from pathlib import Path

from mmssl_jax.commands import running
from mmssl_jax.data.features import folder
from mmssl_jax.data.importing import catalogue, reading_options, split_options, table_sources
from mmssl_jax.data.layouts import canonical, diffmm, lattice, lightgcn, mmrec
from mmssl_jax.data.tables import likes
from mmssl_jax.errors import InputError

TABLE = "table"
LAYOUTS = {
    "mmssl": canonical,
    "llmrec": canonical,
    "netflix": canonical,
    "lattice": lattice,
    "micro": lattice,
    "diffmm": diffmm,
    "sslrec": diffmm,
    "mmrec": mmrec,
    "lightgcn": lightgcn,
}
_OF_TABLES = {  # what has no meaning for a folder, and the defaults
    "user_column": None,
    "item_column": None,
    "separator": None,
    "header": True,
    **reading_options.OF_TABLES,
    **split_options.OF_TABLES,
}
_OF_BOTH = {"min_rating"}  # matrices of a folder have values as well


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
    if options.item_order and not options.modality and options.catalogue != catalogue.KEEP:
        raise InputError(
            "--item-order is for the files of --modality, and there is none; with --catalogue keep "
            "it lists items to add"
        )
    given = [name for name in _OF_TABLES if getattr(options, name) is not None]
    of_tables_alone = [name for name in given if name not in _OF_BOTH]
    options.of_table = options.layout == TABLE or (
        options.layout is None and table_sources.is_table(options.path, bool(given))
    )
    if of_tables_alone and not options.of_table:
        name = of_tables_alone[0]
        flag = "no-header" if name == "header" else name.replace("_", "-")
        raise InputError(f"--{flag} is for tables, but {options.path} is read as a folder")
    for name in set(_OF_TABLES) - set(given):
        setattr(options, name, _OF_TABLES[name])
    latest = options.rating_of == likes.LATEST
    if options.time_column is not None and options.split not in split_options.TIMED and not latest:
        raise InputError(
            f"--time-column is read only for --split {' or '.join(split_options.TIMED)} and "
            f"--rating-of {likes.LATEST}; give both or neither"
        )
    reading_options.check(options)
    split_options.check(options)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = running.Parser(
        prog="python -m mmssl_jax.data import",
        description="Imports a data set of any layout of docs/data.md, or a table of interactions.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "path",
        type=running.path,
        help="a folder of any layout, or of tables of train, val and test; or a table: CSV, TSV, "
        "JSON lines or Parquet",
    )
    add("--to", type=running.path, metavar="FOLDER", help="the folder to write, such as data/NAME")
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
        help="add features: a .npy, .npz, .pt, .pkl, .csv, .tsv, .txt or .parquet file with a row "
        "an item, the last four with or without raw ids; may be given again",
    )
    add(
        "--item-order",
        type=running.path,
        metavar="FILE",
        help="a raw item id a line: which item each row of the --modality files is of",
    )
    add(
        "--catalogue",
        choices=catalogue.CHOICES,
        help="items without a pair that --modality files or --item-order have: leave them out "
        "(drop, the default) or take them as items",
    )
    add(
        "--zero-rows",
        choices=("keep", "missing"),
        default="keep",
        help="take items whose features are all zero as having none (default: keep)",
    )
    reading_options.add_to_all(add)
    split_options.add_to_all(add)
    _add_table_options(parser.add_argument_group("tables"))
    split_options.add_to_tables(parser.add_argument_group("which pairs of a table go where"))
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
    add(
        "--min-rating",
        type=_finite,
        metavar="X",
        help="keep only rows rated, or entries of a folder's matrices of, X or more",
    )
    reading_options.add_to_tables(group)


def _modality(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not folder.is_name(name) or not path:
        raise argparse.ArgumentTypeError(
            f"{text!a} is not NAME=FILE, with letters, digits, _ and - in the name"
        )
    return name, running.path(path)


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
