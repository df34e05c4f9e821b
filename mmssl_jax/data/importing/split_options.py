"""The options of import that say where splits come from."""

import argparse
import contextlib
import re

from mmssl_jax.data.checks.findings import REPEATS
from mmssl_jax.errors import InputError

PER_USER, LEAVE_LAST, COLD_ITEMS, BY_TIME = SPLITS = (
    *("per-user", "leave-last", "cold-items", "by-time"),
)
TIMED = (LEAVE_LAST, BY_TIME)
OF_TABLES = {  # what has no meaning for a folder of another layout, and the defaults
    "time_column": None,
    "time_order": None,
    "k_core": None,
    "split": None,
    "split_column": None,
    "fold": None,
    "fractions": None,
    "val_since": None,
    "test_since": None,
    "unseen": "keep",
}


def add_to_all(add) -> None:
    """Adds what is for every layout."""
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
    add("--seed", type=count, metavar="N", help="of what is random in a split (default: 0)")


def add_to_tables(group) -> None:
    """Adds what is for tables."""
    add = group.add_argument
    add(
        "--k-core",
        type=count,
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


def check(options: argparse.Namespace) -> None:
    """Raises InputError for options that have no meaning together."""
    timed = options.split in TIMED
    if options.time_order is not None and not timed:
        raise InputError(
            f"--time-order is read only for --split {' or '.join(TIMED)}; give both or neither"
        )
    if options.time_column is not None and options.time_order is not None:
        raise InputError("--time-order rows takes no column of times; leave out --time-column")
    since = [name for name in ("fractions", "val_since", "test_since") if getattr(options, name)]
    given = [f"--{name.replace('_', '-')}" for name in since]
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


def count(text: str) -> int:
    """The `type` of an argument that counts."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!a} is not a whole number from 0 to 999999999")
    return int(text)


def _fractions(text: str) -> tuple[float, ...]:
    with contextlib.suppress(ValueError):
        parts = tuple(float(part) for part in text.split(","))
        if len(parts) == 3 and all(0 < part < 1 for part in parts) and abs(sum(parts) - 1) < 1e-6:
            return parts
    raise argparse.ArgumentTypeError(
        f"{text!a} is not three fractions of train, val and test with sum 1, such as .8,.1,.1"
    )
