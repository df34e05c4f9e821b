"""The data set of a raw table, or of tables that are split already: filtered, indexed and split."""

import argparse
import contextlib
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.data import splits
from mmssl_jax.data.checks.findings import KEEP, Findings
from mmssl_jax.data.dataset import SPLITS, Dataset, assemble
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.importing import options as import_options
from mmssl_jax.data.importing import reading_options, split_options, table_sources
from mmssl_jax.data.tables import interactions, likes, presplit, time_split, unpacked
from mmssl_jax.data.tables import times as table_times
from mmssl_jax.data.tables.column_names import IF_THERE
from mmssl_jax.errors import InputError

_FRACTIONS = (0.8, 0.1, 0.1)
GIVEN = "as given"


def read(
    options: argparse.Namespace, findings: Findings
) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """Reads what the options of `import_options.parse` say; `findings` get the warnings.

    Returns the data set, where it came from, and the files that were read, by name. Raises
    InputError.
    """
    path = table_sources.files(options.path, options.fold)
    table = _read(path, options)
    given = table.labels is not None
    split = GIVEN if given else options.split or split_options.PER_USER
    _check(options, split)
    for warning in table.warnings:
        findings.warn("table", warning)
    _warn_of_files(path, options, findings)
    if split in split_options.TIMED and options.repeats != KEEP:
        _warn_of_repeats(table, options.path, findings)
    if split in split_options.TIMED and table.times is not None:
        last = split == split_options.LEAVE_LAST
        for warning in table_times.said_of_ties(options.path, table.users, table.times, last):
            findings.warn("table", warning)
    labels, details = (table.labels, {}) if given else _labels(table, options, split)
    if options.unseen == "drop":
        table, labels = _seen_alone(table, labels, options.path, findings)
    elif given or split == split_options.BY_TIME:
        _warn_of_unseen(table, labels, options.path, findings)
    if given and isinstance(path, Path):
        column = table.columns["split"]
        presplit.check_full(options.path, labels, column, options.val_from_train)
    top = options.path.resolve()
    dataset = assemble(
        options.path,
        options.name or (top.name if options.path.is_dir() else unpacked.stem(options.path)),
        (len(table.user_ids), len(table.item_ids)),
        splits.by_label(table.users, table.items, labels),
        {},
        user_ids=table.user_ids,
        item_ids=table.item_ids,
        item_titles=table.titles,
        findings=findings,
    )
    source = {
        "layout": import_options.TABLE,
        "columns": table.columns,
        "pairs": table.counts,
        **reading_options.recorded(options),
        "k_core": table.k_core,
        "split": split,
        "seed": options.seed or 0,
    }
    return dataset, source | details, table_sources.by_name(path)


def _read(path: Path | dict[str, Path], options: argparse.Namespace) -> interactions.Table:
    asked = reading_options.columns(options)
    if options.split in split_options.TIMED and options.time_order is None:
        asked["time"] = options.time_column
    elif options.rating_of == likes.LATEST and options.time_order is None:
        asked["time"] = options.time_column or IF_THERE
    if isinstance(path, Path):
        asked["split"] = options.split_column
    elif options.split_column is not None:
        raise InputError(f"{options.path}: its files are the splits; leave out --split-column")
    return interactions.read(
        path,
        asked,
        separator=options.separator,
        header=options.header,
        rules=reading_options.rules(options),
        k_core=options.k_core,
        repeats=options.split in split_options.TIMED and options.repeats == KEEP,
        split_anew=options.split,
    )


def _check(options: argparse.Namespace, split: str) -> None:
    """Raises InputError for options that are for the other kind of table, split already or not."""
    if options.val_from_train and split != GIVEN:
        raise InputError(
            f"--val-from-train is for data that is split already, and {options.path} is not; leave "
            "it out, as --split makes a validation split"
        )
    if options.repeats is not None and split not in (*split_options.TIMED, GIVEN):
        raise InputError(
            "--repeats is for data that is split already, or by --split "
            f"{' or '.join(split_options.TIMED)}: {split} knows no earlier and later"
        )
    if options.unseen == "drop" and split == split_options.COLD_ITEMS:
        raise InputError(f"--unseen drop would leave nothing to test of --split {split}")


def _labels(
    table: interactions.Table, options: argparse.Namespace, split: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """For each pair the index of its split, int8 [n], and what dataset.json says of it besides."""
    times = table.rows if table.times is None else table.times
    order = {"time_order": "rows"} if options.time_order else {}
    if split == split_options.LEAVE_LAST:
        return splits.leave_last(table.users, times, table.rows), order
    if split == split_options.BY_TIME:
        labels, since = _by_time(table, times, options)
        return labels, order | {"since": since}
    if split == split_options.COLD_ITEMS:
        return splits.cold_items(table.items, len(table.item_ids), options.seed or 0), {}
    return splits.per_user(table.users, options.seed or 0), {}


def _by_time(
    table: interactions.Table, times: np.ndarray, options: argparse.Namespace
) -> tuple[np.ndarray, dict[str, str]]:
    """The labels, and when each of val and test starts."""
    if options.val_since is None:
        cuts = time_split.by_fractions(times, options.fractions or _FRACTIONS)
    elif table.times is None:
        raise InputError("--val-since is a time, and --time-order rows has none; give --fractions")
    else:
        cuts = time_split.Cuts(
            *(
                time_split.moment(getattr(options, f"{name}_since"), times, table.dated, name)
                for name in SPLITS[1:]
            )
        )
        if cuts.val >= cuts.test:
            raise InputError("--val-since must be before --test-since")
    labels = time_split.labels(times, cuts)
    kind = "rows" if table.times is None else "dates" if table.dated else "numbers"
    since = {
        name: time_split.shown(cut, times, kind) for name, cut in zip(SPLITS[1:], cuts, strict=True)
    }
    counts = np.bincount(labels, minlength=len(SPLITS))
    if not counts.all():
        held = ", ".join(f"{count} {name}" for name, count in zip(SPLITS, counts, strict=True))
        raise InputError(
            f"{options.path}: with val since {since['val']} and test since {since['test']} the "
            f"pairs are {held}; choose other points by --val-since and --test-since, or --fractions"
        )
    return labels, since


def _warn_of_files(
    path: Path | dict[str, Path], options: argparse.Namespace, findings: Findings
) -> None:
    """Warns of what lies beside the tables and seems to belong to them, but is not read."""
    if isinstance(path, Path):
        folds = {}
        with contextlib.suppress(InputError):  # of other tables there, two for one split
            folds = presplit.folds(path.parent)
        for fold in folds.values():
            if path in fold.values():
                findings.warn(
                    "files",
                    f"{path}: is read alone, and {presplit.said(fold)} look like the splits of one "
                    f"data set; give {path.parent} to import them as such",
                )
    folder = options.path if options.path.is_dir() else options.path.parent
    used = {other.absolute() for other in options.modality.values()}
    for name, other in (features.find(folder) | features.beside(folder)).items():
        if other.absolute() not in used:
            findings.warn(
                "unread",
                f"{other}: is not read, as items go by their sorted ids; --modality {name}=FILE "
                "takes it, with --item-order if its rows have another order",
            )
    if options.path.is_dir():
        features.warn_of_unread(options.path, findings, but=options.modality.values())


def _warn_of_repeats(table: interactions.Table, path: Path, findings: Findings) -> None:
    steps = list(table.counts.items())
    for (_, rows), (name, pairs) in itertools.pairwise(steps):
        if name == interactions.DISTINCT and rows > pairs:
            findings.warn(
                "repeats",
                f"{path}: {rows - pairs} rows repeat a pair, which counts once at its earliest "
                "time; --repeats keep lets pairs return in a later split",
            )


def _warn_of_unseen(
    table: interactions.Table, labels: np.ndarray, path: Path, findings: Findings
) -> None:
    counted = _count_unseen(table, labels, ~splits.seen(table.users, table.items, labels))
    if counted:
        findings.warn("unseen", f"{path}: {counted}; --unseen drop leaves these pairs out")


def _seen_alone(
    table: interactions.Table, labels: np.ndarray, path: Path, findings: Findings
) -> tuple[interactions.Table, np.ndarray]:
    """The pairs whose user and item are both in training, with ids of their own."""
    kept = splits.seen(table.users, table.items, labels)
    if counted := _count_unseen(table, labels, ~kept):
        findings.warn("unseen", f"{path}: left out by --unseen drop: {counted}")
    return interactions.only(table, kept), labels[kept]


def _count_unseen(table: interactions.Table, labels: np.ndarray, unseen: np.ndarray) -> str:
    """What is held out of users and items that training lacks, in words; '' for nothing."""
    trained = labels == 0
    counts = []
    for label, split in list(enumerate(SPLITS))[1:]:
        held = labels == label
        if pairs := int((held & unseen).sum()):
            users, items = (
                len(np.setdiff1d(ids[held], ids[trained])) for ids in (table.users, table.items)
            )
            counts.append(
                f"{pairs} of {int(held.sum())} {split} pairs are of {users} users or {items} items "
                "that training lacks"
            )
    return ", ".join(counts)
