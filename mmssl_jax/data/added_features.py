"""Feature files that an import adds under names of the user's, and rows that count as missing."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmssl_jax.data import features, id_spelling
from mmssl_jax.data.checks import WARNING, Findings, check_features
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.errors import InputError

MAX_ORDER = 1 << 30  # bytes of a list of raw ids


def add(
    dataset: Dataset,
    where: Path,
    paths: Mapping[str, Path],
    order: Path | None,
    zeros_missing: bool,
    spelling: str = id_spelling.JOIN,
) -> Dataset:
    """The data set with the features in `paths` added.

    Args:
      dataset: as read, without what is replaced.
      where: what it was read from, named in its warnings.
      paths: a .npy file for each modality; without `order`, row i is item i.
      order: a file with a raw id on each line, the item of the row at the same place. Items that it
        does not have are missing.
      zeros_missing: items whose row is all zero are missing as well, in every modality, old or new.
      spelling: how `order` and raw ids are matched, as in `id_spelling.places`.

    Raises:
      InputError: a file cannot be read, its rows do not match, or no item has the modality.
    """
    if not paths and not zeros_missing:
        return dataset
    stale = _warnings(where, dataset)
    values, known = dict(dataset.features), dict(dataset.present)
    if order is not None:
        rows, count, said = _rows(order, dataset.item_ids, where, spelling)
        dataset = dataclasses.replace(dataset, warnings=(*dataset.warnings, *said))
    for name, path in paths.items():
        if order is None:
            _check_rows(path, dataset.num_items, f"row i must be item i of {where}", name, dataset)
            values[name] = features.read(path)
        else:
            _check_rows(path, count, f"{order} has so many lines", name, dataset)
            known[name] = rows >= 0
            values[name] = np.where(known[name][:, None], features.read(path)[rows], 0)
    if zeros_missing:
        known = {name: array.any(axis=1) for name, array in values.items()}
    for name, mask in known.items():
        if not mask.any():
            raise InputError(f"{paths.get(name, where)}: all {name} rows are zero or missing")
    warnings = [warning for warning in dataset.warnings if warning not in stale]
    dataset = dataclasses.replace(
        dataset,
        features=dict(sorted(values.items())),
        present={name: mask for name, mask in known.items() if not mask.all()},
    )
    return dataclasses.replace(dataset, warnings=(*warnings, *_warnings(where, dataset)))


def _warnings(where: Path, dataset: Dataset) -> list[str]:
    findings = Findings()
    check_features(findings, where, dataset.features, dataset.present)
    return findings.messages(WARNING)


def _rows(
    order: Path, item_ids: Sequence[str] | None, where: Path, spelling: str
) -> tuple[np.ndarray, int, list[str]]:
    """The row of each item, int [I], -1 where `order` does not have it; how many rows; warnings."""
    if item_ids is None:
        raise InputError(
            f"{where}: has no raw ids, so --item-order has nothing to go by; give features whose "
            "row i is item i"
        )
    if not order.is_file() or order.stat().st_size > MAX_ORDER:
        raise InputError(f"{order}: cannot be read (it is no file of at most {MAX_ORDER} bytes)")
    try:
        lines = order.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{order}: cannot be read as UTF-8 text ({error})") from error
    seen: dict[str, int] = {}
    for place, line in enumerate(lines):
        if not line or seen.setdefault(line, place) != place:
            problem = f"repeats {line[:60]!a} of line {seen[line] + 1}" if line else "is empty"
            raise InputError(f"{order}: line {place + 1} {problem}; it must hold a raw id a line")
    rows = id_spelling.places(lines, item_ids, spelling)
    if (rows < 0).all():
        raise InputError(
            f"{order}: has no item of {where}; its lines are like {lines[0][:60]!a}, the "
            f"items like {item_ids[0][:60]!a}"
        )
    return rows, len(lines), id_spelling.said_of_matches(order, lines, item_ids, rows)


def _check_rows(path: Path, expected: int, why: str, name: str, dataset: Dataset) -> None:
    rows, _ = features.read_header(path)
    if rows == expected:
        return
    if dataset.item_ids is None:
        hint = f"put it there as {name}{features.SUFFIX} if items without a pair are to count"
    else:
        hint = "items are in the order of items.tsv; --item-order says which item each row is of"
    raise InputError(f"{path}: has {rows} rows, not {expected}, as {why}; {hint}")
