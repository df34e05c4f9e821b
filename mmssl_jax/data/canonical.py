"""The folder that training reads and every importer writes.

    train.json val.json test.json   user index -> list of item indices
    <modality>_feat.npy             row i is item i
    dataset.json                    name, counts, shapes, fingerprints, source (optional)
    users.tsv items.tsv             index, tab, raw id (optional; further columns are not read)

It is the layout of the public MMSSL folders, which have no dataset.json.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmssl_jax.data import features
from mmssl_jax.data.dataset import SPLITS, Dataset, assemble, check_counts
from mmssl_jax.data.splits_json import read_json_object, read_split, write_split
from mmssl_jax.errors import InputError

FILES = tuple(f"{split}.json" for split in SPLITS)
_ABOUT = "dataset.json"
_ABOUT_TYPES = {"name": str, "synthetic": bool, "users": int, "items": int, "sha256": dict}


def read(folder: Path, modalities: str) -> Dataset:
    """Reads the folder with the chosen modalities; raises InputError.

    There are as many users and items as the largest of: the ids in the splits, the counts in
    dataset.json, and for items the rows of every feature file, chosen or not, so that the choice
    of modalities does not change what is ranked.
    """
    about = _read_about(folder / _ABOUT)
    found = features.find(folder)
    chosen = features.choose(modalities, found, folder)
    splits = {split: read_split(folder / f"{split}.json") for split in SPLITS}
    rows, warnings = _rows(found, chosen)
    users = {"the splits": max(part.num_users for part in splits.values())}
    items = {"the splits": max(part.num_items for part in splits.values())} | rows
    for counts, key in ((users, "users"), (items, "items")):
        if key in about:
            counts[_ABOUT] = about[key]
        warnings += _differing(folder, key, counts)
    shape = (max(users.values()), max(items.values()))
    check_counts(folder, *shape)
    dataset = assemble(
        folder,
        about.get("name", folder.resolve().name),
        shape,
        {split: (part.users, part.items) for split, part in splits.items()},
        features.read_all(found, chosen, shape[1], f"from {max(items, key=items.__getitem__)}"),
        user_ids=_read_ids(folder / "users.tsv", shape[0]),
        item_ids=_read_ids(folder / "items.tsv", shape[1]),
        synthetic=about.get("synthetic", False),
        warnings=warnings,
    )
    _check_fingerprints(folder, dataset, about.get("sha256", {}))
    return dataset


def write(dataset: Dataset, folder: Path, source: str) -> None:
    """Writes `dataset` as a new folder, whole or not at all; `source` says where it came from.

    Raises InputError where `folder` exists and is not empty, cannot be written, or where a raw id
    does not fit on one line of a table.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists already; name another folder, or remove this one")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        try:
            _write_files(dataset, partial, source)
            partial.replace(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from error


def _write_files(dataset: Dataset, folder: Path, source: str) -> None:
    for split in SPLITS:
        write_split(folder / f"{split}.json", getattr(dataset, split))
    for name, values in dataset.features.items():
        np.save(folder / f"{name}{features.SUFFIX}", values, allow_pickle=False)
    for name, ids in (("users.tsv", dataset.user_ids), ("items.tsv", dataset.item_ids)):
        if ids is not None:
            _write_ids(folder / name, ids)
    about = {
        "name": dataset.name,
        "synthetic": dataset.synthetic,
        "users": dataset.num_users,
        "items": dataset.num_items,
        "pairs": {split: getattr(dataset, split).nnz for split in SPLITS},
        "features": {
            name: {"shape": list(values.shape), "dtype": str(values.dtype)}
            for name, values in dataset.features.items()
        },
        "sha256": dataset.split_fingerprints,
        "source": source,
    }
    (folder / _ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _read_about(path: Path) -> dict:
    """What dataset.json says, of the entries that are read, each of its type; {} without one."""
    if not path.is_file():
        return {}
    content = read_json_object(path)
    for key, kind in _ABOUT_TYPES.items():
        if key in content and (
            type(content[key]) is not kind or (kind is int and content[key] < 0)
        ):
            raise InputError(
                f"{path}: '{key}' is not a valid {kind.__name__}; correct or remove it"
            )
    return {key: content[key] for key in _ABOUT_TYPES if key in content}


def _rows(found: Mapping[str, Path], chosen: Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Rows of every feature file by file name, and warnings of the unusable that none chose."""
    rows, warnings = {}, []
    for modality, path in found.items():
        try:
            rows[path.name] = features.read_header(path)[0]
        except InputError as error:
            if modality in chosen:
                raise
            warnings.append(f"{error} (not chosen: its rows are not counted)")
    return rows, warnings


def _differing(folder: Path, kind: str, counts: dict[str, int]) -> list[str]:
    """A warning where the sources of a count differ and dataset.json does not settle it."""
    largest = max(counts.values())
    if len(set(counts.values())) == 1 or counts.get(_ABOUT) == largest:
        return []
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return [f"{folder}: the number of {kind} is taken as {largest}, the largest of {listed}"]


def _check_fingerprints(folder: Path, dataset: Dataset, recorded: dict) -> None:
    for split, actual in dataset.split_fingerprints.items():
        if recorded.get(split, actual) != actual:
            raise InputError(
                f"{folder / split}.json: does not have the sha256 that {_ABOUT} records, so it was "
                f"edited or damaged; import the data again, or remove 'sha256' from {_ABOUT}"
            )


def _read_ids(path: Path, count: int) -> tuple[str, ...] | None:
    """The raw ids by index, or None without the table; every index must be there once."""
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    rows = [line.split("\t") for line in lines if line]
    ids = {row[0]: row[1] for row in rows if len(row) > 1}
    if len(rows) != count or ids.keys() != {str(index) for index in range(count)}:
        raise InputError(
            f"{path}: must list every index from 0 to {count - 1} once, as index, tab, raw id"
        )
    return tuple(ids[str(index)] for index in range(count))


def _write_ids(path: Path, ids: tuple[str, ...]) -> None:
    for raw in ids:
        if any(separator in raw for separator in "\t\n\r"):
            raise InputError(f"{path.name}: the raw id {raw!r} has a tab or a line break")
    lines = (f"{index}\t{raw}\n" for index, raw in enumerate(ids))
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
