"""The items nearest to vectors of users, by FAISS; its only user (an extra: ".[serve]")."""

import contextlib
import hashlib
import os
import pathlib
from typing import Any

import numpy as np

from mmssl_jax.errors import InputError
from mmssl_jax.files import caches, durable

KINDS = ("exact", "hnsw")
_MANY = 100_000  # items
_NEIGHBORS, _CONSTRUCTION, _SEARCHED = 32, 40, 128  # of HNSW: links, and how far it looks
_KEPT = 2  # indices of many items that are kept for the next start


class VectorIndex:
    """Items by the inner product with a vector, the best first."""

    def __init__(self, items: np.ndarray, order: np.ndarray, kind: str):
        """Indexes items; HNSW takes a while and then finds most of the best, not always all.

        That of many items is kept in the user's cache, so that the next start is quick.

        Args:
          items: vectors, float32 [items, d].
          order: the items to be found, int [n]; of equal ones the first here comes first.
          kind: one of `KINDS`.
        """
        faiss = library()
        self.kind = kind
        self._threads = faiss.omp_get_max_threads() if len(order) > _MANY else 1
        self._order = order
        vectors = np.ascontiguousarray(items[order], np.float32)
        self._index: Any
        if kind == "hnsw":
            self._index = _hnsw(vectors) if len(order) <= _MANY else _kept(vectors)
        else:
            self._index = faiss.IndexFlatIP(vectors.shape[1])
            self._index.add(vectors)
        self._parameters = faiss.SearchParametersHNSW if kind == "hnsw" else None

    def search(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Items int [n, count] and scores [n, count]; item -1 where there are not so many."""
        # Of the thread that calls. Among few items waiting for a second one takes longer than the
        # search.
        library().omp_set_num_threads(self._threads)
        count = min(count, len(self._order))
        settings = {}
        if self._parameters is not None:
            settings["params"] = self._parameters(efSearch=max(_SEARCHED, 2 * count))
        wanted = np.ascontiguousarray(vectors, np.float32)
        scores, places = self._index.search(wanted, count, **settings)
        by_score = np.lexsort((places, -scores), axis=1)
        places = np.take_along_axis(places, by_score, axis=1)
        found = np.where(places >= 0, self._order[places], -1)
        return found, np.take_along_axis(scores, by_score, axis=1)

    def write(self, path: str) -> None:
        """Writes the index as a file that `faiss.read_index` reads; row i is item `order[i]`."""
        library().write_index(self._index, path)


def _hnsw(vectors: np.ndarray) -> Any:
    faiss = library()
    index = faiss.IndexHNSWFlat(vectors.shape[1], _NEIGHBORS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = _CONSTRUCTION
    index.add(vectors)
    return index


def _kept(vectors: np.ndarray) -> Any:
    """The HNSW index of these vectors from the cache, or made and put there."""
    faiss = library()
    folder = caches.own_folder("indices")
    if folder is None:
        return _hnsw(vectors)
    about = (faiss.__version__, vectors.shape, _NEIGHBORS, _CONSTRUCTION)
    digest = hashlib.sha256(repr(about).encode())
    digest.update(vectors.data)
    path = folder / f"{digest.hexdigest()}.faiss"
    with contextlib.suppress(RuntimeError, OSError):  # there is none
        if _is_whole(path):
            index = faiss.read_index(os.fspath(path))
            path.touch()
            return index
    index = _hnsw(vectors)
    partial = path.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(RuntimeError, OSError):  # the disk is full, say
        faiss.write_index(index, os.fspath(partial))
        with partial.open("r+b") as file:
            file.write(hashlib.file_digest(file, "sha256").digest())  # behind what faiss reads
        durable.sync(partial)  # of what a power cut tears, faiss would see the length alone
        os.replace(partial, path)
    with contextlib.suppress(OSError):
        partial.unlink(missing_ok=True)
    caches.keep_last(folder, "*.faiss", _KEPT)
    return index


def _is_whole(path: pathlib.Path) -> bool:
    """Whether a kept index is as it was written: it ends with the sha256 of what is before."""
    size = path.stat().st_size - hashlib.sha256().digest_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(max(min(size - file.tell(), 1 << 20), 0)):
            digest.update(part)
        return file.read() == digest.digest()


def library() -> Any:
    """The module faiss; InputError where it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise InputError(
            'an index of vectors needs faiss, an extra: pip install ".[serve]"'
        ) from error
    return faiss
