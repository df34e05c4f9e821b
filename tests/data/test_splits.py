"""The split rules: every pair in one split, the right number held out, by the seed alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmssl_jax.data import splits
from mmssl_jax.data.dataset import SPLITS

TRAIN, VAL, TEST = range(3)


@st.composite
def degrees(draw):
    """How many pairs each user has; some have none."""
    return np.array(draw(st.lists(st.integers(0, 40), min_size=1, max_size=12)))


def users_of(degrees):
    return np.repeat(np.arange(len(degrees)), degrees)


def count(users, labels, label, num_users):
    return np.bincount(users[labels == label], minlength=num_users)


@given(degrees(), st.integers(0, 5))
def test_per_user_counts(degrees, seed):
    users = users_of(degrees)
    labels = splits.per_user(users, seed)
    held = [0 if n < 3 else 2 if n < 10 else int(n * 0.2) for n in degrees]  # as LATTICE writes it
    test = [n // 2 for n in held]
    assert count(users, labels, TEST, len(degrees)).tolist() == test
    assert count(users, labels, VAL, len(degrees)).tolist() == np.subtract(held, test).tolist()
    assert count(users, labels, TRAIN, len(degrees)).tolist() == (degrees - held).tolist()


def test_per_user_is_seeded():
    users = users_of(np.full(20, 30))
    np.testing.assert_array_equal(splits.per_user(users, 3), splits.per_user(users, 3))
    assert (splits.per_user(users, 3) != splits.per_user(users, 4)).any()


def test_per_user_holds_out_every_place_alike():
    users = users_of(np.full(4000, 5))
    held = (splits.per_user(users, 0) != TRAIN).reshape(-1, 5).mean(axis=0)
    np.testing.assert_allclose(held, 2 / 5, atol=0.05)  # five standard deviations are 0.04


@given(degrees(), st.integers(0, 99))
def test_leave_last(degrees, seed):
    users = users_of(degrees)
    rng = np.random.default_rng(seed)
    times = rng.integers(0, 4, len(users))  # many at the same time
    rows = rng.permutation(len(users))
    labels = splits.leave_last(users, times, rows)
    for user in range(len(degrees)):
        own = np.flatnonzero(users == user)
        in_order = sorted(own, key=lambda pair: (times[pair], rows[pair]))
        expected = [TRAIN] * len(own) if len(own) < 3 else [TRAIN] * (len(own) - 2) + [VAL, TEST]
        assert labels[in_order].tolist() == expected


def test_leave_last_by_times_that_are_no_integers():
    labels = splits.leave_last(np.zeros(3, int), np.array([1.5, -2.0, 1.25]), np.arange(3))
    assert labels.tolist() == [TEST, TRAIN, VAL]


@given(st.integers(1, 60), st.integers(0, 5))
def test_cold_items(num_items, seed):
    items = np.repeat(np.arange(num_items), 3)
    labels = splits.cold_items(items, num_items, seed).reshape(-1, 3)
    assert (labels == labels[:, :1]).all()  # all pairs of an item are in one split
    cold = num_items // 5
    assert np.bincount(labels[:, 0], minlength=3).tolist() == [
        num_items - cold,
        cold - cold // 2,
        cold // 2,
    ]


def test_cold_items_are_seeded():
    items = np.arange(100)
    first = splits.cold_items(items, 100, 1)
    np.testing.assert_array_equal(first, splits.cold_items(items, 100, 1))
    assert (first != splits.cold_items(items, 100, 2)).any()


@pytest.mark.parametrize("rule", ["per_user", "leave_last", "cold_items"])
def test_splits_are_disjoint_and_together_everything(rule):
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((30, 50)) < 0.3)
    labels = {
        "per_user": lambda: splits.per_user(users, 0),
        "leave_last": lambda: splits.leave_last(
            users, rng.random(len(users)), np.arange(len(users))
        ),
        "cold_items": lambda: splits.cold_items(items, 50, 0),
    }[rule]()
    parts = splits.by_label(users, items, labels)
    assert tuple(parts) == SPLITS
    pairs = {split: set(zip(*part, strict=True)) for split, part in parts.items()}
    assert all(pairs.values())
    assert sum(map(len, pairs.values())) == len(users)
    assert set.union(*pairs.values()) == set(zip(users, items, strict=True))
