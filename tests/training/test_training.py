"""Whole runs on tiny data: chunks, compilations, selection, files, and what a user sees."""

import collections
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from margins import assert_margin
from worlds import STEPS, USERS, Place, assert_same_arrays, code_of, untimed, world

from mmssl_jax import training
from mmssl_jax.ranking.metrics import METRICS
from mmssl_jax.runs import provenance
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session


@pytest.fixture(scope="module", name="run")
def _run(tmp_path_factory):
    """A finished run of three epochs, and what it printed."""
    place = Place(tmp_path_factory.mktemp("training"))
    place.train()
    return place


def test_the_number_of_steps_in_a_call_has_no_effect(run, tmp_path):
    one_by_one = Place(tmp_path)
    one_by_one.train("--config.train.steps_per_call=1")
    assert_same_arrays(one_by_one.arrays(3), run.arrays(3))
    assert one_by_one.metrics == run.metrics


def test_one_compilation_of_the_step_in_a_run(tmp_path, monkeypatch):
    compiled = collections.Counter()
    traced = collections.Counter()
    real = session.train_step

    def train_step(*args, **kwargs):
        traced["train_step"] += 1
        return real(*args, **kwargs)

    def listen(event, duration, fun_name="", **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled[fun_name] += 1

    monkeypatch.setattr(session, "train_step", train_step)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        assert STEPS % 5  # the last call of an epoch is a shorter one
        Place(tmp_path).train()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled["jit(steps)"] == 1
    assert traced["train_step"] <= 2  # one of them for the shapes alone


def test_the_test_split_has_no_part_in_selection(run, tmp_path):
    other = Place(tmp_path, world(test_seed=1))
    other.train()
    assert other.metrics == run.metrics
    differing = {key for key, value in run.results.items() if other.results[key] != value}
    assert "test/recall@20" in differing
    assert all(
        key.startswith("test/")
        or key in {"data_fingerprint", "seconds_per_epoch", "compile_seconds", "checksum"}
        for key in differing
    )


def test_the_epoch_of_the_best_validation_recall_is_scored(run):
    recalls = [row["val/recall@20"] for row in run.metrics]
    best = run.results["best_epoch"]
    assert best == 1 + int(np.argmax(recalls))
    for name, value in run.metrics[best - 1].items():
        if name.startswith("val/"):
            assert run.results[name] == value


def test_of_equal_scores_the_first_epoch_is_the_best(tmp_path):
    """Recall does not change here; patience 2 allows the third validation without a new best."""
    place = Place(tmp_path)
    place.train("--config.train.learning_rate=1e-12", "--config.train.patience=2")
    assert len({row["val/recall@20"] for row in place.metrics}) == 1
    assert place.results["best_epoch"] == 1
    place.train(
        "--config.train.learning_rate=1e-12",
        "--config.train.patience=2",
        "--config.train.epochs=9",
    )
    assert place.results["epochs"] == 4
    assert place.checkpoints == ["1", "4"]


def test_results_have_the_keys_asked_for(run):
    metrics = (*METRICS, "ndcg_released")
    expected = {
        *("data", "data_is_synthetic", "data_fingerprint", "data_warnings", "modalities"),
        *("model", "variant", "critic", "seed", "commit", "device"),
        *("cores", "python", "final", "ranked", "checksum"),
        *("best_epoch", "epochs", "seconds_per_epoch", "compile_seconds"),
        *(f"{s}/unscored_{what}" for s in ("val", "test") for what in ("pairs", "share")),
        *("val/unknown_users", "test/unknown_users"),
        *(f"version/{package}" for package in provenance._PACKAGES),
        *(f"{s}/{m}@{k}" for s in ("val", "test") for m in metrics for k in (5, 20)),
    }
    assert set(metrics) == {"recall", "precision", "ndcg", "ndcg_released", "hit_rate"}
    assert run.results.keys() == expected
    assert run.results["data"] == "data"  # the name of the folder
    assert run.results["epochs"] == 3
    assert run.results["seed"] == 2022


def test_metrics_have_one_row_an_epoch(run):
    assert [row["epoch"] for row in run.metrics] == [1, 2, 3]
    assert [row["step"] for row in run.metrics] == [STEPS, 2 * STEPS, 3 * STEPS]
    assert {"generator/loss", "generator/bpr", "val/recall@20"} <= run.metrics[0].keys()
    losses = [row["generator/bpr"] for row in run.metrics]
    assert losses[2] < losses[0]


def test_evaluate_prints_and_writes_the_numbers_of_the_run(run, tmp_path, capsys):
    run.train()
    table = capsys.readouterr().out
    run.evaluate(f"--json={tmp_path / 'scores.json'}")
    printed = capsys.readouterr()
    assert printed.out.startswith(table)  # the table of groups follows
    assert printed.err == ""
    written = json.loads((tmp_path / "scores.json").read_text())
    scores = {key: value for key, value in written.items() if "/users_" not in key}
    scores = {key: value for key, value in scores.items() if "/items_" not in key}
    assert len(scores) < len(written)
    assert scores.items() <= run.results.items()
    assert {"test/recall@20", "val/ndcg_released@5", "best_epoch"} <= scores.keys()


def test_evaluate_takes_the_runs_own_config_and_a_moved_data_folder(run, tmp_path, capsys):
    moved = tmp_path / "elsewhere" / "data"
    shutil.copytree(run.data, moved)
    text = run.config.read_text()
    run.config.write_text(text.replace("embedding_dim = 8", "embedding_dim = 4"))
    try:
        run.evaluate(f"--config.data.path={moved}")
    finally:
        run.config.write_text(text)
    assert f"{run.results['test/recall@20']:.4f}" in capsys.readouterr().out


def test_plain_lines_where_there_is_no_terminal(tmp_path, capsys):
    Place(tmp_path).train("--config.train.epochs=2")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    for line in lines:
        assert "\x1b" not in line
        for word in ("generator", "val recall@20", "ndcg@20", "s/epoch", "ETA"):
            assert word in line


def test_the_data_sets_warnings_are_printed_and_stored(tmp_path, capsys):
    place = Place(tmp_path)
    train = json.loads((place.data / "train.json").read_text())
    train["0"].append(train["0"][0])
    (place.data / "train.json").write_text(json.dumps(train))
    place.train("--config.train.epochs=1")
    (warning,) = place.results["data_warnings"]
    assert warning.endswith("merged 1 repeated pair of the train split")
    assert f"warning: {warning}\n" in capsys.readouterr().err


def scores_of(place: Place) -> np.ndarray:
    """The scores [users, items] of a run's best epoch, -inf where an item is a training item."""
    config, dataset = session.open_run(RunFolder(place.run))
    trained = training.best_of_run(config, dataset, RunFolder(place.run))
    model, state = trained.model, trained.state
    representation = jax.jit(model.embed)(state.params, model.inputs, state.held)
    scores = jax.jit(model.score)(representation, jnp.arange(USERS))
    return np.where(dataset.train.toarray() > 0, -np.inf, scores)


def nan_from(step: int):
    """A train_step whose BPR loss is NaN from a step on."""
    real = session.train_step

    def train_step(state, constants, **kwargs):
        after, terms = real(state, constants, **kwargs)
        bad = jnp.where(after.step >= step, jnp.nan, 0.0)
        return after, terms | {
            name: value + bad if name in ("generator/bpr", "generator/loss") else value
            for name, value in terms.items()
        }

    return train_step


def test_a_nan_loss_stops_the_run_and_keeps_the_last_checkpoint(tmp_path, monkeypatch, capsys):
    place = Place(tmp_path)
    bad_step = STEPS + 7  # of the second epoch
    with monkeypatch.context() as patch:
        patch.setattr(session, "train_step", nan_from(bad_step))
        assert code_of(["train", *place.argv()]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: loss 'generator/bpr' became nan at step {bad_step};")
    assert place.checkpoints == ["1"]
    assert [row["epoch"] for row in place.metrics] == [1]
    place.evaluate()
    assert "best validation epoch 1" in " ".join(capsys.readouterr().out.split())


def test_a_batch_may_be_larger_than_the_number_of_users(tmp_path):
    place = Place(tmp_path)
    place.train(f"--config.train.batch_size={USERS + 1}", "--config.train.epochs=1")
    assert place.metrics[0]["step"] == 240 // (USERS + 1) + 1
    assert np.isfinite(place.metrics[0]["generator/loss"])


def test_the_size_of_a_user_block_has_no_effect(run, tmp_path):
    assert_margin(scores_of(run), 20, ordered=True, share=1e-5)  # of other blocks, other sums
    other = Place(tmp_path)
    other.train("--config.evaluation.user_block=7")
    assert untimed(other.results) == untimed(run.results)
