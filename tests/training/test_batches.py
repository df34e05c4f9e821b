"""Batches: exact positives and negatives, distinct users, uniform in each."""

from functools import partial

import jax
import numpy as np
import pytest
import scipy.sparse
import scipy.stats

from mmssl_jax.graphs import training_pairs
from mmssl_jax.models.model import Batch
from mmssl_jax.training.batches import _enciphered
from mmssl_jax.training.batches import sample as sampled

TRAIN = np.array(
    [
        [0, 0, 0, 0, 0, 0],  # nothing to learn from
        [1, 1, 1, 1, 1, 1],  # no negative
        [1, 1, 1, 1, 0, 1],  # one negative
        [0, 0, 0, 0, 0, 1],
        [1, 0, 1, 0, 1, 0],
        [0, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 0, 1],
    ]
)
ELIGIBLE = [2, 3, 4, 5, 6]
DRAWS = 4000

sample = jax.jit(sampled, static_argnames="batch_size")


def tables_of(train):
    return training_pairs.pair_tables(scipy.sparse.csr_array(train.astype(np.float32)))


def draw(batch_size, seed=0, by_cipher=False):
    """`DRAWS` batches: users, positives, negatives, [DRAWS, batch_size] each."""
    keys = jax.random.split(jax.random.key(seed), DRAWS)
    one = partial(sampled, batch_size=batch_size, by_cipher=by_cipher)
    draw_all = jax.vmap(one, in_axes=(0, None))
    return Batch(*map(np.asarray, jax.jit(draw_all)(keys, tables_of(TRAIN))))


@pytest.fixture(scope="module")
def batches():
    return draw(batch_size=3)


@pytest.fixture(scope="module")
def batches_by_cipher():
    return draw(batch_size=3, by_cipher=True)


@pytest.fixture(scope="module")
def large_batches():
    return draw(batch_size=8)


def p_uniform(drawn, outcomes):
    """The p-value of a chi-square test for `drawn` being uniform over `outcomes`."""
    assert set(drawn) <= set(outcomes)
    return scipy.stats.chisquare([np.sum(drawn == outcome) for outcome in outcomes]).pvalue


@pytest.mark.parametrize("name", ["batches", "batches_by_cipher", "large_batches"])
def test_positives_are_training_items_and_negatives_never_are(name, request):
    batch = request.getfixturevalue(name)
    assert set(np.unique(batch.users)) == set(ELIGIBLE)
    assert TRAIN[batch.users, batch.positives].all()
    assert not TRAIN[batch.users, batch.negatives].any()
    assert batch.negatives.min() >= 0
    assert batch.negatives.max() < TRAIN.shape[1]


def test_the_users_of_a_batch_are_distinct(batches, batches_by_cipher):
    for batch in (batches, batches_by_cipher):
        assert all(len(set(users)) == 3 for users in batch.users)


def test_a_batch_of_all_users_holds_each_once():
    batch = sample(jax.random.key(0), tables_of(TRAIN), batch_size=len(ELIGIBLE))
    assert sorted(np.asarray(batch.users).tolist()) == ELIGIBLE


@pytest.mark.parametrize("position", range(3))
def test_users_are_uniform_at_every_position(batches, position):
    assert p_uniform(batches.users[:, position], ELIGIBLE) > 1e-3


def test_users_are_drawn_with_replacement_where_there_are_too_few(large_batches):
    users = large_batches.users
    pairs = users[:, 0] * 10 + users[:, 7]  # two positions are independent
    outcomes = [first * 10 + second for first in ELIGIBLE for second in ELIGIBLE]
    assert p_uniform(pairs, outcomes) > 1e-3


@pytest.mark.parametrize("user", ELIGIBLE)
def test_positives_and_negatives_are_uniform_and_independent(batches, user):
    chosen = batches.users == user
    pairs = batches.positives[chosen] * 10 + batches.negatives[chosen]
    positives, negatives = np.flatnonzero(TRAIN[user]), np.flatnonzero(TRAIN[user] == 0)
    assert p_uniform(pairs, [p * 10 + q for p in positives for q in negatives]) > 1e-3


def test_the_key_alone_decides_the_batch():
    def batch(seed):
        return np.stack(sample(jax.random.key(seed), tables_of(TRAIN), batch_size=5))

    np.testing.assert_array_equal(batch(1), batch(1))
    assert (batch(1) != batch(2)).any()


def test_some_rows_have_the_augmented_pairs_of_their_users():
    train = scipy.sparse.csr_array(TRAIN.astype(np.float32))
    augmented = np.array([[2, 4, 0], [4, 1, 3], [6, 2, 4]])  # users 3 and 5 have none
    tables = training_pairs.pair_tables(train, augmented)
    liked, disliked = np.full((2, len(TRAIN)), -1)
    liked[augmented[:, 0]], disliked[augmented[:, 0]] = augmented[:, 1:].T
    for seed in range(20):
        plain, found = (
            Batch(*map(np.asarray, sampled(jax.random.key(seed), tables, 4, augmented_rows=rows)))
            for rows in (0, 2)
        )
        np.testing.assert_array_equal(found.users, plain.users)
        taken = (np.arange(4) < 2) & (liked[found.users] >= 0)
        expected = np.where(taken, liked[found.users], plain.positives)
        np.testing.assert_array_equal(found.positives, expected)
        expected = np.where(taken, disliked[found.users], plain.negatives)
        np.testing.assert_array_equal(found.negatives, expected)


def test_a_cipher_draws_distinct_numbers_evenly_and_in_every_order():
    count, size = 600, 50  # of 10 bits, so that 424 numbers in 1024 go through it again
    draw_one = partial(_enciphered, size=size, count=count)
    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = np.asarray(jax.jit(jax.vmap(draw_one))(keys))
    assert (np.diff(np.sort(drawn, axis=1), axis=1) > 0).all()
    for place in (0, 1, size - 1):
        assert p_uniform(drawn[:, place], range(count)) > 1e-3
    for first, second in ((0, 1), (0, 2), (1, 2), (3, size - 1)):
        apart = (drawn[:, first] - drawn[:, second]) % count
        assert p_uniform(apart, range(1, count)) > 1e-3
    whole = np.asarray(_enciphered(jax.random.key(1), count, count))
    np.testing.assert_array_equal(np.sort(whole), np.arange(count))
