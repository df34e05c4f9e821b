"""Indices of vectors: what they find, and what is kept of large ones."""

import numpy as np
import pytest

from mmssl_jax.serving import vector_index
from mmssl_jax.serving.vector_index import VectorIndex

pytest.importorskip("faiss")

RNG = np.random.default_rng(0)
ITEMS, USERS = (RNG.normal(size=(count, 8)).astype(np.float32) for count in (500, 20))
ORDER = RNG.permutation(500)


@pytest.fixture(autouse=True)
def _large(monkeypatch, tmp_path):
    """A few items are many here, and the cache is a folder of the test."""
    monkeypatch.setattr(vector_index, "_MANY", 100)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def kept(tmp_path):
    return sorted((tmp_path / "mmssl_jax/indices").glob("*"))


def best(count: int = 5) -> np.ndarray:
    return np.argsort(-(USERS @ ITEMS.T), axis=1)[:, :count]


def test_hnsw_of_few_items_finds_what_is_exact_and_is_made_once(tmp_path, monkeypatch):
    first = VectorIndex(ITEMS, ORDER, "hnsw").search(USERS, 5)
    np.testing.assert_array_equal(first[0], best())
    assert len(kept(tmp_path)) == 1
    monkeypatch.setattr(vector_index, "_hnsw", None)  # it is not made anew
    again = VectorIndex(ITEMS, ORDER, "hnsw").search(USERS, 5)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda _: b"x"])
def test_a_damaged_index_is_made_anew(tmp_path, damage):
    VectorIndex(ITEMS, ORDER, "hnsw")
    (path,) = kept(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    found, _ = VectorIndex(ITEMS, ORDER, "hnsw").search(USERS, 5)
    np.testing.assert_array_equal(found, best())
    assert kept(tmp_path) == [path]


def test_the_indices_used_last_are_kept(tmp_path):
    for scale in (1, 2, 3, 4):
        found, _ = VectorIndex(scale * ITEMS, ORDER, "hnsw").search(USERS, 5)
        np.testing.assert_array_equal(found, best())
    assert len(kept(tmp_path)) == vector_index._KEPT


def test_without_a_cache_it_is_made_each_time(tmp_path):
    (tmp_path / "mmssl_jax").write_text("a file")
    found, _ = VectorIndex(ITEMS, ORDER, "hnsw").search(USERS, 5)
    np.testing.assert_array_equal(found, best())


def test_few_items_and_exact_indices_are_not_kept(tmp_path):
    VectorIndex(ITEMS, ORDER[:100], "hnsw")
    VectorIndex(ITEMS, ORDER, "exact")
    assert kept(tmp_path) == []
