"""The tune command: a search on validation that goes on, prunes, and never reads the test split."""

import json
import sys

import jax
import pytest
from worlds import Place, code_of, world

from mmssl_jax import training
from mmssl_jax.config import Config
from mmssl_jax.files import atomic
from mmssl_jax.ranking import full_ranking

optuna = pytest.importorskip("optuna")
sqlalchemy = pytest.importorskip("sqlalchemy")

FLAGS = ("--config.train.epochs=3", "--config.train.steps_per_epoch=4")
SPACE = """

def get_search_space():
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return {
        "mmssl.learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
        "model.layers": CategoricalDistribution([1, 2]),
    }
"""


@pytest.fixture(autouse=True, scope="module")
def _compile_fast():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(autouse=True, scope="module")
def _write_fast():
    """No storage waits for the disk: nothing here outlives its process."""

    def do_not_wait(connection, _):
        connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", do_not_wait)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", do_not_wait)


def place_at(folder, space: str = SPACE, **kinds) -> Place:
    place = Place(folder, world(**kinds))
    text = place.config.read_text().replace("config.train.learning_rate = 3e-3", "pass")
    place.config.write_text(text + space)
    return place


def run(place: Place, *flags: str) -> int:
    """The command's exit code."""
    return code_of(["tune", *place.argv(*FLAGS, *flags)])


def written(place: Place) -> dict:
    return json.loads((place.run / "tune.json").read_text())


@pytest.fixture(scope="module", name="five")
def _five(tmp_path_factory):
    """A search of five trials."""
    place = place_at(tmp_path_factory.mktemp("tune"))
    assert run(place, "--trials=5") == 0
    return place


def test_the_best_trial_is_that_of_the_best_validation(five):
    content = written(five)
    values = [trial["val/recall@20"] for trial in content["trials"]]
    assert len(values) == 5
    assert content["best"]["val/recall@20"] == max(values)
    assert len(set(values)) > 1
    for trial in content["trials"]:
        assert 1e-3 <= trial["params"]["mmssl.learning_rate"] <= 1e-1
        assert trial["params"]["model.layers"] in (1, 2)
    assert content["command"].startswith("mmssl tune --config=")


def test_a_trial_is_the_run_that_train_makes_of_its_values(five, tmp_path, capsys):
    best = written(five)["best"]
    flags = [f"--config.{field}={value}" for field, value in best["params"].items()]
    other = Place(tmp_path)
    other.config = five.config
    other.train(*FLAGS, *flags)
    assert other.results["val/recall@20"] == best["val/recall@20"]
    assert [other.results["best_epoch"]] == best["best_epochs"]
    assert run(five, "--trials=5") == 0  # nothing is missing; it prints its report again
    given = "--config.train.epochs=3 --config.train.steps_per_epoch=4"
    where = f"--workdir {five.run / 'best'}"
    line = f"next: mmssl train --config {five.config} {where} {given} {flags[0]}"
    assert line in capsys.readouterr().out


def test_a_search_starts_from_the_values_of_the_config(tmp_path):
    place = place_at(tmp_path)
    own = "config.mmssl.learning_rate, config.model.layers = 0.02, 2"
    place.config.write_text(place.config.read_text().replace("config.model.layers = 1", own))
    assert run(place, "--trials=1") == 0
    (trial,) = written(place)["trials"]
    assert trial["params"] == {"mmssl.learning_rate": 0.02, "model.layers": 2}


def test_values_outside_the_space_are_drawn(five):
    first = written(five)["trials"][0]["params"]  # the rate of the config is below the space
    assert first["mmssl.learning_rate"] >= 1e-3
    assert first["model.layers"] == 1


def test_the_test_split_has_no_part_in_a_search(tmp_path, five, monkeypatch):
    """Other test pairs, same trials; no file has a score of test, and nothing ranks it."""
    other = place_at(tmp_path, test_seed=1)
    ranked, real = [], full_ranking.ranking_task
    monkeypatch.setattr(
        full_ranking,
        "ranking_task",
        lambda masked, truth, *rest: ranked.append(truth) or real(masked, truth, *rest),
    )
    assert run(other, "--trials=5") == 0
    one, two = ([dict(t, commit=None) for t in written(p)["trials"]] for p in (five, other))
    assert one == two
    validation = world().val
    assert ranked
    assert all((truth != validation).nnz == 0 for truth in ranked)
    for path in other.run.rglob("*"):
        if path.is_file():
            assert b"test/" not in path.read_bytes(), path


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_search_goes_on_after_a_kill_where_it_was_cut_off(tmp_path, monkeypatch, seeds):
    place, real, flags = place_at(tmp_path), training.train, ("--trials=3", f"--seeds={seeds}")
    epochs, started, again = [], [], []

    def dying(config, dataset, folder, *, splits, watch):
        def count(epoch, recall):
            epochs.append(epoch)
            if len(epochs) == 5:  # in the second epoch of the second run
                raise KeyboardInterrupt
            if watch:
                watch(epoch, recall)

        started.append(config.mmssl.learning_rate)
        return real(config, dataset, folder, splits=splits, watch=count)

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", dying)
        assert run(place, *flags) == 130
    assert epochs == [1, 2, 3, 1, 2]

    def counting(config, dataset, folder, **more):
        before = len(list(folder.glob("checkpoints/*")))
        summary = real(config, dataset, folder, **more)
        again.append((config.mmssl.learning_rate, bool(before)))
        return summary

    monkeypatch.setattr(training, "train", counting)
    assert run(place, *flags) == 0
    assert again[:seeds] == [(started[-1], True)] * seeds
    assert not any(kept for _, kept in again[seeds:])
    trials = written(place)["trials"]
    assert {trial["state"] for trial in trials} <= {"complete", "pruned"}
    assert len(trials) == 3
    values = [trial["params"] for trial in trials]
    assert all(value not in values[:index] for index, value in enumerate(values))


def test_a_search_that_was_stopped_tries_what_one_would_that_was_not(tmp_path, monkeypatch):
    stopped, whole = place_at(tmp_path / "stopped"), place_at(tmp_path / "whole")
    starts = []

    def once(config, dataset, folder, *, splits, watch):
        starts.append(folder)
        if len(starts) in (1, 3, 4):  # in the first trial, then twice in the second
            raise KeyboardInterrupt
        value = config.mmssl.learning_rate
        return {"val/recall@20": value, "val/ndcg@20": value, "best_epoch": 1, "commit": "-"}

    monkeypatch.setattr(training, "train", once)
    codes = [run(stopped, "--trials=3") for _ in range(4)]
    assert codes == [130, 130, 130, 0]
    starts[:] = range(10)  # nothing stops this one
    assert run(whole, "--trials=3") == 0
    assert written(stopped)["trials"] == written(whole)["trials"]
    assert [trial["trial"] for trial in written(whole)["trials"]] == [0, 1, 2]


def test_a_trial_that_the_device_cannot_hold_does_not_end_the_search(tmp_path, monkeypatch):
    real, calls = training.train, []

    def train(*args, **more):
        calls.append(1)
        if len(calls) == 1:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out\nof memory")
        return real(*args, **more)

    monkeypatch.setattr(training, "train", train)
    place = place_at(tmp_path)
    assert run(place, "--trials=2") == 0
    first, second = written(place)["trials"]
    assert first["error"] == "RESOURCE_EXHAUSTED: out of memory"
    assert (first["state"], first["val/recall@20"]) == ("failed", None)
    assert second["state"] == "complete"


def test_two_searches_in_one_folder_at_a_time_are_refused(five, capsys):
    with atomic.locked(five.run, "searching"):
        assert run(five, "--trials=6") == 2
    assert f"another process is searching in {five.run}" in capsys.readouterr().err


def stand_in(recall_of):
    """What takes the place of training: a run of 20 epochs at `recall_of(config)`."""

    def train(config, dataset, folder, *, splits, watch):
        recall = recall_of(config)
        for epoch in range(1, 21):
            if watch is not None:
                watch(epoch, recall)
        return {"best_epoch": 1, "val/ndcg@20": 0.1, "commit": None, "val/recall@20": recall}

    return train


def test_a_hopeless_trial_is_pruned(tmp_path, monkeypatch):
    low = stand_in(lambda config: 0.5 if config.mmssl.learning_rate < 3e-2 else 0.1)
    monkeypatch.setattr(training, "train", low)
    place = place_at(tmp_path)
    assert run(place, "--trials=30") == 0
    states = {trial["state"]: trial for trial in written(place)["trials"]}
    assert states["pruned"]["params"]["mmssl.learning_rate"] >= 3e-2
    assert written(place)["best"]["val/recall@20"] == 0.5


def test_the_value_of_a_trial_is_the_mean_over_seeds(tmp_path, monkeypatch, capsys):
    first = Config().train.seed
    tried = []
    monkeypatch.setattr(
        training,
        "train",
        stand_in(lambda config: tried.append(config.train.seed) or config.train.seed / 10**4),
    )
    place = place_at(tmp_path)
    assert run(place, "--trials=2", "--seeds=3") == 0
    assert tried == 2 * [first, first + 1, first + 2]
    for trial in written(place)["trials"]:
        assert trial["val/recall@20/seeds"] == [seed / 10**4 for seed in tried[:3]]
        assert trial["val/recall@20"] == pytest.approx((first + 1) / 10**4)
        assert trial["best_epochs"] == [1, 1, 1]
    assert run(place, "--trials=3") == 2
    assert "holds another search, whose number of seeds differs" in capsys.readouterr().err
    assert run(place, "--trials=3", "--seeds=0") == 2
    assert "--seeds is '0'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        ("", "has no get_search_space()"),
        ("def get_search_space(): return {}", "must return field -> distribution"),
        ("def get_search_space(): return {'model.layer': 1}", "unknown config field 'model.layer'"),
        ("def get_search_space(): return {'model.layers': [1]}", "one of optuna.distributions"),
        ("def get_search_space(): return {'data.modalities': 1}", "cannot be searched"),
        ("def get_search_space(): return {'train.seed': 1}", "cannot be searched"),
        ("def get_search_space(): return {'evaluation.candidates': 1}", "cannot be searched"),
    ],
)
def test_a_space_that_cannot_be_searched(tmp_path, capsys, space, problem):
    place = place_at(tmp_path, "\n\n" + space)
    assert run(place, "--trials=1") == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert not place.run.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "no --trials given; it counts all"),
        (("--trials=0",), "--trials is '0'; it must be a number from 1 to 999999"),
        (("--trials=x",), "--trials is 'x'; it must be a number from 1 to 999999"),
    ],
)
def test_a_number_of_trials_that_is_none(tmp_path, capsys, flags, message):
    assert run(place_at(tmp_path), *flags) == 2
    assert message in capsys.readouterr().err


def test_a_searched_field_cannot_be_given(five, capsys):
    assert run(five, "--trials=6", "--config.mmssl.learning_rate=0.1") == 2
    assert "--config.mmssl.learning_rate is searched" in capsys.readouterr().err


def test_another_search_in_the_same_folder_is_refused(five, capsys):
    assert run(five, "--trials=6", "--config.train.batch_size=8") == 2
    assert "holds another search, whose config differs" in capsys.readouterr().err


def test_a_damaged_storage_is_one_line(tmp_path, capsys):
    place = place_at(tmp_path)
    place.run.mkdir()
    (place.run / "tune.db").write_bytes(b"no database" * 100)
    assert run(place, "--trials=1") == 2
    error = capsys.readouterr().err
    assert "cannot be used for a search" in error
    assert error.count("\n") == 1


def test_trials_that_all_fail_are_an_error_that_says_why(tmp_path, capsys):
    place = place_at(tmp_path)
    assert run(place, "--trials=2", "--config.train.weight_decay=1e30") == 2
    assert "no trial was completed; loss" in capsys.readouterr().err


def test_without_optuna_it_says_what_to_install(five, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run(five, "--trials=6") == 2
    assert 'pip install ".[tune]"' in capsys.readouterr().err
