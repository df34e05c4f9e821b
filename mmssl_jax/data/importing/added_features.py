"""Feature files that an import adds under names of the user's, and rows that count as missing."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmssl_jax.data.checks.feature_checks import check_features
from mmssl_jax.data.checks.findings import WARNING, Findings
from mmssl_jax.data.dataset import Dataset, check_counts
from mmssl_jax.data.features import files, folder, row_ids
from mmssl_jax.data.features.files import Features
from mmssl_jax.data.importing import catalogue
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.errors import InputError
from mmssl_jax.files import text

MAX_ORDER = 1 << 30  # bytes of a list of raw ids


def add(
    dataset: Dataset,
    where: Path,
    paths: Mapping[str, Path],
    order: Path | None,
    zeros_missing: bool,
    spelling: str = id_spelling.JOIN,
    choice: str | None = None,
    numbered_here: bool = False,
) -> Dataset:
    """The data set with the features in `paths` added.

    Args:
      dataset: as read, without what is replaced.
      where: what it was read from, named in its warnings.
      paths: a file for each modality. Without `order`, and without ids of its own, row i is item i.
      order: a file with a raw id on each line, the item of the row at the same place. Items that it
        does not have are missing.
      zeros_missing: items whose row is all zero are missing as well, in every modality, old or new.
      spelling: how raw ids are matched, as in `id_spelling.places`.
      choice: of `catalogue`: what becomes of items that only these files have.
      numbered_here: whether this import gave the items their indices, which no file then goes by.

    Raises:
      InputError: a file cannot be read, its rows do not match, or no item has the modality.
    """
    if not paths and not zeros_missing and order is None:
        return dataset
    stale = _warnings(where, dataset)
    if order is not None:
        ids = _read_order(order, dataset.item_ids, where)
        dataset, rows = _matched(dataset, where, order, ids, spelling, choice)
    for name, path in paths.items():
        read = files.read(path, guess_ids=order is None)
        dataset, read = _with_index(dataset, path, read, spelling, order is not None)
        dataset = _said(dataset, [read.said] if read.said else [])
        dataset = _check_no_id_column(dataset, path, read, order is not None)
        if order is not None:
            _check_order(path, read, order, len(ids))
        elif read.ids is not None:
            dataset, rows = _matched(dataset, where, path, read.ids, spelling, choice)
        else:
            dataset, rows = _by_index(dataset, where, path, read.values, name, choice)
            said = [row_ids.said_of_order(path, _items(dataset))] if numbered_here else []
            dataset = _said(dataset, said)
        dataset = _with_rows(dataset, name, read.values, rows)
    sources = {name: paths.get(name, where) for name in dataset.features}
    dataset = _with_missing(dataset, sources, zeros_missing)
    warnings = [warning for warning in dataset.warnings if warning not in stale]
    return dataclasses.replace(dataset, warnings=(*warnings, *_warnings(where, dataset)))


def _with_missing(dataset: Dataset, paths: Mapping[str, Path], zeros_missing: bool) -> Dataset:
    """The data set with masks of the modalities that some items lack, and no others.

    Raises InputError, with the path of the modality, where no item has it.
    """
    known = dict(dataset.present)
    if zeros_missing:
        known = {name: (array != 0).any(axis=1) for name, array in dataset.features.items()}
    for name, mask in known.items():
        if not mask.any():
            raise InputError(f"{paths[name]}: all {name} rows are zero or missing")
    return dataclasses.replace(
        dataset,
        features=dict(sorted(dataset.features.items())),
        present={name: mask for name, mask in known.items() if not mask.all()},
    )


def _warnings(where: Path, dataset: Dataset) -> list[str]:
    findings = Findings()
    check_features(findings, where, dataset.features, dataset.present)
    return findings.messages(WARNING)


def _said(dataset: Dataset, warnings: Sequence[str]) -> Dataset:
    return dataclasses.replace(dataset, warnings=(*dataset.warnings, *warnings))


def _matched(
    dataset: Dataset,
    where: Path,
    path: Path,
    ids: Sequence[str],
    spelling: str,
    choice: str | None,
) -> tuple[Dataset, np.ndarray]:
    """The data set with the new items of `ids`, if any; and each item's place in them, or -1.

    `path` is where the ids, each there once, come from. Where the data set has no raw ids, they are
    indices.
    """
    listed = ids if dataset.item_ids is not None else _count(path, ids)
    _check_known(dataset, where, path, ids, spelling)
    dataset = catalogue.settle(dataset, path, listed, choice, spelling)
    items = _items(dataset)
    rows = id_spelling.places(ids, items, spelling)
    return _said(dataset, id_spelling.said_of_matches(path, ids, items, rows)), rows


def _with_index(
    dataset: Dataset, path: Path, read: Features, spelling: str, ordered: bool
) -> tuple[Dataset, Features]:
    """The features with the ids that an index column of theirs has, if it has them."""
    if read.index_column is None or (ordered and read.index_column.start == 0):
        return dataset, read
    raw = dataset.item_ids is not None
    said = row_ids.said_of_index(path, read.index_column, _items(dataset), raw, spelling)
    if said is None:
        return dataset, read
    return _said(dataset, [said]), read._replace(ids=read.index_column.values)


def _check_no_id_column(dataset: Dataset, path: Path, read: Features, ordered: bool) -> Dataset:
    """The data set with a warning of ids among features; InputError where nothing else has ids."""
    said = row_ids.said_of_id_column(path, read.values, dataset.item_ids or ())
    if said is None:
        return dataset
    if read.ids is None and not ordered:
        raise InputError(
            f"{said}; if they are, give a table with this column first and named item_id, or leave "
            "it out and give --item-order"
        )
    return _said(dataset, [f"{said}; it is a feature, take it out if it should not be"])


def _items(dataset: Dataset) -> tuple[str, ...]:
    return dataset.item_ids or tuple(map(str, range(dataset.num_items)))


def _check_known(
    dataset: Dataset, where: Path, path: Path, ids: Sequence[str], spelling: str
) -> None:
    """Raises InputError where none of the ids is an item of the data set."""
    items = _items(dataset)
    if (id_spelling.places(ids, items, spelling) < 0).all():
        raise InputError(
            f"{path}: has no item of {where}; its ids are like {ids[0][:60]!r}, the items like "
            f"{items[0][:60]!r}"
        )


def _count(path: Path, ids: Sequence[str]) -> int:
    """How many items there are by ids that are indices."""
    if not all(raw.isdecimal() and raw.isascii() and len(raw) < 10 for raw in ids):
        raise InputError(
            f"{path}: has raw ids, but the data has none to compare them with; give features whose "
            "row i is item i"
        )
    count = max(map(int, ids)) + 1
    check_counts(path, 0, count, len(ids))  # not on the word of one stray id
    return count


def _by_index(
    dataset: Dataset, where: Path, path: Path, values: np.ndarray, name: str, choice: str | None
) -> tuple[Dataset, np.ndarray]:
    """The data set with new items, if any, and each item's row, which is its index."""
    if len(values) > dataset.num_items and dataset.item_ids is None and choice:
        dataset = catalogue.settle(dataset, path, len(values), choice)
    _check_rows(path, values, where, name, dataset, choice)
    return dataset, np.arange(dataset.num_items)


def _with_rows(dataset: Dataset, name: str, values: np.ndarray, rows: np.ndarray) -> Dataset:
    """The data set with one modality more, of which item i has the row `rows[i]`, -1 for none."""
    known = rows >= 0
    taken = values[rows] if known.all() else np.where(known[:, None], values[rows], 0)
    return dataclasses.replace(
        dataset,
        features={**dataset.features, name: taken},
        present={**dataset.present, name: known},
    )


def _check_order(path: Path, read: Features, order: Path, lines: int) -> None:
    """Raises InputError where the rows are not those of --item-order."""
    if read.ids is not None:
        raise InputError(f"{path}: has a column of ids, so leave out --item-order")
    if len(read.values) != lines:
        raise InputError(
            f"{path}: has {len(read.values)} rows, not {lines}, as {order} has so many lines"
        )


def _read_order(order: Path, item_ids: Sequence[str] | None, where: Path) -> tuple[str, ...]:
    """The raw ids of a list, each there once."""
    if item_ids is None:
        raise InputError(
            f"{where}: has no raw ids, so --item-order has nothing to go by; give features whose "
            "row i is item i"
        )
    if not order.is_file() or order.stat().st_size > MAX_ORDER:
        raise InputError(f"{order}: cannot be read (it is no file of at most {MAX_ORDER} bytes)")
    lines = text.read(order).removesuffix("\n").split("\n")
    places: dict[str, int] = {}
    for place, line in enumerate(lines):
        if not line or places.setdefault(line, place) != place:
            problem = f"repeats {line[:60]!r} of line {places[line] + 1}" if line else "is empty"
            raise InputError(f"{order}: line {place + 1} {problem}; it must hold a raw id a line")
    return tuple(lines)


def _check_rows(
    path: Path, values: np.ndarray, where: Path, name: str, dataset: Dataset, choice: str | None
) -> None:
    """Raises InputError where the rows are not one an item, or fewer than `choice` may drop."""
    rows, width = values.shape
    dropped = choice == catalogue.DROP and dataset.item_ids is None and rows > dataset.num_items
    if rows == dataset.num_items or dropped:
        return
    if width == dataset.num_items:
        hint = "it has so many columns, so save it transposed (array.T)"
    elif rows == dataset.num_users:
        hint = "there are so many users: are these features of users?"
    elif dataset.item_ids is None:
        hint = (
            f"put it there as {name}{folder.SUFFIX} if items without a pair are to count, or "
            "give --catalogue keep or drop for rows beyond the items"
        )
    else:
        hint = "items are in the order of items.tsv; --item-order says which item each row is of"
    raise InputError(
        f"{path}: has {rows} rows, not {dataset.num_items}, as row i must be item i of {where}; "
        f"{hint}"
    )
