"""The training pairs of some users, and the most that so many users can have."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from mmssl_jax.errors import InputError
from mmssl_jax.graphs import training_pairs

TRAIN = np.array(
    [
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 0, 1],
        [0, 0, 0, 0, 0, 1],
        [1, 0, 1, 0, 1, 0],
        [0, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 1],
    ]
)

training_pairs_of = jax.jit(training_pairs.training_pairs_of, static_argnames="max_pairs")


def tables_of(train):
    return training_pairs.pair_tables(scipy.sparse.csr_array(train.astype(np.float32)))


def test_nobody_to_sample_is_an_input_error():
    with pytest.raises(InputError, match="nothing to learn"):
        tables_of(TRAIN[:2])


@pytest.mark.parametrize(
    ("users", "length"),
    [
        ([4, 2], 8),
        ([4, 4, 4], 9),
        ([0], 1),
        ([0, 0, 6], 9),
        ([1, 0, 3, 0], 9),
        ([0, 1, 2, 3, 4, 5, 6], 19),
    ],
)
def test_training_pairs_of_are_the_rows_of_the_training_matrix(users, length):
    expected = np.argwhere(TRAIN[users])
    pairs = training_pairs_of(tables_of(TRAIN), jnp.array(users, jnp.int32), max_pairs=length)
    actual = np.stack([pairs.rows, pairs.items], axis=1)
    np.testing.assert_array_equal(actual[: len(expected)], expected)
    np.testing.assert_array_equal(pairs.rows[len(expected) :], len(users))
    np.testing.assert_array_equal(pairs.valid, np.arange(length) < len(expected))
    mask = training_pairs.training_mask(pairs, len(users), TRAIN.shape[1])
    np.testing.assert_array_equal(mask, TRAIN[users] > 0)


@pytest.mark.parametrize("distinct", [True, False])
@pytest.mark.parametrize("users", [1, 2, 4])
def test_max_training_pairs_is_the_least_upper_bound(users, distinct):
    train = scipy.sparse.csr_array(TRAIN)
    combine = itertools.combinations if distinct else itertools.combinations_with_replacement
    most = max(sum(chosen) for chosen in combine(TRAIN.sum(axis=1), users))
    assert training_pairs.max_training_pairs(train, users, distinct) == most


def test_max_training_pairs_is_at_least_one():
    assert training_pairs.max_training_pairs(scipy.sparse.csr_array(np.zeros((2, 3))), 2) == 1


@pytest.mark.parametrize("chunk", [3, 1024])
def test_row_sums_are_those_of_the_matrix(chunk, monkeypatch):
    monkeypatch.setattr(training_pairs, "_CHUNK", chunk)
    rng = np.random.default_rng(8)
    matrix = scipy.sparse.csr_array((rng.random((20, 11)) < 0.4).astype(np.float32))
    tables = training_pairs.pair_tables(matrix)
    users, x = np.array([4, 0, 19, 7]), rng.normal(size=(11, 3)).astype(np.float32)
    most = training_pairs.max_training_pairs(matrix, 4)
    pairs = training_pairs.training_pairs_of(tables, jnp.asarray(users, jnp.int32), most)
    sums, pull = jax.vjp(lambda x: training_pairs.row_sums(x, pairs, 4), jnp.asarray(x))
    np.testing.assert_allclose(sums, matrix[users] @ x, rtol=1e-5, atol=1e-6)
    slope = rng.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(
        pull(jnp.asarray(slope))[0], matrix[users].T @ slope, rtol=1e-5, atol=1e-6
    )
