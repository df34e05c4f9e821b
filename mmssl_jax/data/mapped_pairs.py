"""Many pairs as matrices in files of the user's cache, which processes map instead of holding them.

A split is sorted once, in little memory, and kept for the next run. What the processes of a machine
read of it they share, and the system takes that memory back where it is needed.
"""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array

from mmssl_jax.data.pair_matrix import row_blocks
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, caches, locks, sealed
from mmssl_jax.files.new_folder import new_folder

MAPPED_FROM = 10_000_000  # pairs of all splits; fewer are held
_STEP = 1 << 22  # pairs that are sorted at a time
_KEPT = 2  # data sets
_FORMAT = 2  # of the files; another is made anew
_ABOUT, _ONES = "about.json", "ones.npy"

# Gives (users, items) part by part, any number of times.
Chunks = Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]]


class MappedSplit(NamedTuple):
    """The pairs of a split, and the counts that their ids imply.

    The matrices are of float32 ones, with sorted indices and each pair once.
    """

    matrix: csr_array  # [num_users, num_items]
    by_item: csr_array | None  # its transpose, of train
    pairs: int  # with those that repeat
    num_users: int
    num_items: int


class Source(NamedTuple):
    """The pairs of a split as they come."""

    chunks: Chunks
    pairs: int
    num_users: int
    num_items: int


def splits(key: Any, sources: Mapping[str, Source]) -> dict[str, MappedSplit] | None:
    """The splits, from the cache or made and put there; None where there can be no cache.

    Args:
      key: says which data it is; its repr must change where the data do.
      sources: by split.

    Raises:
      InputError: the disk is full, or a source cannot be read.
    """
    cache = caches.own_folder("pairs")
    if cache is None:
        return None
    digest = hashlib.sha256(repr((_FORMAT, key)).encode()).hexdigest()
    folder = cache / digest
    # Processes of one machine start together: the first makes what all of them map.
    with open(cache / f"{digest}.lock", "w") as lock:
        locks.lock(lock.fileno(), wait=True)
        found = _mapped(folder)
        if found is None:
            _make(folder, sources)
            found = _mapped(folder)
        if found is None:
            raise InputError(f"{folder}: was damaged as it was written; is its disk sound?")
        folder.touch()
    caches.keep_last(cache, f"{'[0-9a-f]' * len(digest)}", _KEPT)
    return found


def _make(folder: Path, sources: Mapping[str, Source]) -> None:
    try:
        with new_folder(folder) as partial:
            about = {split: _sorted(partial, split, source) for split, source in sources.items()}
            longest = max((each["distinct"] for each in about.values()), default=0)
            ones = _array(partial / _ONES, np.float32, longest)
            ones[:] = 1
            ones.flush()
            sums = {path.name: _checksum(path) for path in sorted(partial.glob("*.npy"))}
            atomic.write_json(partial / _ABOUT, sealed.sealed({"splits": about, "crc32": sums}))
    except OSError as error:
        size = 12 * sum(source.pairs for source in sources.values()) / 1e9
        raise InputError(
            f"{folder.parent}: cannot hold the sorted pairs, about {size:.1f} GB "
            f"({error.strerror}); set XDG_CACHE_HOME to a folder with more room"
        ) from error


def _sorted(folder: Path, split: str, source: Source) -> dict[str, int]:
    """Writes the matrices of a split, and returns what `_mapped` must know of them."""
    shape = source.num_users, source.num_items
    starts, items = _scattered(folder / f"{split}.npy", source.chunks, source.pairs, shape[0])
    starts, distinct = _merged(starts, items, source.num_items)
    np.save(folder / f"{split}.starts.npy", starts)
    if split == "train":  # graphs need it both ways
        _transposed(folder, split, starts, items, source.num_items)
    return {"pairs": source.pairs, "distinct": distinct, "users": shape[0], "items": shape[1]}


def _transposed(
    folder: Path, split: str, starts: np.ndarray, items: np.memmap, num_items: int
) -> None:
    """Writes the pairs by item, from those by user."""

    def by_user() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first, end in row_blocks(starts, _STEP):
            users = np.repeat(np.arange(first, end), np.diff(starts[first : end + 1]))
            yield items[starts[first] : starts[end]], users

    path = folder / f"{split}.by_item.npy"
    item_starts, _ = _scattered(path, by_user, int(starts[-1]), num_items)
    np.save(folder / f"{split}.by_item.starts.npy", item_starts)


def _scattered(
    path: Path, chunks: Chunks, count: int, num_rows: int
) -> tuple[np.ndarray, np.memmap]:
    """Where each row starts, and a file of the columns of (row, column) pairs by row.

    The pairs of a row stay in the order in which they come.
    """
    degrees = np.zeros(num_rows, np.int64)
    for rows, _ in chunks():
        degrees += np.bincount(rows, minlength=num_rows)
    starts = np.concatenate([[0], np.cumsum(degrees)])
    file, cursor = _array(path, np.int32, count), starts[:-1].copy()
    for rows, columns in chunks():
        size = len(rows)
        # scipy counts the pairs of each row, where a sort would compare them.
        at = (rows, np.arange(size, dtype=np.int32))
        by_row = coo_array((np.ones(size, np.int8), at), shape=(num_rows, size)).tocsr()
        order, first = by_row.indices, by_row.indptr
        rows = rows[order]
        file[cursor[rows] - first[rows] + np.arange(size)] = columns[order]
        cursor += np.diff(first)
    file.flush()
    return starts, file


def _merged(starts: np.ndarray, items: np.memmap, num_items: int) -> tuple[np.ndarray, int]:
    """Sorts each row in place without what repeats; where rows then start, and where all end."""
    degrees = np.zeros(len(starts) - 1, np.int64)
    written = 0
    for first, end in row_blocks(starts, _STEP):
        own_starts = starts[first : end + 1] - starts[first]
        found = np.array(items[starts[first] : starts[end]])
        ones = np.ones(len(found), np.int8)
        block = csr_array((ones, found, own_starts), shape=(end - first, num_items))
        block.sum_duplicates()  # which sorts, too
        own = block.indices
        degrees[first:end] = np.diff(block.indptr)
        items[written : written + len(own)] = own  # never past what is still to be read
        written += len(own)
    items.flush()
    return np.concatenate([[0], np.cumsum(degrees)]), written


def _mapped(folder: Path) -> dict[str, MappedSplit] | None:
    """What is kept in a folder; None where it is not there, or damaged."""
    try:
        about = sealed.read(folder / _ABOUT, "it is made anew")
        if any(_checksum(folder / name) != known for name, known in about["crc32"].items()):
            return None
        return {split: _split(folder, split, of) for split, of in about["splits"].items()}
    except (OSError, ValueError, KeyError, InputError):
        return None


def _split(folder: Path, split: str, about: Mapping[str, int]) -> MappedSplit:
    shape, distinct = (about["users"], about["items"]), about["distinct"]
    index = np.int32 if distinct < 2**31 else np.int64

    def matrix(name: str, shape: tuple[int, int]) -> csr_array:
        starts = np.load(folder / f"{name}.starts.npy").astype(index)
        columns = _view(folder / f"{name}.npy")[:distinct]
        return csr_array((_view(folder / _ONES)[:distinct], columns, starts), shape=shape)

    by_item = matrix(f"{split}.by_item", shape[::-1]) if split == "train" else None
    return MappedSplit(matrix(split, shape), by_item, about["pairs"], *shape)


def _view(path: Path) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r"))


def _array(path: Path, kind: Any, length: int) -> np.memmap:
    """A new file that is written through memory; one of no length has room for one."""
    array = np.lib.format.open_memmap(path, "w+", kind, (max(length, 1),))
    if hasattr(os, "posix_fallocate"):  # a full disk is an OSError here, and later ends the process
        with open(path, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _checksum(path: Path) -> int:
    total = 0
    with open(path, "rb") as file:
        while part := file.read(1 << 24):
            total = zlib.crc32(part, total)
    return total
