"""Pairs that return in a later split: an error, or dropped, or kept and ranked."""

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from worlds import Place, mmssl, world

from mmssl_jax.data import load
from mmssl_jax.data.checks.findings import DROP, ERROR, KEEP, REPEATS, Findings, SplitRules
from mmssl_jax.data.dataset import SPLITS, assemble
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import full_ranking
from mmssl_jax.training import results


def pairs_of(matrix) -> set[tuple[int, int]]:
    return set(zip(*(part.tolist() for part in matrix.tocoo().coords), strict=True))


def split(users_items) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.array(sorted(users_items), int).reshape(-1, 2).T)


TRAIN = {(user, item) for user in range(6) for item in range(user, user + 5)}
VAL = {(0, 0), (1, 20), (2, 20)}  # the first is a training pair
TEST = {(0, 0), (1, 20), (3, 3), (4, 21)}  # three are of an earlier split


def made(rules: SplitRules = SplitRules(), *, val=VAL, test=TEST, collect=False, **options):  # noqa: B008
    given = {"train": split(TRAIN), "val": split(val), "test": split(test)}
    findings = Findings(collect, rules)
    return assemble("here", "here", (6, 25), given, {}, findings=findings, **options), findings


def test_an_error_names_the_options_that_allow_them():
    with pytest.raises(InputError, match=r"1 pair is in both train and val.*user 0, item 0") as one:
        made()
    for option in ("--repeats", "--config.data.repeats", "'drop'", "'keep'"):
        assert option in str(one.value)
    _, findings = made(collect=True)
    assert [message.partition(", the")[0] for message in findings.messages(ERROR)] == [
        "here: 1 pair is in both train and val",
        "here: 2 pairs are in both train and test",
        "here: 2 pairs are in both val and test",
    ]


def test_dropped_pairs_leave_the_later_splits():
    data, _ = made(SplitRules(DROP))
    assert pairs_of(data.train) == TRAIN
    assert pairs_of(data.val) == {(1, 20), (2, 20)}
    assert pairs_of(data.test) == {(4, 21)}
    assert not data.repeats
    assert data.unranked is data.train
    (said,) = (warning for warning in data.warnings if "return" in warning)
    assert "1 pair of train returns in val, 2 pairs of train return in test, 1 pair of val" in said
    assert "left out there" in said


def test_kept_pairs_are_ranked_against_every_item():
    data, _ = made(SplitRules(KEEP))
    assert [pairs_of(getattr(data, split)) for split in SPLITS] == [TRAIN, VAL, TEST]
    assert data.repeats
    assert data.unranked.shape == data.train.shape
    assert data.unranked.nnz == 0
    (said,) = (warning for warning in data.warnings if "return" in warning)
    assert "EVERY item is ranked" in said
    scores = -np.arange(25, dtype=np.float32) * np.ones((6, 1), np.float32)
    task = full_ranking.ranking_task(data.unranked, data.test, 4)
    ranking = full_ranking.rank(scores, task, 25, lambda all_scores, users: all_scores[users])
    assert ranking.places.above.tolist() == ranking.items.tolist() == [0, 20, 3, 21]
    assert ranking.places.tied.tolist() == [1] * 4


def test_dropping_can_leave_a_split_empty():
    with pytest.raises(InputError, match="the test split is empty"):
        made(SplitRules(DROP), test=[(0, 0)])


def test_validation_that_is_test_stays_so_by_every_rule():
    for rule in REPEATS:
        data, _ = made(SplitRules(rule), val={(1, 20)}, test={(1, 20)})
        assert data.test.nnz == data.val.nnz == 1
        assert any("IS THE SAME AS test" in warning for warning in data.warnings)


def test_the_rule_is_part_of_the_fingerprint():
    apart = {"val": {(1, 20)}, "test": {(4, 21)}}
    error, dropped, kept = (made(SplitRules(rule), **apart)[0] for rule in REPEATS)
    assert error.fingerprint == dropped.fingerprint != kept.fingerprint
    assert error.split_fingerprints == kept.split_fingerprints


PAIRS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=15)


@given(PAIRS, PAIRS, PAIRS)
@example({(0, 0)}, {(0, 0), (1, 0)}, {(1, 0)})  # which dropping makes the same
def test_no_pair_is_lost_or_doubled_by_dropping(train, val, test):
    given_pairs = dict(zip(SPLITS, map(split, (train, val, test)), strict=True))
    findings = Findings(collect=True, rules=SplitRules(DROP))
    data = assemble("x", "x", (5, 6), given_pairs, {}, findings=findings)
    assert pairs_of(data.train) == train
    assert pairs_of(data.val) == val - train
    left = test - train if val == test else test - train - val  # val that is test stays as it is
    assert pairs_of(data.test) == left
    assert not any("pairs are in both" in message for message in findings.messages(ERROR))


# From a folder to the results


def write(folder, **splits):
    folder.mkdir(exist_ok=True)
    for name, pairs in splits.items():
        users = {str(user): [] for user, _ in pairs}
        for user, item in sorted(pairs):
            users[str(user)].append(item)
        (folder / f"{name}.json").write_text(json.dumps(users))
    return folder


def test_a_folder_is_read_by_the_rule_of_the_config(tmp_path):
    folder = write(tmp_path / "f", train=TRAIN, val=VAL, test=TEST)
    with pytest.raises(InputError, match="1 pair is in both"):
        load(str(folder), "none")
    assert load(str(folder), "none", repeats=DROP).test.nnz == 1
    assert load(str(folder), "none", repeats=KEEP).test.nnz == 4


def test_an_import_remembers_the_rule(tmp_path, capsys):
    folder = write(tmp_path / "f", train=TRAIN, val=VAL, test=TEST)
    for rule in (KEEP, DROP):
        to = tmp_path / rule
        mmssl("data", "import", str(folder), "--to", str(to), "--repeats", rule)
        about = json.loads((to / "dataset.json").read_text())
        assert about["source"]["repeats"] == rule
        assert about["repeats"] == (rule == KEEP)
        assert "pairs of train return in test" in capsys.readouterr().out
    assert load(str(tmp_path / KEEP), "none").repeats
    assert load(str(tmp_path / DROP), "none").test.nnz == 1
    # The recorded sums are of what is in the folder, whatever is then dropped.
    assert load(str(tmp_path / KEEP), "none", repeats=DROP).test.nnz == 1
    mmssl("data", "import", str(tmp_path / KEEP), "--to", str(tmp_path / "again"))
    assert load(str(tmp_path / "again"), "none").repeats
    (tmp_path / KEEP / "files.sha256").unlink()
    (tmp_path / KEEP / "dataset.json").write_text('{"repeats": "yes"}')
    with pytest.raises(InputError, match="'repeats' is not a valid bool"):
        load(str(tmp_path / KEEP), "none")


def test_results_say_which_items_were_ranked(tmp_path, capsys):
    data = world()
    splits = {name: pairs_of(getattr(data, name)) for name in SPLITS}
    some = sorted(splits["train"])[::7]
    splits["test"] |= set(some)
    place = Place(tmp_path, data)
    write(place.data, **splits)
    flags = ("--config.model.name=popularity", "--config.train.epochs=1")
    with pytest.raises(InputError, match=f"{len(some)} pairs are in both train and test"):
        place.train(*flags)
    place.train(*flags, "--config.data.repeats=keep")
    assert place.results["ranked"] == results.RANKED[True]
    output = capsys.readouterr().out
    assert "all items, known ones included" in output
    place.evaluate()
    assert "all items, known ones included" in capsys.readouterr().out
    kept = place.results
    other = tmp_path / "other"
    place.train(*flags, "--config.data.repeats=drop", f"--workdir={other}")
    dropped = json.loads((other / "results.json").read_text())
    assert dropped["ranked"] == results.RANKED[False]
    assert dropped["data_fingerprint"] != kept["data_fingerprint"]
    assert "known ones included" not in capsys.readouterr().out
    # By popularity alone what a user has bought is as likely as its rivals, so lists differ.
    assert dropped["test/recall@5"] != kept["test/recall@5"]
    with pytest.raises(InputError, match="it must be one of error, drop, keep"):
        place.train("--config.data.repeats=rank")


def test_nothing_is_masked_for_kept_pairs_in_training_either(tmp_path):
    """Validation of the training loop and the final table must rank by one rule."""
    data = world()
    train = csr_array(data.train)
    place = Place(tmp_path, data)
    splits = {name: pairs_of(getattr(data, name)) for name in SPLITS}
    splits["val"] |= pairs_of(train)
    write(place.data, **splits)
    place.train(
        "--config.model.name=popularity", "--config.train.epochs=1", "--config.data.repeats=keep"
    )
    (line,) = (line for line in place.metrics if "val/recall@20" in line)
    assert line["val/recall@20"] == pytest.approx(place.results["val/recall@20"], abs=1e-6)
    assert line["val/recall@20"] > 0.3
