"""Scores by groups against loops, edges of quartiles, and groups of nobody."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from rich.console import Console
from worlds import ITEMS, USERS, Place, world

from mmssl_jax.data import Dataset
from mmssl_jax.ranking import full_ranking, groups

GROUPS = [f"{kind}_{group}" for kind in ("users", "items") for group in groups.GROUPS]


def named(counts: np.ndarray) -> list[tuple[str, str]]:
    """The quartile, or 'cold', and the fixed group of every count; it is in no other group."""
    inside = groups.members(counts)
    found = []
    for index in range(len(counts)):
        of_count = [group for group in groups.GROUPS if inside[group][index]]
        (fixed,) = [group for group in of_count if group in groups.FIXED]
        (quartile,) = [group for group in of_count if group not in groups.FIXED] or [fixed]
        found.append((quartile, fixed))
    return found


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1, 2, 3, 4], ["q1", "q2", "q3", "q4"]),
        ([4, 3, 2, 1, 0], ["q4", "q3", "q2", "q1", "cold"]),
        ([7, 7, 7], ["q1", "q1", "q1"]),
        ([1, 1, 1, 1, 9], ["q1", "q1", "q1", "q1", "q4"]),
        ([1, 2, 2, 2, 2, 2, 2, 3], ["q1", *["q1"] * 6, "q4"]),  # the first edge is 2
        ([5], ["q1"]),
        ([0, 0], ["cold", "cold"]),
        ([], []),
    ],
)
def test_quartiles_never_part_equal_counts(counts, expected):
    assert [quartile for quartile, _ in named(np.array(counts, int))] == expected


def test_distinct_counts_make_quartiles_of_equal_size():
    found = groups.members(np.random.default_rng(0).permutation(np.arange(1, 101)))
    assert [found[group].sum() for group in groups.QUARTILES] == [25] * 4


def test_fixed_groups_have_the_same_bounds_whatever_the_counts():
    expected = ["cold", *["1-2"] * 2, *["3-5"] * 3, *["6+"] * 4]
    for more in (0, 1000):
        counts = np.array([*range(9), 10**6, *[3] * more])
        assert [fixed for _, fixed in named(counts)] == expected + ["3-5"] * more


def skewed(seed: int) -> Dataset:
    """Users and items of very different counts, some of them in no training pair."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.7, 2.0, size=(USERS, 1)) * rng.beta(0.7, 1.0, size=(1, ITEMS))
    chance[:3], chance[:, :4] = 0, 0
    train = rng.random((USERS, ITEMS)) < chance
    test = (rng.random((USERS, ITEMS)) < 0.1) & ~train
    test[5] = False  # a user without truth
    matrices = [scipy.sparse.csr_array(matrix.astype(np.float32)) for matrix in (train, test)]
    return Dataset("d", matrices[0], matrices[1], matrices[1], {}, None, None, False, ())


def naive(dataset: Dataset, scores: np.ndarray) -> dict[str, float | None]:
    """The scores of groups, user by user and item by item."""
    train, test = dataset.train.toarray() > 0, dataset.test.toarray() > 0
    of_user, of_item = named(train.sum(axis=1)), named(train.sum(axis=0))
    found: dict[str, list[float]] = {}
    for user in range(USERS):
        truth = set(np.flatnonzero(test[user]))
        if not truth:
            continue
        order = [item for item in np.argsort(-scores[user]) if not train[user, item]][:20]
        hits = [item in truth for item in order]
        gain = sum(1 / np.log2(rank + 2) for rank, hit in enumerate(hits) if hit)
        ideal = sum(1 / np.log2(rank + 2) for rank in range(min(len(truth), 20)))
        for group in set(of_user[user]):
            found.setdefault(f"recall@20/users_{group}", []).append(sum(hits) / len(truth))
            found.setdefault(f"ndcg@20/users_{group}", []).append(gain / ideal)
        for group in groups.GROUPS:
            part = {item for item in truth if group in of_item[item]}
            if part:
                recall = len(part & set(order)) / len(part)
                found.setdefault(f"recall@20/items_{group}", []).append(recall)
    means = {name: np.mean(values) for name, values in found.items()}
    sizes = {f"users/{k.split('/')[1]}": len(v) for k, v in found.items() if k[:6] == "recall"}
    return means | sizes


@pytest.mark.parametrize("seed", [0, 1])
def test_groups_agree_with_a_loop(seed):
    dataset = skewed(seed)
    scores = np.random.default_rng(seed).normal(size=(USERS, ITEMS)).astype(np.float32)
    task = full_ranking.ranking_task(dataset.train, dataset.test, user_block=7)
    ranking = full_ranking.rank(scores, task, 25, lambda scores, users: scores[users])
    found = groups.scores_of({"test": ranking}, dataset)
    expected = naive(dataset, scores)
    assert {"users/items_cold", "users/users_cold", "users/items_q4"} <= expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[f"test/{name}"], value, rtol=1e-5, err_msg=name)
    others = found.keys() - {f"test/{name}" for name in expected}
    assert all(not found[key] for key in others if key.startswith("test/"))
    for parts in ((*groups.QUARTILES, "cold"), groups.FIXED):
        assert sum(found[f"test/users/users_{group}"] for group in parts) == len(task.users)
    low, high = found["training_pairs/users_q1"]
    assert 1 <= low <= high <= found["training_pairs/users_q2"][0]
    assert found["training_pairs/items_cold"] == [0, 0]
    assert found["training_pairs/items_1-2"] == [1, 2]


def test_groups_of_nobody_are_none_and_a_dash():
    dataset = world()  # every user has eight training pairs
    task = full_ranking.ranking_task(dataset.train, dataset.test, user_block=8)
    scores = np.zeros((USERS, ITEMS), np.float32)
    ranking = full_ranking.rank(scores, task, 20, lambda scores, users: scores[users])
    found = groups.scores_of({"test": ranking}, dataset)
    assert found["training_pairs/users_q1"] == [8, 8]
    assert found["test/users/users_q1"] == USERS
    for group in ("users_q2", "users_q3", "users_q4", "users_cold", "users_1-2"):
        assert found[f"training_pairs/{group}"] is None
        assert found[f"test/users/{group}"] == 0
        assert found[f"test/recall@20/{group}"] is found[f"test/ndcg@20/{group}"] is None
    console = Console(width=120, record=True, file=SimpleNamespace(write=len, flush=int))
    console.print(groups.table(found, "title"))
    lines = {tuple(line.strip(" │").split()) for line in console.export_text().splitlines()}
    assert ("users", "q4", "│", "-", "│", "0", "│", "-", "│", "-") in lines
    json.dumps(found, allow_nan=False)


def test_evaluate_prints_the_groups_and_writes_them(tmp_path, capsys):
    place = Place(tmp_path)
    place.train("--config.train.epochs=1")
    capsys.readouterr()
    place.evaluate(f"--json={tmp_path / 'scores.json'}")
    printed = capsys.readouterr().out
    assert "At 20, by groups of users and of items" in " ".join(printed.split())
    assert all(group.replace("_", " ") in printed for group in GROUPS)
    scores = json.loads((tmp_path / "scores.json").read_text())
    for split in ("val", "test"):
        assert all(f"{split}/recall@20/{group}" in scores for group in GROUPS)
        in_quartile = scores[f"{split}/recall@20/users_q1"]  # all users are in it
        np.testing.assert_allclose(in_quartile, scores[f"{split}/recall@20"], rtol=1e-12)
