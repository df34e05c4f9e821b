"""The numpy arrays that `pickles` has recorded, read as views of the bytes of the file."""

import math
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.data.arrays.pickles import ARRAYS, Record, Refused, interpret

MAX_BYTES, MAX_FEATURES = 1 << 29, 1 << 32
_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
_ORDERS = {"<", ">", "|"}


def read(path: Path) -> np.ndarray:
    """The one 2-d array pickled in `path`; raises Refused, or for a damaged file any Exception."""
    return array(interpret(content(path, MAX_FEATURES), ARRAYS), "array", dimensions=2)


def content(path: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of a file that may be read whole; raises Refused for one of more than `most`."""
    if (size := path.stat().st_size) > most:
        raise Refused(f"{size} bytes are more than the {most} allowed")
    return path.read_bytes()


def array(record: Any, name: str, dimensions: int = 1) -> np.ndarray:
    """The array of so many dimensions that was recorded; Refused, with its `name`, for others."""
    contents, recorded, shape, order = _parts(record, name)
    dtype = _dtype(recorded, name)
    if not (isinstance(shape, tuple) and len(shape) == dimensions):
        raise Refused(f"its {name} is not {dimensions}-d")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise Refused(f"its {name} has no whole lengths")
    contents, size = _bytes(contents, name), math.prod(shape)
    if len(contents) != size * dtype.itemsize:
        raise Refused(f"its {name} does not hold the {size} values it announces")
    return np.frombuffer(contents, dtype).reshape(shape, order=order)


def _parts(record: Any, name: str) -> tuple[Any, Any, Any, Any]:
    """Contents, dtype, shape and order, as protocol 5 has them and as the others have."""
    if isinstance(record, Record) and record.kind == "buffer":
        # Later numpy adds an order of axes, which arrays in the order C or F do not need.
        if len(record.args) not in (4, 5) or record.args[3] not in ("C", "F"):
            raise Refused(f"its {name} has an order of values that is not known")
        contents, dtype, shape, order = record.args[:4]
        return contents, dtype, shape, order
    if not (isinstance(record, Record) and record.kind == "array"):
        raise Refused(f"its {name} is not an array")
    state = record.state
    if not (isinstance(state, tuple) and len(state) == 5):
        raise Refused(f"its {name} has no contents")
    _, shape, dtype, fortran, contents = state
    return contents, dtype, shape, "F" if fortran is True else "C"


def _bytes(contents: Any, name: str) -> bytes | bytearray:
    """The raw values: bytes, or up to protocol 2 the text that is these bytes in Latin-1."""
    if isinstance(contents, Record) and contents.kind == "bytes" and not contents.args:
        return b""
    if isinstance(contents, Record) and contents.kind == "encoded":
        contents = contents.args[0] if contents.args[1:] == ("latin1",) else None
    if isinstance(contents, str):
        contents = contents.encode("latin1")
    if not isinstance(contents, bytes | bytearray):
        raise Refused(f"its {name} has no contents")
    return contents


def _dtype(record: Any, name: str) -> np.dtype:
    """The recorded dtype: its code is the first argument, its byte order is in its state."""
    if not (isinstance(record, Record) and record.kind == "dtype" and record.args):
        raise Refused(f"its {name} has no dtype")
    code, state = record.args[0], record.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
    known_code = _known(code, _DTYPES, f"its {name} has a dtype")
    return np.dtype(_known(order, _ORDERS, f"its {name} has a byte order") + known_code)


def _known(part: Any, known: Container[str], what: str) -> str:
    """A part of a dtype, if it is one of the `known`."""
    if not (isinstance(part, str) and part in known):
        raise Refused(f"{what} that is not allowed (objects never are)")
    return part
