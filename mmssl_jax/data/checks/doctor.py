"""Examines a data folder.

The checks are those of training, which stops at the first error; here all of them are collected.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.data import loading, pair_matrix
from mmssl_jax.data.checks import file_checks, split_checks
from mmssl_jax.data.checks.findings import ERROR, Findings
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import canonical
from mmssl_jax.data.layouts.splits_json import read_json_object
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, checksums


def examine(folder: Path, modalities: str) -> tuple[Dataset | None, Findings]:
    """Reads a folder as far as that is possible; returns the data set, if any, and the findings.

    Where there are errors the data set lacks what could not be read, and is only to be described.
    """
    findings = Findings(collect=True)
    try:
        return loading.read(folder, modalities, findings), findings
    except InputError as error:  # nothing more can be read
        findings.error("unreadable", str(error))
        return None, findings


def accept(folder: Path, dataset: Dataset, findings: Findings) -> bool:
    """Records the files of a canonical folder as they are, if nothing else is wrong with them.

    Returns whether it did; raises InputError where the folder cannot be written.
    """
    recorded = (file_checks.CHECK, split_checks.FINGERPRINT)
    if any(each.level == ERROR and each.check not in recorded for each in findings.listed):
        return False
    findings.listed = [each for each in findings.listed if each.level != ERROR]
    about = folder / canonical.ABOUT
    if about.is_file():
        content = read_json_object(about) | {"sha256": dataset.split_fingerprints}
        atomic.write_json(about, content)
    canonical.list_files(folder)
    return True


def mark_missing(folder: Path, dataset: Dataset) -> dict[str, int]:
    """Writes <modality>_present.npy beside every feature file that has rows of zeros.

    Returns how many items lack each of these modalities; raises InputError for one without any
    other row, and where a mask cannot be written.
    """
    known = {name: values.any(axis=1) for name, values in dataset.features.items()}
    for name, mask in known.items():
        if not mask.any():
            raise InputError(
                f"{folder / name}{features.SUFFIX}: all rows are zero; remove the file"
            )
    lacking = {name: int((~mask).sum()) for name, mask in known.items() if not mask.all()}
    masks = {f"{name}{features.MASK_SUFFIX}": known[name] for name in lacking}
    with checksums.changing(folder, masks):
        for name, mask in masks.items():
            atomic.write_array(folder / name, mask)
    return lacking


def facts(dataset: Dataset) -> dict[str, Any]:
    """What there is, as JSON values."""
    splits = {}
    for split in SPLITS:
        matrix = getattr(dataset, split)
        splits[split] = {
            "pairs": matrix.nnz,
            "users": int(np.count_nonzero(np.diff(matrix.indptr))),
            "items": int(np.count_nonzero(pair_matrix.item_degrees(matrix))),
            "sha256": dataset.split_fingerprints[split],
        }
    return {
        "name": dataset.name,
        "synthetic": dataset.synthetic,
        "users": dataset.num_users,
        "items": dataset.num_items,
        "fingerprint": dataset.fingerprint,
        "splits": splits,
        "features": {name: _feature_facts(dataset, name) for name in dataset.features},
        "side": {name: _side_facts(array) for name, array in dataset.side_information.items()},
    }


def _feature_facts(dataset: Dataset, name: str) -> dict[str, int]:
    values = dataset.features[name]
    known = dataset.present.get(name, np.ones(len(values), bool))
    return {
        "rows": len(values),
        "width": values.shape[1],
        "missing": int((~known).sum()),
        "zero": int((known & ~values.any(axis=1)).sum()),
    }


def _side_facts(array: np.ndarray) -> dict[str, int]:
    """Of the augmented pairs, a row is a user, a liked item and a disliked one."""
    return {
        "rows": len(array),
        "width": array.shape[1],
        "zero": int((~array.any(axis=1)).sum()),
    }
