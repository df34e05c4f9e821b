"""Arrays in .npy files, read with pickles off and believed only as far as the file is long."""

import math
import warnings
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from mmssl_jax.errors import InputError
from mmssl_jax.files import memory

MOST = 1e15  # of a feature: the squares of a hundred million of them can be summed in float32

OpenFile = IO[bytes] | zipfile.ZipExtFile  # a member of an archive is an IO by its types alone


def read_header(path: Path) -> tuple[int, int]:
    """The shape (rows, width) of a feature file, from its header alone.

    Raises InputError unless the file is a 2-d float16/32/64 array exactly as long as its header
    says, so that nothing is allocated on the word of a damaged or hostile header.
    """
    shape, dtype = checked_header(path)
    _check_kind(path, shape, dtype)
    rows, width = shape
    return rows, width


def read(path: Path) -> np.ndarray:
    """A feature file as float32 [rows, width]; raises InputError as `read_header` does.

    Also for NaN, infinities, and values beyond `MOST`.
    """
    rows, width = read_header(path)  # before anything is read
    # The file, its float32, and a boolean for each number; files may be of float64.
    count = path.stat().st_size + 5 * rows * width
    memory.require(count, f"{path}: to read it", "leave it out of data.modalities, or narrow it")
    return as_features(path, load(path))


def as_features(path: Path, raw: np.ndarray) -> np.ndarray:
    """An array of a file as float32 [rows, width]; raises InputError as `read` does."""
    _check_kind(path, raw.shape, raw.dtype)
    _refuse_nonfinite(path, raw, "NaN or infinite values")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(raw, np.float32)
    _refuse_nonfinite(path, values, "values beyond the range of float32")
    largest = max(values.max(initial=0.0), -values.min(initial=0.0))
    if largest > MOST:
        raise InputError(
            f"{path}: has values up to {largest:.3g}, and beyond {MOST:g} sums of squares are no "
            "float32 any more; scale the features, such as to mean 0 and variance 1"
        )
    return values


def is_npy(path: Path) -> bool:
    """Whether the file starts as a .npy file does."""
    with path.open("rb") as file:
        return file.read(6) == b"\x93NUMPY"


def parse_header(file: OpenFile) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran's order, and dtype of a .npy file; ValueError for a damaged one."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"format version {version} is not known")
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers that Python 2 wrote
            shape, fortran, dtype = readers[version](file)
    except Exception as error:  # numpy parses the header as Python text: anything may come
        raise ValueError("its header is damaged") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"negative length in shape {shape}")
    return shape, fortran, dtype


def checked_header(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of a .npy file that is exactly as long as they say; else InputError."""
    if not path.is_file():  # a pipe would wait for ever
        raise InputError(f"{path}: cannot be read (it is no file)")
    try:
        with path.open("rb") as file:
            shape, _, dtype = parse_header(file)
            expected = file.tell() + math.prod(shape) * dtype.itemsize
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: is not a .npy file ({_one_line(error)})") from error
    if dtype.kind != "O" and size != expected:
        raise InputError(
            f"{path}: is {size} bytes long, its header says {expected}; "
            "it was cut off or damaged, so get it again"
        )
    return shape, dtype


def load(path: Path) -> np.ndarray:
    """The array of a file whose header was checked."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers that Python 2 wrote
            values: np.ndarray = np.load(path, allow_pickle=False)
            return values
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({_one_line(error)})") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory") from error


def describe(dtype: np.dtype) -> str:
    """A type of values, to show."""
    kinds = {"i": "integers", "u": "integers", "O": "Python objects", "b": "booleans"}
    return f"{kinds.get(dtype.kind, 'values')} ({dtype})"


def _check_kind(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(
            f"{path}: holds {describe(dtype)}; features must be float16, float32 or float64, "
            "so convert the array with .astype('float32') and save it again"
        )
    if len(shape) != 2 or shape[1] == 0:
        raise InputError(
            f"{path}: has shape {shape}; features are 2-d, a row for each item or user"
        )


def _refuse_nonfinite(path: Path, values: np.ndarray, what: str) -> None:
    bad = ~np.isfinite(values)
    if count := int(bad.sum()):
        row = int(np.argmax(bad.any(axis=1)))
        raise InputError(f"{path}: {count} {what}, the first in row {row}; correct the features")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
