"""The data set of a raw table, or of tables that are split already: filtered, indexed and split."""

from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.data import splits
from mmssl_jax.data.checks.findings import KEEP, Findings
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.data.importing import table_rules, table_sources, table_warnings
from mmssl_jax.data.importing.options import (
    BY_TIME,
    COLD_ITEMS,
    LEAVE_LAST,
    PER_USER,
    TABLE,
    TIMED,
    ImportOptions,
)
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import interactions, split_column, time_split, unpacked
from mmssl_jax.data.tables.table import Table, only
from mmssl_jax.errors import InputError

_FRACTIONS = (0.8, 0.1, 0.1)
GIVEN = "as given"


def read(
    options: ImportOptions, findings: Findings
) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """Reads what `option_checks.settled` options say; `findings` get the warnings.

    Returns the data set, where it came from, and the files that were read, by name. Raises
    InputError.
    """
    path = table_sources.files(options.path, options.fold)
    table = _read(path, options)
    given = table.labels is not None
    split = GIVEN if given else options.split or PER_USER
    _check(options, split)
    table_warnings.warn(path, table, split, options, findings)
    labels, details = _labels(table, options, split)
    if options.unseen == "drop":
        table, labels = _seen_alone(table, labels, options.path, findings)
    elif given or split == BY_TIME:
        _warn_of_unseen(table, labels, options.path, findings)
    if given and isinstance(path, Path):
        column = table.columns["split"]
        split_column.check_full(options.path, labels, column, options.val_from_train)
    source = {
        "layout": TABLE,
        "columns": table.columns,
        "pairs": table.counts,
        **table_rules.recorded(options),
        "k_core": table.k_core,
        "split": split,
        "seed": options.seed or 0,
    }
    dataset = _assembled(table, labels, options, findings)
    return dataset, source | details, table_sources.by_name(path)


def _assembled(
    table: Table, labels: np.ndarray, options: ImportOptions, findings: Findings
) -> Dataset:
    """The data set of the pairs, by the split that `labels` [n] give each."""
    top = options.path.resolve()
    return assemble(
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


def _read(path: Path | dict[str, Path], options: ImportOptions) -> Table:
    return interactions.read(
        path,
        table_rules.columns(options, path),
        separator=options.separator,
        header=not options.no_header,
        rules=table_rules.rules(options),
        k_core=options.k_core,
        repeats=options.split in TIMED and options.repeats == KEEP,
        split_anew=options.split,
    )


def _check(options: ImportOptions, split: str) -> None:
    """Raises InputError for options that are for the other kind of table, split already or not."""
    if options.val_from_train and split != GIVEN:
        raise InputError(
            f"--val-from-train is for data that is split already, and {options.path} is not; leave "
            "it out, as --split makes a validation split"
        )
    if options.repeats is not None and split not in (*TIMED, GIVEN):
        raise InputError(
            "--repeats is for data that is split already, or by --split "
            f"{' or '.join(TIMED)}: {split} knows no earlier and later"
        )
    if options.unseen == "drop" and split == COLD_ITEMS:
        raise InputError(f"--unseen drop would leave nothing to test of --split {split}")


def _labels(table: Table, options: ImportOptions, split: str) -> tuple[np.ndarray, dict[str, Any]]:
    """For each pair the index of its split, int8 [n], and what dataset.json says of it besides."""
    if table.labels is not None:
        return table.labels, {}
    times = table.rows if table.times is None else table.times
    order = {"time_order": "rows"} if options.time_order else {}
    if split == LEAVE_LAST:
        return splits.leave_last(table.users, times, table.rows), order
    if split == BY_TIME:
        labels, since = _by_time(table, times, options)
        return labels, order | {"since": since}
    if split == COLD_ITEMS:
        return splits.cold_items(table.items, len(table.item_ids), options.seed or 0), {}
    return splits.per_user(table.users, options.seed or 0), {}


def _by_time(
    table: Table, times: np.ndarray, options: ImportOptions
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


def _warn_of_unseen(table: Table, labels: np.ndarray, path: Path, findings: Findings) -> None:
    counted = _count_unseen(table, labels, ~splits.seen(table.users, table.items, labels))
    if counted:
        findings.warn("unseen", f"{path}: {counted}; --unseen drop leaves these pairs out")


def _seen_alone(
    table: Table, labels: np.ndarray, path: Path, findings: Findings
) -> tuple[Table, np.ndarray]:
    """The pairs whose user and item are both in training, with ids of their own."""
    kept = splits.seen(table.users, table.items, labels)
    if counted := _count_unseen(table, labels, ~kept):
        findings.warn("unseen", f"{path}: left out by --unseen drop: {counted}")
    return only(table, kept), labels[kept]


def _count_unseen(table: Table, labels: np.ndarray, unseen: np.ndarray) -> str:
    """What is held out of users and items that training lacks, in words; '' for nothing."""
    trained = labels == 0
    counts = []
    for label, split in list(enumerate(SPLITS))[1:]:
        held = labels == label
        if pairs := int((held & unseen).sum()):
            users, items = (
                _count_lacking(ids, held, trained) for ids in (table.users, table.items)
            )
            counts.append(
                f"{pairs} of {int(held.sum())} {split} pairs are of {users} users or {items} items "
                "that training lacks"
            )
    return ", ".join(counts)


def _count_lacking(ids: np.ndarray, held: np.ndarray, trained: np.ndarray) -> int:
    """How many of the held out ids are not trained on."""
    lacking = np.bincount(ids[held], minlength=ids.max() + 1) > 0
    lacking[ids[trained]] = False
    return int(lacking.sum())
