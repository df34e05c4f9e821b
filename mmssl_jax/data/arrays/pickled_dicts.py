"""Pickled dicts of vectors, and of pairs of items, as LLMRec's folders have them.

They are read through the allow-list of `pickles`: no code of a file runs.
"""

import array as arrays
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mmssl_jax.data.arrays import npy
from mmssl_jax.data.arrays.pickled_array import MAX_FEATURES, array, content
from mmssl_jax.data.arrays.pickles import ARRAYS, Record, Refused, interpret
from mmssl_jax.errors import InputError

_T = TypeVar("_T")


def read_vectors(path: Path) -> np.ndarray:
    """A dict of vectors by the numbers 0 to n - 1, as float32 [n, width].

    A vector is a list of floats or a numpy array. Raises InputError for anything else.
    """
    return npy.as_features(path, _read(path, lambda found, most: _vectors(found, "it", most)))


def read_named_vectors(path: Path) -> dict[str, np.ndarray]:
    """Name -> float32 [n, width], of a dict of such dicts; raises InputError as `read_vectors`."""

    def named(content: Any, most: int) -> dict[str, np.ndarray]:
        if not (_is_dict(content) and all(isinstance(name, str) for name in content)):
            raise Refused("it holds no dict of names")
        for name in content:
            if not re.fullmatch(r"\w[\w.-]{0,99}", name):  # it becomes part of a file's name
                raise Refused(f"the name {name[:80]!a} has other than letters, digits and ._-")
        each = most // max(len(content), 1)
        return {name: _vectors(vectors, ascii(name), each) for name, vectors in content.items()}

    found = _read(path, named)
    return {name: npy.as_features(path, values) for name, values in found.items()}


def read_pairs(path: Path) -> np.ndarray:
    """A dict user -> {0: liked item, 1: disliked item}, as int64 [n, 3] sorted by user.

    Raises InputError for anything else.
    """

    def pairs(content: Any, most: int) -> np.ndarray:
        del most
        if not _is_dict(content):
            raise Refused("it holds no dict of users")
        rows = [(user, *_pair(pair)) for user, pair in content.items() if _id(user)]
        if len(rows) < len(content):
            raise Refused("it has users that are not whole numbers")
        return np.array(sorted(rows), np.int64).reshape(-1, 3)

    return _read(path, pairs)


def _pair(pair: Any) -> tuple[int, int]:
    if not (_is_dict(pair) and pair.keys() == {0, 1} and all(map(_id, pair.values()))):
        raise Refused("a user has something other than a liked (0) and a disliked (1) item")
    return pair[0], pair[1]


def _id(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 62


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _vectors(content: Any, name: str, most: int) -> np.ndarray:
    """The vectors as one array, of at most so many numbers: they may all be one object."""
    if not _is_dict(content) or set(content) != set(range(len(content))) or not content:
        raise Refused(f"{name} holds no dict with a vector for each of 0 to n - 1")
    first = _vector(content[0], name)
    if len(content) * len(first) > most:
        raise Refused(f"{name} has more numbers than the file has room for")
    found = np.empty((len(content), len(first)), np.float32)
    for index in range(len(content)):
        vector = _vector(content[index], name)
        if vector.shape != first.shape:
            raise Refused(f"{name} has vectors of {len(first)} and of {len(vector)} numbers")
        with np.errstate(over="ignore"):  # the infinities are found by who reads them
            found[index] = vector
    return found


def _vector(value: Any, name: str) -> np.ndarray:
    if isinstance(value, arrays.array):
        return np.frombuffer(value, np.float32)
    if isinstance(value, Record):
        found = array(value, name)
        if found.dtype.kind in "fiu":
            return found
    raise Refused(f"{name} has a vector that is neither a list of numbers nor a numpy array")


def _read(path: Path, understood: Callable[[Any, int], _T]) -> _T:
    """What is understood of a file, and of how many numbers of two bytes it has room for."""
    try:
        program = content(path, MAX_FEATURES)
        return understood(interpret(program, ARRAYS, numbers=True), len(program) // 2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # garbage can fail anywhere, and must always end as one line
        reason = str(error) if isinstance(error, Refused) else f"it is damaged ({error!r:.150})"
        hint = ""
        if any(word in reason for word in ("torch", "multiarray.scalar")):
            hint = "; pickle plain numbers, by x.tolist() of a tensor or an array"
        elif re.search("asks for (DICT|LIST|INT|LONG|FLOAT)\\b", reason):  # of protocols 0 and 1
            hint = "; write it again by pickle.dump with protocol=4"
        raise InputError(
            f"{path}: refused, and nothing in it was run: {' '.join(reason.split())}{hint}"
        ) from error
