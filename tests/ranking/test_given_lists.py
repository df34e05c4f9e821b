"""Lists of other systems: the scores that trec_eval gives, and all that is left out counted."""

import itertools

import jax
import numpy as np
import pytest
from ir_measures import P, R, ScoredDoc, Success, iter_calc, nDCG
from ir_measures import Qrel as Truth
from worlds import MANY_COLD, cold_world, world

from mmssl_jax.config import Evaluation
from mmssl_jax.data.dataset import assemble
from mmssl_jax.data.tables.ranked_lists import Lists
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import given_lists

CUTOFFS = (3, 20)
EVALUATION = Evaluation(cutoffs=CUTOFFS)
ITEMS, TRUTHS, LENGTHS = 90, (1, 2, 5, 30), (1, 7, 20, 50)
THEIRS = {"recall": R, "precision": P, "ndcg": nDCG, "hit_rate": Success}


@pytest.fixture(autouse=True, scope="module")
def _compile_fast():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def trec(dataset) -> list[Truth]:
    """The test pairs as trec_eval takes them."""
    pairs = zip(*dataset.test.nonzero(), strict=True)
    return [Truth(f"u{user}", f"i{item}", 1) for user, item in pairs]


def lists_of(rows: list[tuple[str, str, float]], by: str = "score") -> Lists:
    """Lists of (user, item, worth)."""
    users, items, worth = zip(*rows, strict=True)
    user_ids, item_ids = sorted(set(users)), sorted(set(items))
    return Lists(
        np.array([user_ids.index(user) for user in users]),
        np.array([item_ids.index(item) for item in items]),
        np.array(worth, float),
        user_ids,
        item_ids,
        by,
        0,
        [],
    )


def mixed(seed: int, lengths: tuple[int, ...] = LENGTHS):
    """A data set with raw ids, and lists: every size of a truth with every length of a list.

    The truth is within the list or not, as it happens.
    """
    rng = np.random.default_rng(seed)
    pairs = {"train": [], "val": [], "test": []}
    rows = []
    for user, (truth, length) in enumerate(itertools.product(TRUTHS, lengths)):
        order = rng.permutation(ITEMS)
        pairs["train"] += [(user, item) for item in order[:2]]
        pairs["val"].append((user, order[2]))
        pairs["test"] += [(user, item) for item in order[3 : 3 + truth]]
        listed = rng.permutation(order[2:])[:length]
        rows += [(f"u{user}", f"i{item}", -float(place)) for place, item in enumerate(listed)]
    splits = {split: tuple(np.array(found).T) for split, found in pairs.items()}
    users = len(TRUTHS) * len(lengths)
    ids = {"user_ids": tuple(f"u{user}" for user in range(users))}
    ids["item_ids"] = tuple(f"i{item}" for item in range(ITEMS))
    return assemble("mixed", "mixed", (users, ITEMS), splits, {}, **ids), rows


def test_scores_are_those_of_trec_eval():
    dataset, rows = mixed(seed=1)
    scored = given_lists.score(lists_of(rows), dataset, "test", EVALUATION)
    assert set(scored.per_user["truth"]) == set(TRUTHS)
    truth, run = trec(dataset), [ScoredDoc(*row) for row in rows]
    frame = scored.per_user
    for (ours, measure), cutoff in itertools.product(THEIRS.items(), CUTOFFS):
        found = {row.query_id: row.value for row in iter_calc([measure @ cutoff], truth, run)}
        wanted = [found[user] for user in frame["user_id"]]
        assert len(set(wanted)) > 1
        name = f"{ours}@{cutoff}"
        np.testing.assert_allclose(frame[name].to_numpy(), wanted, rtol=0, atol=1e-12)
        np.testing.assert_allclose(scored.scores[f"test/{name}"], np.mean(wanted), atol=1e-12)


def test_ties_are_the_mean_over_the_orders_that_trec_eval_gives():
    dataset, rows = mixed(2, (5, 5, 5, 5))
    tied = [(user, item, -0.0 if worth > -4 else worth) for user, item, worth in rows]
    scored = given_lists.score(lists_of(tied), dataset, "test", EVALUATION)
    assert scored.scores["test/users_with_ties"] == 16
    truth = trec(dataset)
    for (ours, measure), cutoff in itertools.product(THEIRS.items(), CUTOFFS):
        orders = []
        for order in itertools.permutations(range(4)):  # of the four items with the same score
            run = [
                ScoredDoc(user, item, float(order[int(-worth)]) if worth > -4 else -1.0)
                for user, item, worth in rows
            ]
            found = {row.query_id: row.value for row in iter_calc([measure @ cutoff], truth, run)}
            orders.append([found[user] for user in scored.per_user["user_id"]])
        values = scored.per_user[f"{ours}@{cutoff}"].to_numpy()
        np.testing.assert_allclose(values, np.mean(orders, axis=0), rtol=0, atol=1e-12)


def test_what_is_left_out_is_counted_and_the_rest_moves_up():
    dataset, _ = mixed(3)
    right = [f"i{item}" for item in dataset.test[[4]].indices]  # of the fifth user, who has two
    trained = f"i{dataset.train[[4]].indices[0]}"
    wrong = next(f"i{item}" for item in range(ITEMS) if not has(dataset, 4, item))
    rows = [
        ("u4", trained, 9.0),
        ("u4", "no such item", 8.0),
        ("u4", right[0], 7.0),
        ("u4", right[0], 1.0),
        ("u4", wrong, 6.0),
        ("u4", right[1], 5.0),
        ("nobody", right[0], 5.0),
        ("u1", "no such item", 1.0),
        ("u2", wrong, 1.0),
    ]
    scored = given_lists.score(lists_of(rows), dataset, "test", EVALUATION)
    counts = {name: scored.scores[f"test/{name}"] for name in given_lists.LEFT_OUT}
    assert counts == {
        "rows_unread": 0,
        "rows_of_unknown_users": 1,
        "rows_of_other_users": 0,
        "rows_of_unknown_items": 2,
        "rows_of_training_pairs": 1,
        "rows_of_other_items": 0,
        "rows_repeated": 1,
    }
    assert scored.scores["test/users_without_list"] == 14
    assert scored.scores["test/users_with_short_list"] == 2
    assert scored.scores["test/users_with_ties"] == 0
    first = scored.per_user.row(4, named=True)
    dcg = 1 + 1 / np.log2(4)  # at the first and the third place
    assert first["ndcg@3"] == pytest.approx(dcg / (1 + 1 / np.log2(3)), abs=1e-15)
    assert scored.per_user["recall@20"].to_list() == [float(user == 4) for user in range(16)]
    assert scored.scores["test/recall@20"] == 1 / 16
    assert "14 users of this split without a list, counted as 0" in scored.said
    assert "1 row of users who are not in the data" in scored.said


def has(dataset, user: int, item: int) -> bool:
    return any(bool(getattr(dataset, split)[user, item]) for split in ("train", "val", "test"))


def test_lists_without_validation_items_are_better_off_and_that_is_said():
    dataset, rows = mixed(4, (80, 80, 80, 80))
    held = [(f"u{user}", f"i{item}") for user, item in zip(*dataset.val.nonzero(), strict=True)]
    without = [row for row in rows if row[:2] not in held]
    rows = without + [(*pair, 1.0) for pair in held]  # on top of each list
    whole = given_lists.score(lists_of(rows), dataset, "test", EVALUATION)
    assert given_lists.WITHOUT_VAL not in whole.said
    scored = given_lists.score(lists_of(without), dataset, "test", EVALUATION)
    assert scored.said[-1] == given_lists.WITHOUT_VAL
    assert scored.scores["test/ndcg@20"] > whole.scores["test/ndcg@20"]
    on_val = given_lists.score(lists_of(rows), dataset, "val", EVALUATION)
    assert given_lists.WITHOUT_VAL not in on_val.said


def test_cold_items_alone_are_ranked_where_the_config_says_so():
    dataset = cold_world(0.5, MANY_COLD)
    rows = [(str(user), str(item), -item) for user in range(30) for item in range(40)]
    evaluation = Evaluation(cutoffs=CUTOFFS, candidates="cold")
    scored = given_lists.score(lists_of(rows), dataset, "test", evaluation)
    users = np.unique(dataset.test.tocoo().row[np.isin(dataset.test.indices, MANY_COLD)])
    assert scored.per_user["user"].to_list() == users.tolist()
    warm = len(users) * (40 - len(MANY_COLD))
    trained = int(np.diff(dataset.train.indptr)[users].sum())
    assert scored.scores["test/rows_of_other_items"] == warm - trained
    assert scored.scores["test/rows_of_training_pairs"] == trained


def test_nothing_left_to_score_is_an_error_that_says_why():
    rows = [("nobody", "0", 1.0), ("nobody", "1", 1.0)]
    with pytest.raises(InputError, match="no row is left to be scored: 2 rows of users who are"):
        given_lists.score(lists_of(rows), world(), "test", EVALUATION)


def test_a_pair_that_returns_is_ranked_where_pairs_do():
    """Nothing is masked then, and there is no training pair to leave out."""
    dataset = world()
    changed = {field: getattr(dataset, field) for field in dataset.__dataclass_fields__}
    changed |= {"repeats": True}
    rows = [("0", str(dataset.train.indices[0]), 1.0)]
    scored = given_lists.score(
        lists_of(rows), type(dataset)(**changed), "test", Evaluation(cutoffs=CUTOFFS)
    )
    assert scored.scores["test/rows_of_training_pairs"] == 0
