"""Arrays in a zip archive, as numpy's savez and scipy's save_npz write them."""

import math
import zipfile
from pathlib import Path

import numpy as np

from mmssl_jax.data.arrays import npy
from mmssl_jax.data.arrays.pickled_array import MAX_BYTES
from mmssl_jax.data.arrays.pickles import Refused

_START = b"PK\x03\x04"
_FEW, _TIMES_FILE = 1 << 26, 100  # bytes in all, and as often as the file; ones pack very well
_MAX_ARRAYS = 100


def is_archive(path: Path) -> bool:
    """Whether the file starts as a zip archive does."""
    with path.open("rb") as file:
        return file.read(len(_START)) == _START


def read(path: Path, most: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """All arrays of the archive by name, pickles off; together they may have `most` bytes.

    Raises Refused where it is more than can be meant, or holds something else; a damaged one can
    raise any Exception.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MAX_ARRAYS:
            raise Refused(f"it has {len(members)} members, more than {_MAX_ARRAYS}")
        limit = min(most, max(_FEW, _TIMES_FILE * path.stat().st_size))
        if (size := sum(member.file_size for member in members)) > limit:
            raise Refused(f"it unpacks to {size} bytes, more than the {limit} allowed")
        arrays = {}
        for member in members:
            if not member.filename.endswith(".npy"):
                raise Refused(f"it holds {member.filename[:40]!a}, which is no array")
            with archive.open(member) as file:
                arrays[member.filename.removesuffix(".npy")] = _array(file, member)
        return arrays


def _array(file: npy.OpenFile, member: zipfile.ZipInfo) -> np.ndarray:
    shape, fortran, dtype = npy.parse_header(file)
    if dtype.kind not in "biufS":
        raise Refused(f"its {member.filename[:40]!a} holds {dtype}, which is not allowed")
    if file.tell() + math.prod(shape) * dtype.itemsize != member.file_size:
        raise Refused(f"its {member.filename[:40]!a} is not as long as its header says")
    return np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")
