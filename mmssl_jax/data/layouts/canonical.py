"""The folder that training reads and every importer writes.

    train.json val.json test.json   user index -> list of item indices
    <modality>_feat.npy             row i is item i
    <modality>_present.npy          boolean for each item: is row i real (optional)
    user_<name>_feat.npy, attribute_<name>_feat.npy, augmented_edges.npy (optional): `features.side`
    dataset.json                    name, counts, shapes, fingerprints, source (optional)
    users.tsv items.tsv             index, tab, raw id, and for items tab, title (optional)

It is the layout of the public MMSSL and LLMRec folders, which have no dataset.json, but a train_mat
that repeats train.json as a pickle, and item_attribute.csv with titles.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.data.arrays.pickled_matrix import read_matrix
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.features import side
from mmssl_jax.data.layouts import attributes
from mmssl_jax.data.layouts.counts import Counts
from mmssl_jax.data.layouts.splits_json import Split, read_json_object, read_splits, write_split
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.errors import InputError
from mmssl_jax.files import text
from mmssl_jax.files.new_folder import new_folder

FILES = tuple(f"{split}.json" for split in SPLITS)
ABOUT, _TRAIN_MAT = "dataset.json", "train_mat"
_ABOUT_TYPES = {
    "name": str,
    "synthetic": bool,
    "repeats": bool,
    "users": int,
    "items": int,
    "sha256": dict,
}


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """Reads the folder with the chosen modalities; raises InputError.

    There are as many users and items as the largest of: the ids in the splits, the counts in
    dataset.json, the shape of train_mat, and for items the rows of every feature file, chosen or
    not, so that the choice of modalities does not change what is ranked.
    """
    about = findings.attempt("about", _read_about, folder / ABOUT) or {}
    found = features.find(folder)
    chosen = findings.attempt("modalities", features.choose, modalities, found, folder) or ()
    splits = read_splits(folder, findings)
    counts = Counts(folder, splits.values())
    counts.add(ABOUT, about.get("users"), about.get("items"))
    counts.add_rows(found, chosen, findings)
    _check_train_mat(folder / _TRAIN_MAT, splits.get("train"), counts, findings)
    shape = counts.settle(findings, settled_by=ABOUT)
    users = findings.attempt("ids", _read_table, folder / "users.tsv", shape[0])
    items = findings.attempt("ids", _read_table, folder / "items.tsv", shape[1])
    items = items or attributes.read(folder, shape[1], findings)
    values, present = features.read_all(found, chosen, shape[1], counts.why, findings)
    return assemble(
        folder,
        about.get("name", folder.resolve().name),
        shape,
        {split: (part.users, part.items) for split, part in splits.items()},
        values,
        user_ids=_column(users, 1),
        item_ids=_column(items, 1),
        item_titles=_column(items, 2),
        present=present,
        synthetic=about.get("synthetic", False),
        repeats=about.get("repeats", False),
        recorded=about.get("sha256"),
        findings=findings,
    )


def write(
    dataset: Dataset, folder: Path, source: Mapping[str, Any], overwrite: bool = False
) -> None:
    """Writes `dataset` as a new folder, whole or not at all.

    `source` says where it came from: JSON values, such as the layout, the split rule, the seed.

    Raises InputError where `check_free` does, where the folder cannot be written, or where a raw id
    does not fit on one line of a table.
    """
    check_free(folder, overwrite)
    try:
        with new_folder(folder) as partial:
            _write_files(dataset, partial, source)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{folder}: cannot be written ({reason}); name another folder") from error


def check_free(folder: Path, overwrite: bool) -> None:
    """Raises InputError where `folder` holds something, unless it is data that is to be replaced.

    Only a canonical folder is ever replaced, as a slip in the path could cost anything else.
    """
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        if not all((folder / name).is_file() for name in FILES):
            raise InputError(
                f"{folder}: exists already, and is not a data folder that was imported"
                "; name another"
            )
        if not overwrite:
            raise InputError(
                f"{folder}: exists already; name another folder, or replace it with --overwrite"
            )
    except OSError as error:
        raise InputError(f"{folder}: cannot be used ({error.strerror})") from error


def _write_files(dataset: Dataset, folder: Path, source: Mapping[str, Any]) -> None:
    for split in SPLITS:
        write_split(folder / f"{split}.json", getattr(dataset, split))
    for name, values in dataset.features.items():
        np.save(folder / f"{name}{features.SUFFIX}", values, allow_pickle=False)
    for name, mask in dataset.present.items():
        np.save(folder / f"{name}{features.MASK_SUFFIX}", mask, allow_pickle=False)
    for prefix, arrays in (
        (side.USER, dataset.user_features),
        (side.ATTRIBUTE, dataset.attributes),
    ):
        for name, values in arrays.items():
            np.save(folder / f"{prefix}{name}{side.SUFFIX}", values, allow_pickle=False)
    if dataset.augmented is not None:
        np.save(folder / side.AUGMENTED, dataset.augmented, allow_pickle=False)
    if dataset.user_ids is not None:
        _write_table(folder / "users.tsv", [dataset.user_ids])
    if dataset.item_ids is not None:
        titles = [] if dataset.item_titles is None else [dataset.item_titles]
        _write_table(folder / "items.tsv", [dataset.item_ids, *titles])
    about = {
        "name": dataset.name,
        "synthetic": dataset.synthetic,
        "repeats": dataset.repeats,
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
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _read_about(path: Path) -> dict[str, Any]:
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


def _check_train_mat(path: Path, train: Split | None, counts: Counts, findings: Findings) -> None:
    """Compares the matrix that public folders hold beside train.json, which is what is read."""
    if not path.is_file():
        return
    try:
        matrix = read_matrix(path)
    except InputError as error:
        findings.warn("train_mat", f"{error} (not compared with train.json)")
        return
    counts.add(_TRAIN_MAT, *matrix.shape)
    if train is not None:
        width = max(matrix.shape[1], train.num_items)
        ours = np.unique(train.users * width + train.items)
        theirs = np.unique((matrix.users * width + matrix.items)[matrix.values > 0])
        if differing := len(np.setxor1d(ours, theirs, assume_unique=True)):
            findings.warn(
                "train_mat",
                f"{path}: {differing} pairs are in it or in train.json but not in both; train.json "
                "is what is read",
            )


def _read_table(path: Path, count: int) -> list[list[str]] | None:
    """The rows by index, or None without the table; every index must be there once."""
    if not path.is_file():
        return None
    lines = text.read(path, encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines if line]
    by_index = {row[0]: row for row in rows if len(row) > 1}
    if len(rows) != count or by_index.keys() != {str(index) for index in range(count)}:
        raise InputError(
            f"{path}: must list every index from 0 to {count - 1} once, as index, tab, raw id"
        )
    return [by_index[str(index)] for index in range(count)]


def _column(rows: list[list[str]] | None, number: int) -> tuple[str, ...] | None:
    """A column of a table, or None where no row has it; rows that are shorter have ''."""
    if rows is None or all(len(row) <= number for row in rows):
        return None
    return tuple(row[number] if len(row) > number else "" for row in rows)


def _write_table(path: Path, columns: Sequence[Sequence[str]]) -> None:
    lines = []
    for index, row in enumerate(zip(*columns, strict=True)):
        for value in row:
            if any(separator in value for separator in "\t\n\r"):
                raise InputError(f"{path.name}: {value!r} has a tab or a line break")
        lines.append("\t".join((str(index), *row)) + "\n")
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
