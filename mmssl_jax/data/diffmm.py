"""The folder of the public DiffMM repository: one pickled matrix for each split, and features."""

from pathlib import Path

from mmssl_jax.data import features
from mmssl_jax.data.dataset import Dataset, assemble, check_counts
from mmssl_jax.data.pickled_matrix import read_matrix
from mmssl_jax.errors import InputError

_NAMES = {"train": "trnMat.pkl", "val": "valMat.pkl", "test": "tstMat.pkl"}
FILES = tuple(_NAMES.values())


def read(folder: Path, modalities: str) -> Dataset:
    """Reads {trn,val,tst}Mat.pkl and the chosen *_feat.npy.

    The matrices say how many users and items there are, and must agree. Raises InputError.
    """
    found = features.find(folder)
    chosen = features.choose(modalities, found, folder)
    matrices = {split: read_matrix(folder / name) for split, name in _NAMES.items()}
    shape = matrices["train"].shape
    for split, matrix in matrices.items():
        if matrix.shape != shape:
            raise InputError(
                f"{folder / _NAMES[split]}: has shape {matrix.shape}, "
                f"but {_NAMES['train']} has {shape}; the splits must agree"
            )
    check_counts(folder, *shape)
    return assemble(
        folder,
        folder.resolve().name,
        shape,
        {split: (matrix.users, matrix.items) for split, matrix in matrices.items()},
        features.read_all(found, chosen, shape[1], f"columns of {_NAMES['train']}"),
    )
