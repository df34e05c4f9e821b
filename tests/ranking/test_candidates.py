"""Ranking among cold items alone: as a plain loop has it, in one program, and refused by words."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array
from worlds import ITEMS, MANY_COLD, USERS, cold_world, world

from mmssl_jax.config import Evaluation
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import candidates, full_ranking

UNKNOWN = 4  # a user without a training pair, whom popularity ranks: all cold items alike
CUTOFFS = (5, 20)


def only_cold(**values) -> Evaluation:
    return Evaluation(cutoffs=CUTOFFS, candidates=candidates.COLD, **values)


def given_scores(scores, users):
    """A `score` whose representation is the matrix of all scores."""
    return scores[users]


@pytest.fixture(name="dataset")
def _dataset() -> Dataset:
    """Half of the truth is cold; the user UNKNOWN has nothing in training."""
    dataset = cold_world(0.5, MANY_COLD)
    train = dataset.train.toarray()
    train[UNKNOWN] = 0
    return dataclasses.replace(dataset, train=csr_array(train))


def naive(dataset: Dataset, split: str, scores: np.ndarray) -> dict[int, dict[str, float]]:
    """User -> recall and NDCG among the cold items, over the users with a cold truth."""
    found = {}
    train, truth = dataset.train.toarray() > 0, getattr(dataset, split).toarray() > 0
    cold = np.flatnonzero(~train.any(axis=0))
    for user in range(dataset.num_users):
        right = truth[user, cold]
        if right.any():
            gain = 1 / np.log2(np.arange(len(cold)) + 2)
            if train[user].any():
                hits = right[np.argsort(-scores[user, cold])].astype(float)
            else:  # the mean over all orders
                hits = np.full(len(cold), right.mean())
            found[user] = {
                f"{name}@{k}": value
                for k in CUTOFFS
                for name, value in {
                    "recall": hits[:k].sum() / right.sum(),
                    "ndcg": (hits * gain)[:k].sum() / gain[: min(k, right.sum())].sum(),
                }.items()
            }
    return found


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("user_block", [4, 100])
def test_cold_items_are_ranked_as_a_plain_loop_ranks_them(dataset, split, user_block):
    order = np.tile(np.arange(ITEMS, dtype=np.float32), (USERS, 1))
    scores = np.random.default_rng(0).permuted(order, axis=1)
    scores[:, : MANY_COLD[0]] += ITEMS  # what is warm would be above all else
    task = candidates.ranking_task(dataset, only_cold(user_block=user_block), split)
    found = full_ranking.evaluate_users(jnp.asarray(scores), task, CUTOFFS, given_scores)
    expected = naive(dataset, split, scores)
    assert task.users.tolist() == list(expected)
    assert len(expected) < np.count_nonzero(np.diff(getattr(dataset, split).indptr))
    for name in ("recall@5", "recall@20", "ndcg@5", "ndcg@20"):
        wanted = [of_user[name] for of_user in expected.values()]
        np.testing.assert_allclose(found[name], wanted, rtol=2e-6, atol=1e-7, err_msg=name)


def test_the_popularity_of_cold_items_tells_none_apart(dataset):
    task = candidates.ranking_task(dataset, only_cold(), "val")
    scores = jnp.asarray(np.random.default_rng(1).normal(size=(USERS, ITEMS)), jnp.float32)
    found = full_ranking.evaluate_users(scores, task, CUTOFFS, given_scores)
    at = task.users.tolist().index(UNKNOWN)
    np.testing.assert_allclose(found["recall@5"][at], 5 / len(MANY_COLD), rtol=1e-6)


def test_it_is_one_program_however_often_it_runs(dataset):
    task = candidates.ranking_task(dataset, only_cold(user_block=11), "val")
    before = full_ranking._located._cache_size()
    for seed in range(3):
        scores = jnp.asarray(np.random.default_rng(seed).normal(size=(USERS, ITEMS)), jnp.float32)
        full_ranking.evaluate(scores, task, CUTOFFS, given_scores)
    assert full_ranking._located._cache_size() == before + 1


def test_by_default_nothing_is_left_out(dataset):
    assert candidates.candidates(dataset, Evaluation()) is None
    truths = candidates.truths(dataset, Evaluation(), ("val", "test"))
    assert truths["val"] is dataset.val
    assert truths["test"] is dataset.test


def test_the_truth_that_counts_is_cold(dataset):
    for split, truth in candidates.truths(dataset, only_cold(), ("val", "test")).items():
        expected = getattr(dataset, split).toarray()
        expected[:, : MANY_COLD[0]] = 0
        np.testing.assert_array_equal(truth.toarray(), expected)
        assert truth.nnz == expected.sum() > 0


def test_too_few_cold_items_and_truth_without_any_are_said():
    with pytest.raises(InputError, match="asks for the top 20, but the data set has 16 cold items"):
        candidates.check_cutoffs(cold_world(), only_cold())
    candidates.check_cutoffs(cold_world(1.0, MANY_COLD), only_cold())
    with pytest.raises(InputError, match="no val pair is of an item without a training pair"):
        candidates.truths(world(), only_cold(), ("val", "test"))
