"""The folders of DiffMM, SSLRec and their kin: a sparse matrix for each split, and features.

trnMat.pkl valMat.pkl tstMat.pkl      DiffMM
trn_mat.pkl val_mat.pkl tst_mat.pkl   SSLRec, and names such as train_mat.pkl and valid_mat.npz
<modality>_feat.npy                   row i is item i
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmssl_jax.data.arrays.pickled_matrix import Matrix, read_matrix
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset, assemble, check_counts
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import patterns
from mmssl_jax.errors import InputError

_NAMES = {
    "train": "{trn,train}{Mat,_mat}.{pkl,npz}",
    "val": "{val,valid}{Mat,_mat}.{pkl,npz}",
    "test": "{tst,test}{Mat,_mat}.{pkl,npz}",
}
FILES = tuple(_NAMES.values())
_SHOWN = 6  # different values


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """Reads the matrices and the chosen *_feat.npy.

    The matrices say how many users and items there are, and must agree. Their entries are pairs,
    but for those that `findings.rules.min_rating` or, where there is none, a negative value leaves
    out. Raises InputError.
    """
    found = features.find(folder)
    chosen = findings.attempt("modalities", features.choose, modalities, found, folder) or ()
    paths = {split: _path(folder, pattern, findings) for split, pattern in _NAMES.items()}
    there = {split: path for split, path in paths.items() if path is not None}
    read = {split: findings.attempt("split", read_matrix, path) for split, path in there.items()}
    matrices = {split: matrix for split, matrix in read.items() if matrix is not None}
    if not matrices:
        raise InputError(f"{folder}: none of {patterns.said(FILES)} can be read")
    first = next(iter(matrices))
    for split, matrix in matrices.items():
        if matrix.shape != matrices[first].shape:
            findings.error(
                "counts",
                f"{there[split]}: has shape {matrix.shape}, but {there[first].name} has "
                f"{matrices[first].shape}; the splits must agree",
            )
    num_users = max(matrix.shape[0] for matrix in matrices.values())
    num_items = max(matrix.shape[1] for matrix in matrices.values())
    shape = (num_users, num_items)
    check_counts(folder, *shape, sum(len(matrix.users) for matrix in matrices.values()))
    why = f"columns of {there[first].name}"
    values, present = features.read_all(found, chosen, shape[1], why, findings)
    return assemble(
        folder,
        folder.resolve().name,
        shape,
        {
            split: (matrix.users, matrix.items)
            for split, matrix in _liked(folder, matrices, findings).items()
        },
        values,
        present=present,
        findings=findings,
    )


def _path(folder: Path, pattern: str, findings: Findings) -> Path | None:
    """The file of a split; two that could be it are an error."""
    paths = patterns.matches(folder, pattern)
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths[:3])
        findings.error("files", f"{folder}: holds {names}; keep the one that is meant")
    return paths[0] if paths else None


def _liked(folder: Path, matrices: Mapping[str, Matrix], findings: Findings) -> dict[str, Matrix]:
    """The matrices with the entries that are pairs; says what else there was.

    A value below zero is a dislike, and never a pair unless somebody asks for it.
    """
    least = findings.rules.min_rating
    values = np.concatenate([matrix.values.astype(np.float64) for matrix in matrices.values()])
    bound = least if least is not None else 0
    liked = {split: _only(matrix, matrix.values >= bound) for split, matrix in matrices.items()}
    if (values == 1).all() and bound <= 1:
        return liked
    for split, matrix in liked.items():
        if not len(matrix.users) and len(matrices[split].users):
            findings.error(
                "values",
                f"{folder}: no entry of the {split} matrix is {bound:g} or more, so none is a "
                "pair; give import another --min-rating",
            )
    out = len(values) - sum(len(matrix.users) for matrix in liked.values())
    if least is not None:
        what = f"{out} of {len(values)} entries are below {least:g} and were left out"
    elif out:
        what = (
            f"{out} of {len(values)} entries are negative and were left out, as a dislike is no "
            "pair"
        )
    else:
        what = "all entries are taken as pairs alike"
    hint = "" if least is not None else "; --min-rating X of import takes those of X or more"
    findings.warn("values", f"{folder}: the matrices hold {_tally(values)}; {what}{hint}")
    return liked


def _only(matrix: Matrix, kept: np.ndarray) -> Matrix:
    return Matrix(
        matrix.shape, *(part[kept] for part in (matrix.users, matrix.items, matrix.values))
    )


def _tally(values: np.ndarray) -> str:
    """How often which value is there, the most frequent first."""
    distinct, counts = np.unique(values, return_counts=True)
    common = Counter(dict(zip(distinct.tolist(), counts.tolist(), strict=True))).most_common(_SHOWN)
    more = f" and {len(distinct) - _SHOWN} other values" if len(distinct) > _SHOWN else ""
    return ", ".join(f"{value:g} ({count} times)" for value, count in common) + more
