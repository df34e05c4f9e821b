"""The public API: a notebook's job in five lines, and what it refuses."""

import doctest
import json
import subprocess
import sys

import jax
import numpy as np
import polars as pl
import pytest
from worlds import ITEMS, USERS, Place, world

import mmssl_jax as mj
from mmssl_jax.api import data as public
from mmssl_jax.training import compilation_cache


@pytest.fixture(name="place")
def _place(tmp_path, monkeypatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


def small(model: str = "lightgcn") -> mj.Config:
    config = mj.Config()
    config.model.name, config.model.embedding_dim = model, 8
    config.train.batch_size, config.train.epochs = 16, 2
    config.evaluation.cutoffs = (5, 20)
    return config


def test_the_package_is_imported_at_once_and_loads_jax_when_needed():
    script = "import sys, mmssl_jax as mj; print('jax' in sys.modules); mj.train; print(mj.__all__)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    first, names = done.stdout.splitlines()
    assert first == "False"
    assert names == str(mj.__all__)
    with pytest.raises(AttributeError, match="no public name 'trane'"):
        _ = mj.trane


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ["load_data", "import_table", "load_config"])
def test_the_examples_in_docstrings(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    (example,) = finder.find(getattr(public, name), name, globs=vars(public).copy())
    assert example.examples
    runner.run(example)
    assert runner.summarize(verbose=False).failed == 0


def test_a_run_from_a_folder(place):
    data = mj.load_data(place.data, modalities="none")
    run = mj.train(data, config=small(), workdir="run", seed=3)
    assert (run.config.model.name, run.config.train.seed) == ("lightgcn", 3)
    stored = json.loads((place.run / "results.json").read_text())
    assert run.best_epoch == stored["best_epoch"]
    scores = run.evaluate()
    assert scores == {
        name.removeprefix("test/"): value
        for name, value in stored.items()
        if name.startswith("test/") and "@" in name
    }
    assert run.evaluate("val")["recall@20"] == stored["val/recall@20"]
    again = mj.open_run("run")
    assert again.evaluate() == scores
    place.evaluate("--config.data.path=" + str(place.data))  # the command reads the run as well
    with pytest.raises(mj.InputError, match="split is 'train'"):
        run.evaluate("train")


def test_lists_are_tables_with_raw_ids(place):
    run = mj.train(world(), config=small(), workdir="run")
    lists = run.recommend(users=["3", "7"], top=4)
    assert lists.columns == ["user_id", "rank", "item_id", "title", "score", "by_popularity"]
    assert lists["user_id"].to_list() == ["3"] * 4 + ["7"] * 4
    assert lists["rank"].to_list() == [1, 2, 3, 4] * 2
    assert not lists["by_popularity"].any()
    few = run.recommend(users=3, only=["1", "2"], exclude="2", exclude_known="none")
    assert few["item_id"].to_list() == ["1"]
    with pytest.raises(mj.InputError, match="no raw ids"):
        run.recommend(users="u12")
    few = run.recommend(users=3, where="id IN ('1', '2') AND training_pairs >= 0")
    assert set(few["item_id"]) <= {"1", "2"}


def test_a_model_with_a_vector_for_each_user_takes_no_history(place):
    run = mj.train(world(), config=small("mf"), workdir="run")
    with pytest.raises(mj.InputError, match="ease, popularity, hybrid and lightgcn have"):
        run.recommend(history=["1"])


def test_a_new_user_by_a_model_that_can(place):
    run = mj.train(world(), config=small("ease"), workdir="run")
    lists = run.recommend(history=["1", "3"], top=3)
    assert lists["user_id"].null_count() == lists.height == 3
    with pytest.raises(mj.InputError, match="'ease' has no vectors"):
        run.vectors()


def test_vectors_give_the_scores(place):
    run = mj.train(world(), config=small(), workdir="run")
    vectors = run.vectors()
    assert vectors.users.shape == (USERS, 8)
    assert vectors.items.shape == (ITEMS, 8)
    assert vectors.item_ids[5] == "5"
    best = run.recommend(users=4, top=1, exclude_known="none")
    scores = vectors.items @ vectors.users[4]
    np.testing.assert_allclose(best["score"][0], scores.max(), rtol=1e-5)


def test_data_in_memory_are_given_again(place):
    data = world()
    run = mj.train(data, config=small("popularity"), workdir="run")
    with pytest.raises(mj.InputError, match="data in memory"):
        mj.open_run("run")
    assert mj.open_run("run", data=data).evaluate() == run.evaluate()
    with pytest.raises(mj.InputError, match="another data set"):
        mj.open_run("run", data=world(seed=1))


def test_a_table_is_imported_in_memory_or_into_a_folder(place):
    rng = np.random.default_rng(0)
    pairs = [(f"u{user}", f"i{item}") for user in range(40) for item in rng.permutation(30)[:8]]
    table = pl.DataFrame(pairs, schema=["user", "item"], orient="row")
    table.write_csv("ratings.csv")
    in_memory = mj.import_table("ratings.csv", split="per-user", k_core=0)
    kept = mj.import_table("ratings.csv", to="kept", split="per-user", k_core=0)
    assert (
        kept.fingerprint
        == in_memory.fingerprint
        == mj.load_data("kept", modalities="none").fingerprint
    )
    config = small("popularity")
    run = mj.train(kept, config=config, workdir="run")
    assert run.recommend(users="u7")["item_id"][0].startswith("i")
    assert mj.open_run("run").evaluate() == run.evaluate()
    assert config.model.name == "popularity"
    assert config.data.path == ""  # what is given is not changed


def test_training_changes_no_setting_of_jax(place, monkeypatch):
    monkeypatch.setattr(compilation_cache, "use", None)  # whoever calls it fails
    before = {
        name: getattr(jax.config, name) for name in ("jax_enable_x64", "jax_compilation_cache_dir")
    }
    mj.train(mj.load_data(place.data, modalities="none"), config=small("popularity"), workdir="run")
    mj.open_run("run")
    assert before == {name: getattr(jax.config, name) for name in before}
