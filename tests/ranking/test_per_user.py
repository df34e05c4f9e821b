"""Scores user by user: one row each, whose means are the scores of the run."""

import json

import numpy as np
import polars as pl
import pytest
from worlds import ITEMS, USERS, Place, code_of, world

from mmssl_jax.ranking import full_ranking, metrics, per_user


@pytest.fixture(scope="module", name="scored")
def _scored(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("per-user"))
    place.train("--config.model.name=popularity")
    json_, parquet = place.run / "scores.json", place.run / "users.parquet"
    place.evaluate(f"--json={json_}", f"--per-user={parquet}")
    return json.loads(json_.read_text()), pl.read_parquet(parquet)


def test_a_row_for_every_user_of_every_split_whose_means_are_the_scores(scored):
    scores, frame = scored
    assert frame["split"].value_counts().sort("split").rows() == [("test", USERS), ("val", USERS)]
    metric_columns = frame.columns[7:]
    assert len(metric_columns) == 5 * 2  # five metrics at two cutoffs
    for split, rows in frame.group_by("split"):
        for name in metric_columns:
            mean = float(np.mean(rows[name].to_numpy(), dtype=np.float64))
            assert mean == pytest.approx(scores[f"{split[0]}/{name}"], rel=1e-12)


def test_who_a_row_is_of(scored):
    _, frame = scored
    test = frame.filter(pl.col("split") == "test")
    assert test["user"].to_list() == list(range(USERS))
    assert test["user_id"].to_list() == list(map(str, range(USERS)))
    assert set(test["training_pairs"]) == {8}
    assert set(test["truth"]) == {3}
    assert set(test["group"]) == {"6+"}
    assert set(test["quartile"]) == {"q1"}


def test_cold_users_have_no_quartile_and_raw_ids_are_kept():
    dataset = world()
    train = dataset.train.toarray()
    train[2] = train[3, 8:] = 0
    changed = type(dataset)(
        **{field: getattr(dataset, field) for field in dataset.__dataclass_fields__}
        | {"train": type(dataset.train)(train), "user_ids": tuple(f"u {n}" for n in range(USERS))}
    )
    places = metrics.Places(np.array([0]), np.array([1]), np.array([1]), np.array([1, 2]))
    ranking = full_ranking.Ranking(np.array([2, 5]), np.array([ITEMS - 1]), places)
    frame = per_user.table({"test": ranking}, changed, (5,))
    assert frame["user_id"].to_list() == ["u 2", "u 5"]
    assert frame["quartile"].to_list() == [None, "q1"]
    assert frame["group"].to_list() == ["cold", "6+"]
    assert frame["recall@5"].to_list() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("users.csv", "is written as Parquet"), ("config.json/users.parquet", "cannot write")],
)
def test_a_file_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys, name, problem):
    place = Place(tmp_path)  # where there is no run, which would be said otherwise
    (tmp_path / "config.json").write_text("")
    assert code_of(["evaluate", *place.argv(f"--per-user={tmp_path / name}")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert problem in line
