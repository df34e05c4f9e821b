"""Which values of an import's options can be, and which options go together."""

import dataclasses
import math

from mmssl_jax.data.features import folder
from mmssl_jax.data.importing import catalogue, table_sources
from mmssl_jax.data.importing.options import (
    BY_TIME,
    CHOICES,
    OF_TABLES,
    TABLE,
    TIMED,
    ImportOptions,
    flag,
)
from mmssl_jax.errors import InputError

MOST = 999_999_999  # of what counts
_OF_BOTH = {"min_rating"}  # matrices of a folder have values as well


def settled(options: ImportOptions) -> ImportOptions:
    """The options with `layout` TABLE where the source is a table.

    Raises InputError for values that cannot be, and for options that do not go together.
    """
    _check_values(options)
    if options.item_order and not options.modalities and options.catalogue != catalogue.KEEP:
        raise InputError(
            "--item-order is for the files of --modality, and there is none; with --catalogue keep "
            "it lists items to add"
        )
    options = _with_kind(options)
    _check_times(options)
    _check_reading(options)
    _check_splits(options)
    return options


def _check_values(options: ImportOptions) -> None:
    for name, choices in CHOICES.items():
        value = getattr(options, name)
        if value is not None and value not in choices:
            raise InputError(f"{flag(name)} is {value!r}; it must be one of {', '.join(choices)}")
    for name in options.modalities:
        if not folder.is_name(name):
            raise InputError(f"{name!r} cannot name a modality; take letters, digits, _ and -")
        same = [other for other in options.modalities if other.casefold() == name.casefold()]
        if len(same) > 1:  # they name files, which some systems do not tell apart
            raise InputError(f"modalities {same[0]} and {same[1]} differ in case alone; rename one")
    for name in ("k_core", "seed"):
        value = getattr(options, name)
        if value is not None and not 0 <= value <= MOST:
            raise InputError(f"{flag(name)} {value} is not a whole number from 0 to {MOST}")
    if options.min_rating is not None and not math.isfinite(options.min_rating):
        raise InputError(f"--min-rating {options.min_rating} is not a number")
    mark = options.separator
    if mark is not None and (len(mark.encode()) != 1 or mark in '"\r\n'):
        raise InputError(
            f"--separator {mark!r} is not one character; of lines like 1::7::5 it is ':', with "
            "empty columns between: --no-header --user-column 1 --item-column 3"
        )
    if options.fractions is not None and not _are_fractions(options.fractions):
        given = ",".join(f"{part:g}" for part in options.fractions)
        raise InputError(
            f"--fractions '{given}' is not three fractions of train, val and test with sum 1, such "
            "as .8,.1,.1"
        )


def _are_fractions(parts: tuple[float, ...]) -> bool:
    return len(parts) == 3 and all(0 < part < 1 for part in parts) and abs(sum(parts) - 1) < 1e-6


def _with_kind(options: ImportOptions) -> ImportOptions:
    """With `layout` TABLE where the source is one; refuses options of tables where it is none."""
    values = {name: getattr(options, name) for name in OF_TABLES}
    given = [name for name, value in values.items() if value is not None and value is not False]
    if options.layout is None and table_sources.is_table(options.path, bool(given)):
        options = dataclasses.replace(options, layout=TABLE)
    of_tables_alone = [name for name in given if name not in _OF_BOTH]
    if of_tables_alone and not options.of_table:
        name = flag(of_tables_alone[0])
        raise InputError(f"{name} is for tables, but {options.path} is read as a folder")
    return options


def _check_times(options: ImportOptions) -> None:
    timed, kinds = options.split in TIMED, " or ".join(TIMED)
    if options.time_column is not None and not timed and not options.latest:
        raise InputError(
            f"--time-column is read only for --split {kinds} and --rating-of latest; give both or "
            "neither"
        )
    if options.time_order is not None and not timed:
        raise InputError(f"--time-order is read only for --split {kinds}; give both or neither")
    if options.time_column is not None and options.time_order is not None:
        raise InputError("--time-order rows takes no column of times; leave out --time-column")
    points = ("fractions", "val_since", "test_since")
    given = [flag(name) for name in points if getattr(options, name)]
    if given and options.split != BY_TIME:
        raise InputError(f"{given[0]} is for --split {BY_TIME}; give both or neither")
    if given not in ([], ["--fractions"], ["--val-since", "--test-since"]):
        raise InputError(
            f"{' and '.join(given)}: give --fractions, or --val-since and --test-since, or none"
        )


def _check_reading(options: ImportOptions) -> None:
    if options.rating_column is not None and options.min_rating is None and not options.latest:
        raise InputError(
            "--rating-column is read only for --min-rating or --rating-of latest; give one, or "
            "leave it out"
        )
    if options.title_column is not None and options.items is None and not options.of_table:
        raise InputError("--title-column needs --items, the table of items that has it")


def _check_splits(options: ImportOptions) -> None:
    if options.split_column is not None and options.split is not None:
        raise InputError("--split-column takes the split that is there, --split makes another")
    if options.val_from_train and options.split is not None:
        raise InputError(
            f"--val-from-train is for data that is split already; --split {options.split} makes a "
            "validation split"
        )
    if options.seed is not None and not options.of_table and not options.val_from_train:
        raise InputError("--seed is for tables and for --val-from-train")
