"""Writes a data set in each layout, as the projects that use it do."""

import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse

from mmssl_jax.data import Dataset
from mmssl_jax.data.dataset import SPLITS, assemble
from mmssl_jax.data.layouts import canonical


def small(**changes) -> Dataset:
    """3 users, 4 items, one modality, raw ids."""
    pairs = {
        "train": (np.array([0, 0, 1, 2]), np.array([0, 1, 2, 3])),
        "val": (np.array([0]), np.array([2])),
        "test": (np.array([1, 2]), np.array([0, 1])),
    }
    parts = {
        "features": {"image": np.arange(1, 13, dtype=np.float32).reshape(4, 3)},
        "user_ids": ("u0", "u1", "u2"),
        "item_ids": ("a", "b", "c", "d"),
    }
    return assemble("small", "small", (3, 4), pairs, **(parts | changes))


def write_canonical(dataset: Dataset, folder: Path) -> Path:
    """As an import does, but for the checksums of the files, which tests edit."""
    canonical.write(dataset, folder, {"from": "tests"})
    (folder / "files.sha256").unlink()
    return folder


def write_mmssl(dataset: Dataset, folder: Path) -> Path:
    """As MMSSL and LLMRec: JSON with a key for every user, train_mat, and no dataset.json."""
    _write_features(dataset, folder)
    _write_json(dataset, folder)
    matrix = scipy.sparse.csr_matrix(dataset.train)
    (folder / "train_mat").write_bytes(pickle.dumps(matrix, 3))
    return folder


def write_diffmm(dataset: Dataset, folder: Path) -> Path:
    """As DiffMM: a pickled coo_matrix of doubles a split."""
    _write_features(dataset, folder)
    for split, name in zip(SPLITS, ("trn", "val", "tst"), strict=True):
        matrix = scipy.sparse.coo_matrix(getattr(dataset, split), dtype=np.float64)
        (folder / f"{name}Mat.pkl").write_bytes(pickle.dumps(matrix, 3))
    return folder


def write_mmrec(
    dataset: Dataset, folder: Path, seed: int = 0, separator: str = "\t", index_first: bool = False
) -> Path:
    """As MMRec: one shuffled table, of columns in an order that `seed` determines."""
    rng = np.random.default_rng(seed)
    _write_features(dataset, folder)
    rows = [
        {"userID": user, "itemID": item, "x_label": label, "rating": 5.0, "timestamp": ""}
        for label, split in enumerate(SPLITS)
        for user, item in _pairs(dataset, split)
    ]
    columns = rng.permutation(list(rows[0]))
    lines = ["\t".join(columns)]
    lines += [
        "\t".join(str(rows[row][name]) for name in columns) for row in rng.permutation(len(rows))
    ]
    (folder / "data.inter").write_text("\n".join(lines) + "\n")
    for name, header, ids in (
        ("u_id_mapping.csv", ("user_id", "userID"), dataset.user_ids),
        ("i_id_mapping.csv", ("asin", "itemID"), dataset.item_ids),
    ):
        if ids is not None:
            order = slice(None, None, -1 if index_first else 1)
            table = [header, *((raw, index) for index, raw in enumerate(ids))]
            with (folder / name).open("w", newline="") as file:
                csv.writer(file, delimiter=separator).writerows(row[order] for row in table)
    return folder


def write_lattice(
    dataset: Dataset, folder: Path, core: str = "5-core", separator: str = "\t", header: str = ""
) -> Path:
    """As LATTICE: features at the top, splits and lists of ids in 5-core; returns the top."""
    _write_features(dataset, folder)
    (folder / "5-core").mkdir(exist_ok=True)
    (folder / core).mkdir(exist_ok=True)
    _write_json(dataset, folder / core)
    for name, ids in (("user_list.txt", dataset.user_ids), ("item_list.txt", dataset.item_ids)):
        if ids is not None:
            lines = [f"{raw}{separator}{index}\n" for index, raw in enumerate(ids)]
            (folder / "5-core" / name).write_text(header + "".join(lines), newline="")
    return folder


def write_lightgcn(dataset: Dataset, folder: Path, header: str = "org_id remap_id\n") -> Path:
    """As LightGCN: a line for each user, of indices; lists of ids with a header."""
    _write_features(dataset, folder)
    for split in SPLITS:
        lists = [[user] for user in range(dataset.num_users)]
        for user, item in _pairs(dataset, split):
            lists[user].append(item)
        lines = [" ".join(map(str, each)) for each in lists]
        (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
    for name, ids in (("user_list.txt", dataset.user_ids), ("item_list.txt", dataset.item_ids)):
        if ids is not None:
            lines = [f"{raw} {index}\n" for index, raw in enumerate(ids)]
            (folder / name).write_text(header + "".join(lines), newline="")
    return folder


WRITERS: dict[str, Callable[[Dataset, Path], Path]] = {
    "canonical": write_canonical,
    "mmssl": write_mmssl,
    "diffmm": write_diffmm,
    "mmrec": write_mmrec,
    "lattice": write_lattice,
    "lightgcn": write_lightgcn,
}


def _write_features(dataset: Dataset, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in dataset.features.items():
        np.save(folder / f"{name}_feat.npy", values)


def _write_json(dataset: Dataset, folder: Path) -> None:
    for split in SPLITS:
        content = {str(user): [] for user in range(dataset.num_users)}
        for user, item in _pairs(dataset, split):
            content[str(user)].append(item)
        (folder / f"{split}.json").write_text(json.dumps(content))


def _pairs(dataset: Dataset, split: str) -> list[tuple[int, int]]:
    matrix = getattr(dataset, split).tocoo()
    return list(zip(matrix.row.tolist(), matrix.col.tolist(), strict=True))
