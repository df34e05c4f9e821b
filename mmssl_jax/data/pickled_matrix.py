"""The sparse matrix in a pickle file, read through the allow-list of `pickles`."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmssl_jax.data.pickles import Record, Refused, interpret
from mmssl_jax.errors import InputError

MAX_BYTES = 1 << 29
_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
_ORDERS = {"<", ">", "|"}


class Matrix(NamedTuple):
    """The entries of a matrix that are not zero: `users` and `items` are int64 [n]."""

    shape: tuple[int, int]
    users: np.ndarray
    items: np.ndarray


def read_matrix(path: Path) -> Matrix:
    """The scipy coo_matrix or csr_matrix pickled (protocol 3 or 4) in `path`.

    Raises InputError for anything else. No code of the file runs, and memory stays within a few
    times the size of the file, which may be `MAX_BYTES`.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise Refused(f"{size} bytes are more than the {MAX_BYTES} allowed")
        return _matrix(interpret(path.read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # garbage can fail anywhere, and must always end as one line
        reason = str(error) if isinstance(error, Refused) else f"it is damaged ({error!r:.150})"
        raise InputError(
            f"{path}: refused, and nothing in it was run: {' '.join(reason.split())}; expected a "
            "pickled scipy coo_matrix or csr_matrix, so get the file again or import the data"
        ) from error


def _matrix(record: Any) -> Matrix:
    """The entries of a recorded matrix, every index checked against its shape."""
    if not (isinstance(record, Record) and record.kind in ("coo", "csr")):
        raise Refused("it holds no sparse matrix")
    state = record.state
    if not isinstance(state, dict):
        raise Refused("its matrix has no attributes")
    shape = _shape(state.get("_shape"))
    data = _array(state.get("data"), "data")
    if record.kind == "coo":
        users, items = _coordinates(state)
    else:
        users = _expand(_indices(state.get("indptr"), "indptr"), shape[0], len(data))
        items = _indices(state.get("indices"), "indices")
    if not len(users) == len(items) == len(data):
        raise Refused(f"it has {len(users)} rows, {len(items)} columns and {len(data)} values")
    for name, ids, bound in (("row", users, shape[0]), ("column", items, shape[1])):
        if len(ids) and not (ids.min() >= 0 and ids.max() < bound):
            raise Refused(f"a {name} index lies outside its shape {shape}")
    if not np.isfinite(data).all():
        raise Refused("its values are not all finite")
    kept = data != 0
    return Matrix(shape, users[kept], items[kept])


def _coordinates(state: dict) -> tuple[np.ndarray, np.ndarray]:
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


def _array(record: Any, name: str) -> np.ndarray:
    """The 1-d array of a recorded `_reconstruct` and state, a view of the bytes of the file."""
    if not (isinstance(record, Record) and record.kind == "array"):
        raise Refused(f"its {name} is not an array")
    state = record.state
    if not (isinstance(state, tuple) and len(state) == 5):
        raise Refused(f"its {name} has no contents")
    _, shape, dtype, _, contents = state
    dtype = _dtype(dtype, name)
    if not (isinstance(shape, tuple) and len(shape) == 1 and type(shape[0]) is int):
        raise Refused(f"its {name} is not 1-d")
    if not isinstance(contents, bytes) or len(contents) != shape[0] * dtype.itemsize:
        raise Refused(f"its {name} does not hold the {shape[0]} values it announces")
    return np.frombuffer(contents, dtype)


def _dtype(record: Any, name: str) -> np.dtype:
    """The recorded dtype: its code is the first argument, its byte order is in its state."""
    if not (isinstance(record, Record) and record.kind == "dtype" and record.args):
        raise Refused(f"its {name} has no dtype")
    code, state = record.args[0], record.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
    for part, known, what in ((code, _DTYPES, "dtype"), (order, _ORDERS, "byte order")):
        if not (isinstance(part, str) and part in known):
            raise Refused(f"its {name} has a {what} that is not allowed (objects never are)")
    return np.dtype(order + code)


def _indices(record: Any, name: str) -> np.ndarray:
    values = _array(record, name)
    # What scipy writes. Narrower ones would let a file grow eightfold on the next line.
    if values.dtype.kind != "i" or values.dtype.itemsize < 4:
        raise Refused(f"its {name} holds {values.dtype}, not int32 or int64")
    return values.astype(np.int64)


def _expand(indptr: np.ndarray, rows: int, entries: int) -> np.ndarray:
    """The row of each entry of a csr_matrix."""
    rising = (indptr[:-1] <= indptr[1:]).all()  # not by differences, which can wrap around
    if len(indptr) != rows + 1 or indptr[0] != 0 or indptr[-1] != entries or not rising:
        raise Refused("its indptr does not fit its shape and values")
    return np.repeat(np.arange(rows), np.diff(indptr))
