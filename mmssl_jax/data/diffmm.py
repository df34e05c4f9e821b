"""The folder of the public DiffMM repository: one pickled matrix for each split, and features."""

from pathlib import Path

import numpy as np

from mmssl_jax.data import features
from mmssl_jax.data.checks import Findings
from mmssl_jax.data.dataset import Dataset, assemble, check_counts
from mmssl_jax.data.pickled_matrix import read_matrix
from mmssl_jax.errors import InputError

_NAMES = {"train": "trnMat.pkl", "val": "valMat.pkl", "test": "tstMat.pkl"}
FILES = tuple(_NAMES.values())


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """Reads {trn,val,tst}Mat.pkl and the chosen *_feat.npy.

    The matrices say how many users and items there are, and must agree. Raises InputError.
    """
    found = features.find(folder)
    chosen = findings.attempt("modalities", features.choose, modalities, found, folder) or ()
    read = {
        split: findings.attempt("split", read_matrix, folder / name)
        for split, name in _NAMES.items()
        if (folder / name).is_file()
    }
    matrices = {split: matrix for split, matrix in read.items() if matrix is not None}
    if not matrices:
        raise InputError(f"{folder}: none of {', '.join(FILES)} can be read")
    first, shape = next((_NAMES[split], matrix.shape) for split, matrix in matrices.items())
    for split, matrix in matrices.items():
        if matrix.shape != shape:
            findings.error(
                "counts",
                f"{folder / _NAMES[split]}: has shape {matrix.shape}, "
                f"but {first} has {shape}; the splits must agree",
            )
    shape = tuple(np.max([matrix.shape for matrix in matrices.values()], axis=0).tolist())
    check_counts(folder, *shape, sum(len(matrix.users) for matrix in matrices.values()))
    values, present = features.read_all(found, chosen, shape[1], f"columns of {first}", findings)
    return assemble(
        folder,
        folder.resolve().name,
        shape,
        {split: (matrix.users, matrix.items) for split, matrix in matrices.items()},
        values,
        present=present,
        findings=findings,
    )
