"""Runs that are judged on cold items alone: trained, evaluated, gone on with, and refused."""

import json

import numpy as np
import pytest
from worlds import MANY_COLD, Place, cold_world, refused, untimed

import mmssl_jax as mj
from mmssl_jax.training import results

FLAGS = (
    "--config.model.name=vbpr",
    "--config.data.modalities=image",
    "--config.evaluation.candidates=cold",
)
WORDS = "scored on cold items alone"


def spoken(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(name="place")
def _place(tmp_path) -> Place:
    return Place(tmp_path, cold_world(0.5, MANY_COLD))


@pytest.fixture(name="trained")
def _trained(place, capsys) -> Place:
    place.train(*FLAGS)
    assert WORDS in spoken(capsys.readouterr().out)
    return place


def recall(run: mj.Run, split: str) -> float:
    """Recall@20 among the cold items, from the run's vectors."""
    vectors, truth = run.vectors(), getattr(run.data, split).toarray() > 0
    found = []
    for user, right in zip(vectors.users, truth[:, MANY_COLD], strict=True):
        best = np.argsort(-(vectors.items[MANY_COLD] @ user))[:20]
        found += [right[best].sum() / right.sum()] if right.any() else []
    return float(np.mean(found))


@pytest.mark.filterwarnings("ignore:.* have no training pair", "ignore:.* are in no split")
def test_validation_test_and_evaluate_rank_cold_items_alone(trained, capsys):
    stored, run = trained.results, mj.open_run(trained.run)
    assert stored["ranked"] == results.COLD_RANKED
    assert stored["test/unscored_pairs"] == stored["val/unscored_pairs"] == 0
    for split in ("val", "test"):
        assert stored[f"{split}/recall@20"] == pytest.approx(recall(run, split))
    of_epochs = {row["epoch"]: row["val/recall@20"] for row in trained.metrics}
    assert of_epochs[stored["best_epoch"]] == max(of_epochs.values())
    assert max(of_epochs.values()) == pytest.approx(stored["val/recall@20"])
    capsys.readouterr()
    trained.evaluate(f"--json={trained.run / 'scores.json'}")
    assert spoken(capsys.readouterr().out).count(WORDS) == 2
    scores = json.loads((trained.run / "scores.json").read_text())
    shared = untimed(stored).keys() & scores.keys()
    assert {"ranked", "test/recall@20"} <= shared
    assert {name: scores[name] for name in shared} == {name: stored[name] for name in shared}
    assert scores["test/recall@20/items_cold"] == pytest.approx(scores["test/recall@20"])
    assert run.evaluate()["recall@20"] == stored["test/recall@20"]


def test_a_run_that_ranks_all_is_another(trained, capsys):
    line = refused("train", trained.argv(*FLAGS[:2]), capsys)
    assert "its evaluation.candidates is 'cold', not 'all'" in line


def test_the_config_of_an_old_run_means_all_items(place, capsys):
    place.train(*FLAGS[:2])
    path = place.run / "config.json"
    content = json.loads(path.read_text())
    del content["checksum"]
    assert content["config"].pop("evaluation.candidates") == "all"
    path.write_text(json.dumps(content))
    capsys.readouterr()
    place.evaluate(f"--json={place.run / 'scores.json'}")
    assert WORDS not in spoken(capsys.readouterr().out)
    scores = json.loads((place.run / "scores.json").read_text())
    for name in ("ranked", "val/recall@20", "test/recall@20"):
        assert scores[name] == place.results[name]


def test_a_model_without_scores_for_them_is_refused(place, capsys):
    line = refused("train", place.argv(FLAGS[2], "--config.model.name=lightgcn"), capsys)
    count = np.isin(cold_world(0.5, MANY_COLD).val.indices, MANY_COLD).sum()
    assert line.startswith(
        f"all {count} ranked val pairs are of items without a training pair, which model 'lightgcn'"
    )
    assert not place.run.exists()


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("--config.evaluation.cutoffs=(20,30)", "the top 30, but the data set has 24 cold items"),
        ("--config.evaluation.candidates=warm", "is 'warm'; it must be one of all, cold"),
    ],
)
def test_what_cannot_be_ranked_is_refused(place, capsys, flag, problem):
    assert problem in refused("train", place.argv(*FLAGS, flag), capsys)
    assert not place.run.exists()
