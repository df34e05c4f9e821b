"""Matrices of pairs [users, items]: made, counted and hashed.

Counting and hashing go in steps: of a large matrix, whose pairs are in files (`mapped_pairs`), no
more than a step is ever held.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array, csr_array, get_index_dtype

from mmssl_jax.data.splits import Pairs

_STEP = 1 << 20  # pairs


def made(pairs: Pairs, shape: tuple[int, int]) -> tuple[csr_array, int]:
    """The pairs as a canonical matrix of ones, float32, and how many repeats were merged."""
    users, items = (np.asarray(ids) for ids in pairs)
    index = get_index_dtype(maxval=max(len(users), *shape))  # int32, unless there are 2^31 pairs
    ids = (users.astype(index, copy=False), items.astype(index, copy=False))
    # scipy counts the pairs of each user: no sort of all pairs, and repeats are summed.
    matrix = coo_array((np.ones(len(items), np.float32), ids), shape=shape).tocsr()
    matrix.data[:] = 1
    return matrix, len(items) - matrix.nnz


def widened(matrix: csr_array, shape: tuple[int, int]) -> csr_array:
    """The matrix with empty rows and columns added, up to `shape`; it shares its arrays."""
    starts = np.pad(matrix.indptr, (0, shape[0] - matrix.shape[0]), mode="edge")
    return csr_array((matrix.data, matrix.indices, starts), shape=shape)


def item_degrees(matrix: csr_array) -> np.ndarray:
    """How many pairs each item has: int64 [items]."""
    counts = np.zeros(matrix.shape[1], np.int64)
    step = max(_STEP, len(counts))  # each costs a sum over all items
    for start in range(0, matrix.nnz, step):
        counts += np.bincount(matrix.indices[start : start + step], minlength=len(counts))
    return counts


def fingerprint(matrix: csr_array) -> str:
    """sha256 of the pairs in sorted order, as little-endian int64 [n, 2]."""
    digest, starts = hashlib.sha256(), matrix.indptr
    for begin in range(0, matrix.nnz, _STEP):
        end = min(begin + _STEP, matrix.nnz)
        first, last = np.searchsorted(starts, (begin, end - 1), side="right") - 1
        counts = np.diff(np.clip(starts[first : last + 2], begin, end))
        pairs = np.empty((end - begin, 2), "<i8")
        pairs[:, 0] = np.repeat(np.arange(first, last + 1), counts)
        pairs[:, 1] = matrix.indices[begin:end]
        digest.update(pairs.data)
    return digest.hexdigest()


def row_blocks(starts: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows (first, end) with at most `most` pairs each, or of one row.

    `starts` is int [rows + 1]: where the pairs of each row begin.
    """
    first, rows = 0, len(starts) - 1
    while first < rows:
        end = int(np.searchsorted(starts, starts[first] + most, side="right")) - 1
        end = min(max(end, first + 1), rows)
        yield first, end
        first = end
