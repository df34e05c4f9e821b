"""The sparse matrix in a file: pickled, read through the allow-list of `pickles`, or an .npz."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmssl_jax.data.arrays import npz
from mmssl_jax.data.arrays.pickled_array import array, content
from mmssl_jax.data.arrays.pickles import ARRAYS, Allowed, Record, Refused, interpret
from mmssl_jax.errors import InputError

_KINDS = ("coo", "csr", "csc")
# The modules of scipy up to 1.7, since 1.8, and of the arrays of 1.8 to 1.10.
_MATRICES = {
    f"scipy.sparse.{module}.{kind}_{form}": Allowed(kind, "NEWOBJ")
    for kind in _KINDS
    for form in ("matrix", "array")
    for module in (kind, f"_{kind}", "_arrays")
}
# Pickled dok matrices name this first; without a call it is nothing.
_UNCALLED = dict.fromkeys(("copy_reg._reconstructor", "copyreg._reconstructor"), Allowed("none"))
_ALLOWED = ARRAYS | _MATRICES | _UNCALLED


class Matrix(NamedTuple):
    """The entries of a matrix that are not zero: `users` and `items` are int64 [n].

    `values` are as the file has them, bool, integers or floats [n], all finite.
    """

    shape: tuple[int, int]
    users: np.ndarray
    items: np.ndarray
    values: np.ndarray


def read_matrix(path: Path) -> Matrix:
    """The scipy matrix in `path`: coo, csr or csc, pickled (protocols 2 to 5) or by save_npz.

    Raises InputError for anything else. No code of the file runs, and memory stays within a few
    times the size of the file, which may be `pickled_array.MAX_BYTES`.
    """
    try:
        if npz.is_archive(path):
            return _matrix(*_unpacked(npz.read(path)))
        record = interpret(content(path), _ALLOWED)
        if not (isinstance(record, Record) and record.kind in _KINDS):
            raise Refused("it holds no sparse matrix")
        if not isinstance(record.state, dict):
            raise Refused("its matrix has no attributes")
        return _matrix(record.kind, record.state)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # garbage can fail anywhere, and must always end as one line
        reason = str(error) if isinstance(error, Refused) else f"it is damaged ({error!r:.150})"
        raise InputError(
            f"{path}: refused, and nothing in it was run: {' '.join(reason.split())}; expected a "
            "scipy coo, csr or csc matrix, so pickle matrix.tocsr(), get the file again, or import "
            "the data"
        ) from error


def _unpacked(arrays: Mapping[str, np.ndarray]) -> tuple[str, dict[str, Any]]:
    """The kind and the attributes of a matrix that save_npz has written."""
    if "format" not in arrays or arrays["format"].shape != ():
        raise Refused("it is an archive of arrays, not of a matrix by scipy's save_npz")
    kind = arrays["format"].item()
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    if kind not in _KINDS:
        raise Refused(f"it holds a matrix of the kind {kind[:10]!a}")
    shape = arrays["shape"].tolist() if "shape" in arrays else None
    shape = tuple(shape) if isinstance(shape, list) else shape
    return kind, {**arrays, "_shape": shape}


def _matrix(kind: str, state: Mapping[str, Any]) -> Matrix:
    """The entries of a matrix from its attributes, every index checked against its shape."""
    shape = _shape(state.get("_shape"))
    values = _array(state.get("data"), "data")
    if kind == "coo":
        users, items = _coordinates(state)
    else:
        inner = _indices(state.get("indices"), "indices")
        bounds = _indices(state.get("indptr"), "indptr")
        outer = _expand(bounds, shape[0 if kind == "csr" else 1], len(values))
        users, items = (outer, inner) if kind == "csr" else (inner, outer)
    if not len(users) == len(items) == len(values):
        raise Refused(f"it has {len(users)} rows, {len(items)} columns and {len(values)} values")
    for name, ids, bound in (("row", users, shape[0]), ("column", items, shape[1])):
        if len(ids) and not (ids.min() >= 0 and ids.max() < bound):
            raise Refused(f"a {name} index lies outside its shape {shape}")
    if not np.isfinite(values).all():
        raise Refused("its values are not all finite")
    kept = values != 0
    return Matrix(shape, users[kept], items[kept], values[kept])


def _coordinates(state: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a coo_matrix: older scipy keeps two attributes, later one pair."""
    coords = state.get("coords", (state.get("row"), state.get("col")))
    if not isinstance(coords, tuple) or len(coords) != 2:
        raise Refused("its coords are not a pair of arrays")
    return _indices(coords[0], "row"), _indices(coords[1], "col")


def _shape(value: Any) -> tuple[int, int]:
    if not (
        isinstance(value, tuple)
        and len(value) == 2
        and all(type(length) is int and 0 <= length < 1 << 31 for length in value)
    ):
        raise Refused("its shape is not a pair of sizes")
    return value


def _array(value: Any, name: str) -> np.ndarray:
    """A 1-d array of bool, integers or floats: recorded, or as it was in an archive."""
    values = value if isinstance(value, np.ndarray) else array(value, name)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        raise Refused(f"its {name} holds {values.dtype} of shape {values.shape}")
    return values


def _indices(record: Any, name: str) -> np.ndarray:
    values = _array(record, name)
    # What scipy writes. Narrower ones would let a file grow eightfold on the next line.
    if values.dtype.kind != "i" or values.dtype.itemsize < 4:
        raise Refused(f"its {name} holds {values.dtype}, not int32 or int64")
    return values.astype(np.int64)


def _expand(indptr: np.ndarray, rows: int, entries: int) -> np.ndarray:
    """The row of each entry of a csr matrix, or the column of each of a csc matrix."""
    rising = (indptr[:-1] <= indptr[1:]).all()  # not by differences, which can wrap around
    if len(indptr) != rows + 1 or indptr[0] != 0 or indptr[-1] != entries or not rising:
        raise Refused("its indptr does not fit its shape and values")
    return np.repeat(np.arange(rows), np.diff(indptr))
