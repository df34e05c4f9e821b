"""Ranking and its metrics on rankings worked out by hand, and on all orders of ties."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from numpy import log2

from mmssl_jax.errors import InputError
from mmssl_jax.models.model import dot_scores
from mmssl_jax.ranking import fallback, full_ranking


def given_scores(scores, users):
    """A `score` whose representation is the matrix of all scores."""
    return scores[users]


def per_user(scores, masked, truth, cutoffs, user_block=2):
    """Every metric of every user with a truth, from nested lists."""
    matrices = [scipy.sparse.csr_array(np.array(rows, np.float32)) for rows in (masked, truth)]
    task = full_ranking.ranking_task(*matrices, user_block)
    scores = jnp.asarray(scores, jnp.float32)
    return full_ranking.evaluate_users(scores, task, cutoffs, given_scores)


def check(values, **expected):
    """`recall_2=[...]` for 'recall@2'."""
    for name, value in expected.items():
        metric, cutoff = name.rsplit("_", 1)
        np.testing.assert_allclose(values[f"{metric}@{cutoff}"], value, rtol=1e-6, err_msg=name)


def test_hand_worked_rankings():
    values = per_user(
        scores=[
            [9, 8, 7, 6, 5, 4],  # ranks 1 2 3 4 5: truth at the 1st and 3rd place
            [1, 2, 3, 4, 5, 6],  # ranks 5 4 3 2 1 0: truth at the 2nd, and two below the 3rd
            [6, 5, 4, 3, 2, 1],  # nobody's truth: left out
            [1, 1, 1, 9, 8, 7],  # ranks 3 4 5 0 1 2: truth at the 4th
        ],
        masked=[[1, 0, 0, 0, 0, 0], [0] * 6, [0] * 6, [0] * 6],
        truth=[[0, 1, 0, 1, 0, 0], [1, 1, 0, 0, 1, 0], [0] * 6, [1, 0, 0, 0, 0, 0]],
        cutoffs=(1, 3),
    )
    first, second, third = 1 / log2(2), 1 / log2(3), 1 / log2(4)
    check(
        values,
        recall_1=[1 / 2, 0, 0],
        recall_3=[2 / 2, 1 / 3, 0],
        precision_1=[1, 0, 0],
        precision_3=[2 / 3, 1 / 3, 0],
        hit_rate_1=[1, 0, 0],
        hit_rate_3=[1, 1, 0],
        ndcg_1=[1, 0, 0],
        ndcg_3=[(first + third) / (first + second), second / (first + second + third), 0],
        # The ideal has the hits within the largest cutoff on top: two, one and none.
        ndcg_released_1=[1, 0, 0],
        ndcg_released_3=[(first + third) / (first + second), second / first, 0],
    )


def test_the_released_ideal_is_of_the_largest_cutoff_and_cut_at_the_smaller():
    values = per_user([[4, 3, 2, 1]], [[0, 0, 0, 0]], [[0, 1, 1, 1]], cutoffs=(2, 4))
    second, third, fourth = 1 / log2(3), 1 / log2(4), 1 / log2(5)
    check(
        values,
        ndcg_released_2=[second / (1 + second)],
        ndcg_released_4=[(second + third + fourth) / (1 + second + third)],
    )


def test_ties_count_as_the_mean_over_their_orders():
    truth = np.eye(3)
    values = per_user(np.zeros((3, 3)), np.zeros((3, 3)), truth, cutoffs=(1, 2, 3))
    ndcg_2 = (1 + 1 / log2(3)) / 3
    check(values, recall_1=[1 / 3] * 3, recall_2=[2 / 3] * 3, recall_3=[1] * 3, ndcg_2=[ndcg_2] * 3)


def test_a_million_ties_lose_no_digits():
    items = 1_000_000
    truth = scipy.sparse.csr_array((np.ones(1, np.float32), ([0], [7])), shape=(1, items))
    task = full_ranking.ranking_task(scipy.sparse.csr_array((1, items)), truth, 1)
    scores = jnp.zeros((1, items))
    values = full_ranking.evaluate_users(scores, task, (20, 50), given_scores)
    dcg = sum(1 / log2(rank + 2) for rank in range(20)) / items
    check(values, recall_50=[50 / items], hit_rate_20=[20 / items], ndcg_20=[dcg])


def test_a_seen_item_is_never_ranked():
    # Item 0 scores highest but is a training pair; even as truth it can be no hit.
    values = per_user([[9, 1, 2]], [[1, 0, 0]], [[1, 1, 0]], cutoffs=(1, 2, 3))
    check(values, recall_1=[0], recall_2=[1 / 2], recall_3=[1 / 2], precision_3=[1 / 3])


def test_a_list_longer_than_the_unseen_items_has_no_hits_at_its_end():
    values = per_user([[5, 4, 3, 2]] * 2, [[1, 1, 1, 0]] * 2, [[1, 1, 0, 1], [1, 0, 0, 0]], (4,))
    second, third = 1 / log2(3), 1 / log2(4)
    check(
        values,
        recall_4=[1 / 3, 0],
        precision_4=[1 / 4, 0],
        ndcg_4=[1 / (1 + second + third), 0],
        ndcg_released_4=[1, 0],
    )


def by_hand(ranked, truth, cutoffs):
    """All metrics of one ranked list in plain python."""
    hits = [bool(truth[i]) for i in ranked[: max(cutoffs)]]
    gain = [1 / log2(rank + 2) for rank in range(len(truth))]
    result = {}
    for k in cutoffs:
        dcg = sum(gain[rank] for rank, hit in enumerate(hits[:k]) if hit)
        result[f"recall@{k}"] = sum(hits[:k]) / truth.sum()
        result[f"precision@{k}"] = sum(hits[:k]) / k
        result[f"hit_rate@{k}"] = float(any(hits[:k]))
        result[f"ndcg@{k}"] = dcg / sum(gain[: min(truth.sum(), k)])
        result[f"ndcg_released@{k}"] = dcg / sum(gain[: min(sum(hits), k)]) if any(hits) else 0.0
    return result


def over_all_orders(scores, masked, truth, cutoffs):
    """Every metric of one user, averaged over all orders of equal scores."""
    outside = np.flatnonzero(~masked)
    lists = {
        tuple(sorted(order, key=lambda item: -scores[item]))  # stable: ties stay as permuted
        for order in itertools.permutations(outside.tolist())
    }
    found = [by_hand(ranked, truth, cutoffs) for ranked in lists]
    return {name: np.mean([each[name] for each in found]) for name in found[0]}


def assert_close_for_all(values, expected):
    assert values.keys() == expected[0].keys()
    for name, value in values.items():
        wanted = [of_user[name] for of_user in expected]
        np.testing.assert_allclose(value, wanted, rtol=2e-6, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("user_block", [1, 4, 100])
def test_a_random_problem_agrees_with_a_plain_loop(user_block):
    rng = np.random.default_rng(0)
    scores = rng.permuted(np.tile(np.arange(12), (11, 1)), axis=1)  # no two are equal
    kind = rng.integers(0, 5, (11, 12))
    masked, truth = kind < 2, kind == 2
    masked[3], truth[3], truth[8] = True, False, False
    masked[3, 7], truth[3, 7] = False, True
    cutoffs = (1, 5, 12)
    users = np.flatnonzero(truth.sum(axis=1))
    ranked = [[i for i in np.argsort(-scores[u]) if not masked[u, i]] for u in users]
    expected = [by_hand(*each, cutoffs) for each in zip(ranked, truth[users], strict=True)]
    assert len(expected) < 11
    assert_close_for_all(per_user(scores, masked, truth, cutoffs, user_block), expected)


@pytest.mark.parametrize("levels", [1, 2, 3, 4])
@pytest.mark.parametrize("cutoffs", [(1, 2, 4), (3, 6), (2,)])
def test_ties_agree_with_the_mean_over_all_orders(levels, cutoffs):
    rng = np.random.default_rng(levels)
    scores = rng.integers(0, levels, (40, 6)).astype(np.float32)
    kind = rng.integers(0, 6, (40, 6))
    masked, truth = kind < 1, kind > 3
    users = np.flatnonzero(truth.sum(axis=1))
    expected = [over_all_orders(scores[u], masked[u], truth[u], cutoffs) for u in users]
    assert_close_for_all(per_user(scores, masked, truth, cutoffs, 16), expected)


@pytest.mark.parametrize("seed", range(3))
def test_how_users_and_items_are_numbered_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, (30, 40)).astype(np.float32)
    kind = rng.integers(0, 5, (30, 40))
    masked, truth = kind < 1, kind == 2
    users, items = rng.permutation(30), rng.permutation(40)
    one = per_user(scores, masked, truth, (5, 20), 7)
    again = [matrix[users][:, items] for matrix in (scores, masked, truth)]
    other = per_user(*again, (5, 20), 7)
    for name, value in one.items():
        np.testing.assert_allclose(other[name], value[users], rtol=2e-6, atol=1e-7, err_msg=name)


def test_users_whom_training_does_not_know_are_ranked_by_popularity():
    train = np.zeros((4, 5))
    train[0, [0, 1]], train[1, [1, 2]] = 1, 1  # item 1 is had twice; users 2 and 3 have nothing
    truth = np.zeros((4, 5))
    truth[[0, 2, 3], [2, 1, 4]] = 1
    train, truth = map(scipy.sparse.csr_array, (train, truth))
    scores = jnp.asarray([[0.0, 0, 1, 0, 0]] * 3 + [[0.0, 0, 0, 0, 9]])
    task = full_ranking.ranking_task(train, truth, 2, fallback.fallback(train))
    values = full_ranking.evaluate_users(scores, task, (1, 4), given_scores)
    check(values, recall_1=[1, 1, 0], recall_4=[1, 1, 1 / 2])  # items 3 and 4 tie for the 4th
    assert fallback.counts(train, {"test": truth}) == {"test/unknown_users": 2}


def test_evaluate_is_the_mean_over_the_users_with_a_truth():
    embeddings = jnp.eye(4), jnp.asarray(np.random.default_rng(0).normal(size=(6, 4)), jnp.float32)
    masked = scipy.sparse.csr_array((4, 6), dtype=np.float32)
    truth = scipy.sparse.csr_array(
        np.eye(4, 6, dtype=np.float32)[[0, 1, 2, 0]] * [[1], [1], [0], [1]]
    )
    task = full_ranking.ranking_task(masked, truth, 3)
    users = full_ranking.evaluate_users(embeddings, task, (1, 3), dot_scores)
    means = full_ranking.evaluate(embeddings, task, (1, 3), dot_scores)
    assert means == pytest.approx({name: np.mean(value) for name, value in users.items()})
    # dot_scores: the first user's scores are the first column of the item embeddings.
    best = np.argsort(-embeddings[1][:, 0])[:3]
    assert users["recall@3"][0] == float(0 in best)
    assert len(users["recall@3"]) == 3


def test_a_cutoff_beyond_the_items_is_an_input_error():
    with pytest.raises(InputError, match="top 4"):
        per_user(np.zeros((1, 3)), np.zeros((1, 3)), np.ones((1, 3)), cutoffs=(2, 4))
