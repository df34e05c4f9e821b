"""What sorts, splits and counts pairs in parts: the same as all at once."""

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from mmssl_jax.data import pair_matrix, splits
from mmssl_jax.data.importing import imports
from mmssl_jax.data.importing.options import ImportOptions
from mmssl_jax.data.tables import coded
from mmssl_jax.data.tables import pairs as table_pairs


def in_parts(patch, size=50):
    patch.setattr(splits, "_BLOCK", size)
    patch.setattr(table_pairs, "_BLOCK", size)
    patch.setattr(table_pairs, "_SAMPLE", 3)
    patch.setattr(pair_matrix, "_STEP", size)


def rows(seed, count=1000, users=40, items=15, moments=9):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, most, count) for most in (users, items, moments)]


@pytest.mark.parametrize("times", [None, "few", "floats"])
@pytest.mark.parametrize("every_time", [False, True])
def test_distinct_pairs_in_parts(monkeypatch, times, every_time):
    users, items, moments = rows(0)
    keys = users * 15 + items
    when = None if times is None else moments / (1 if times == "few" else 7) - 0.5
    best = {}
    for row, key in enumerate(keys.tolist()):
        place = (key, row) if when is None and every_time else (key,)
        place = (key, when[row]) if when is not None and every_time else place
        found = (row if when is None else when[row], row)
        best[place] = min(best.get(place, found), found)
    wanted = [best[place][1] for place in sorted(best)]
    for size in (10**6, 50):
        in_parts(monkeypatch, size)
        assert table_pairs.distinct(keys, when, every_time).tolist() == wanted
    wide = keys * 2**50  # no room for the place beside the key
    assert table_pairs.distinct(wide, when, every_time).tolist() == wanted
    assert len(table_pairs.distinct(keys[:0], None if when is None else when[:0], every_time)) == 0


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 2), unique=True, max_size=36))
def test_the_last_of_every_user(drawn):
    drawn = sorted(drawn)
    users = np.array([user for user, _ in drawn], np.int32)
    times = np.array([(item * 7) % 3 for _, item in drawn], np.int64)
    places = np.random.default_rng(len(drawn)).permutation(len(drawn)).astype(np.int32)
    wanted = np.zeros(len(drawn), np.int8)
    for user in set(users.tolist()):
        own = np.flatnonzero(users == user)
        own = own[np.lexsort((places[own], times[own]))]
        if len(own) >= 3:
            wanted[own[-1]], wanted[own[-2]] = 2, 1
    for values in (times, times.astype(float)):
        np.testing.assert_array_equal(splits.leave_last(users, values, places), wanted)


def test_splits_in_parts(monkeypatch):
    users = np.sort(rows(1)[0]).astype(np.int32)
    times, places = rows(2)[2], np.random.default_rng(0).permutation(1000)

    def every():
        yield splits.per_user(users, 3)
        yield splits.some_per_user(users, 3)
        yield splits.leave_last(users, times, places)

    whole = list(every())
    in_parts(monkeypatch)
    for one, other in zip(whole, every(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_fingerprint_in_parts(monkeypatch):
    users, items, _ = rows(3)
    matrix = csr_array((np.ones(1000, np.float32), (users, items)), shape=(60, 20))
    users, items = matrix.nonzero()
    wanted = hashlib.sha256(np.stack([users, items], axis=1).astype("<i8").tobytes()).hexdigest()
    for size in (10**6, 50):
        in_parts(monkeypatch, size)
        assert pair_matrix.fingerprint(matrix) == wanted
    empty = csr_array((3, 4), dtype=np.float32)
    assert pair_matrix.fingerprint(empty) == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_a_matrix_of_pairs_in_any_order(kind):
    users, items, _ = (ids.astype(kind) for ids in rows(4))
    matrix, merged = pair_matrix.made((users, items), (45, 20))
    keys = sorted(set((users.astype(int) * 20 + items).tolist()))
    assert matrix.shape == (45, 20)
    assert (matrix.has_canonical_format, matrix.dtype) == (True, np.float32)
    assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
    assert (matrix.nonzero()[0] * 20 + matrix.indices).tolist() == keys
    assert merged == 1000 - len(keys)
    assert (matrix.data == 1).all()


def test_ids_are_numbers_with_their_texts_once():
    table = pl.DataFrame({"u": ["b", None, "a", "b"], "i": [3, 1, 3, 20], "t": ["5", "", "x", "7"]})
    taken = {"user": "u", "item": "i", "time": "t"}
    read = coded.collect(Path("t"), table.lazy(), taken)
    assert read.frame.schema == {"user": pl.UInt32, "item": pl.UInt32, "time": pl.String}
    assert read.frame["user"].to_list() == [1, None, 0, 1]
    assert read.ids("item").to_list() == ["3", "1", "3", "20"]
    assert read.texts["item"].to_list() == ["1", "20", "3"]
    other = coded.collect(
        Path("t"), pl.LazyFrame({"u": ["0", "b"], "i": [4, 3], "t": ["1", "2"]}), taken
    )
    assert other.frame["time"].dtype == pl.Int64
    both = coded.joined([read, other])
    assert both.ids("user").to_list() == ["b", None, "a", "b", "0", "b"]
    assert both.ids("item").to_list() == ["3", "1", "3", "20", "4", "3"]
    fewer = coded.respelt(both, "item", both.texts["item"].replace({"20": "3", "4": None}))
    assert fewer.ids("item").to_list() == ["3", "1", "3", "3", None, "3"]


@pytest.mark.parametrize("rule", ["leave-last", "per-user", "by-time", "cold-items"])
def test_an_import_in_parts(tmp_path, monkeypatch, rule):
    users, items, moments = rows(5, 3000, 60, 70)
    table = tmp_path / "t.csv"
    pl.DataFrame({"user_id": users, "item_id": items, "time": moments}).write_csv(table)
    options = ImportOptions(table, split=rule)
    whole = imports.import_data(options).dataset
    in_parts(monkeypatch)
    assert imports.import_data(options).dataset.fingerprint == whole.fingerprint
