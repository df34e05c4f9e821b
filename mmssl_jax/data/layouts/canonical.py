"""The folder that training reads and every importer writes.

    train.json val.json test.json   user index -> list of item indices; many pairs are in Parquet:
    train.parquet ...               columns user and item, whole numbers (`layouts.parquet`)
    <modality>_feat.npy             row i is item i
    <modality>_present.npy          boolean for each item: is row i real (optional)
    user_<name>_feat.npy, attribute_<name>_feat.npy, augmented_edges.npy (optional): `features.side`
    dataset.json                    name, counts, shapes, fingerprints, source (optional)
    users.tsv items.tsv             index, tab, raw id, and for items tab, title (optional)
    files.sha256                    the sha256 of each of these files (optional)

It is the layout of the public MMSSL and LLMRec folders, which have no dataset.json, but a train_mat
that repeats train.json as a pickle, and item_attribute.csv with titles.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.data.arrays.pickled_matrix import read_matrix
from mmssl_jax.data.checks import file_checks
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.features import side
from mmssl_jax.data.layouts import attributes, id_tables
from mmssl_jax.data.layouts.counts import Counts
from mmssl_jax.data.layouts.splits_json import Split, read_json_object, read_splits, write_split
from mmssl_jax.data.mapped_pairs import MappedSplit
from mmssl_jax.data.splits import SPLITS, Pairs
from mmssl_jax.errors import InputError
from mmssl_jax.files import checksums
from mmssl_jax.files.new_folder import new_folder

FILES = tuple(f"{split}.json" for split in SPLITS)
PARQUET_FILES = tuple(f"{split}.parquet" for split in SPLITS)
FORMS = (FILES, PARQUET_FILES)
MOST_IN_JSON = 2_000_000  # pairs of all splits; more are written as Parquet
ABOUT, _TRAIN_MAT = "dataset.json", "train_mat"
_TABLES = USERS, ITEMS = "users.tsv", "items.tsv"
_ARRAYS = (f"*{features.SUFFIX}", f"*{features.MASK_SUFFIX}", side.AUGMENTED)
_OWN = (*FILES, *PARQUET_FILES, ABOUT, *_TABLES, *_ARRAYS, "items.parquet", "items.csv")
_ABOUT_TYPES = {
    "name": str,
    "synthetic": bool,
    "repeats": bool,
    "users": int,
    "items": int,
    "sha256": dict,
}


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """`read_with` of JSON."""
    return read_with(read_splits, folder, modalities, findings)


def read_with(
    read_pairs: Callable[[Path, Findings], Mapping[str, Split | MappedSplit]],
    folder: Path,
    modalities: str,
    findings: Findings,
) -> Dataset:
    """Reads the folder with the chosen modalities and its pairs by `read_pairs`; raises InputError.

    There are as many users and items as the largest of: the ids in the splits, the counts in
    dataset.json, the shape of train_mat, and for items the rows of every feature file, chosen or
    not, so that the choice of modalities does not change what is ranked.
    """
    file_checks.check(folder, modalities, findings)
    found = features.find(folder)
    chosen = findings.attempt("modalities", features.choose, modalities, found, folder) or ()
    about = findings.attempt("about", read_about, folder / ABOUT) or {}
    splits = read_pairs(folder, findings)
    counts = Counts(folder, splits.values())
    counts.add(ABOUT, about.get("users"), about.get("items"))
    counts.add_rows(found, chosen, findings)
    _check_train_mat(folder / _TRAIN_MAT, splits.get("train"), counts, findings)
    shape = counts.settle(findings, settled_by=ABOUT)
    users = findings.attempt("ids", id_tables.read, folder / USERS, shape[0])
    items = findings.attempt("ids", id_tables.read, folder / ITEMS, shape[1])
    items = items or attributes.read(folder, shape[1], findings)
    values, present = features.read_all(found, chosen, shape[1], counts.why, findings)
    return assemble(
        folder,
        about.get("name", folder.resolve().name),
        shape,
        {split: _pairs(part) for split, part in splits.items()},
        values,
        user_ids=id_tables.column(users, 1),
        item_ids=id_tables.column(items, 1),
        item_titles=id_tables.column(items, 2),
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
        if not any(all((folder / name).is_file() for name in form) for form in FORMS):
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
    _write_pairs(dataset, folder)
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
        id_tables.write(folder / USERS, [dataset.user_ids])
    if dataset.item_ids is not None:
        titles = [] if dataset.item_titles is None else [dataset.item_titles]
        id_tables.write(folder / ITEMS, [dataset.item_ids, *titles])
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
    list_files(folder)


def list_files(folder: Path) -> None:
    """Writes files.sha256 of what a folder has of this layout, and of its table of items."""
    paths = [path for pattern in _OWN for path in folder.glob(pattern) if path.is_file()]
    checksums.write(folder, [path.name for path in paths if not path.name.startswith(".")])


def _write_pairs(dataset: Dataset, folder: Path) -> None:
    """As JSON or, where there are many, as Parquet."""
    splits = {split: getattr(dataset, split) for split in SPLITS}
    if sum(matrix.nnz for matrix in splits.values()) <= MOST_IN_JSON:
        for split, matrix in splits.items():
            write_split(folder / f"{split}.json", matrix)
        return
    # Here, as it loads polars, which small data does not need.
    from mmssl_jax.data.layouts import splits_parquet

    for split, matrix in splits.items():
        splits_parquet.write_split(folder / f"{split}.parquet", matrix)


def read_about(path: Path) -> dict[str, Any]:
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


def _pairs(part: Split | MappedSplit) -> Pairs | MappedSplit:
    return part if isinstance(part, MappedSplit) else (part.users, part.items)


def _check_train_mat(
    path: Path, train: Split | MappedSplit | None, counts: Counts, findings: Findings
) -> None:
    """Compares the matrix that public folders hold beside train.json, which is what is read."""
    if not path.is_file():
        return
    try:
        matrix = read_matrix(path)
    except InputError as error:
        findings.warn("train_mat", f"{error} (not compared with train.json)")
        return
    counts.add(_TRAIN_MAT, *matrix.shape)
    if isinstance(train, Split):
        width = max(matrix.shape[1], train.num_items)
        ours = np.unique(train.users.astype(np.int64) * width + train.items)
        theirs = np.unique((matrix.users * width + matrix.items)[matrix.values > 0])
        if differing := len(np.setxor1d(ours, theirs, assume_unique=True)):
            findings.warn(
                "train_mat",
                f"{path}: {counted(differing, 'pair is', 'pairs are')} in it or in train.json but "
                "not in both; train.json is what is read",
            )
