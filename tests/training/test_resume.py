"""A run that was killed and started again is, bit for bit, the run that was not."""

import signal

import pytest
from kills import start
from worlds import STEPS, Place, assert_same_run, snapshot, untimed

RELEASED = ("--config.train.epochs=6", "--config.critic.enabled", "--config.data.modalities=image")
PAPER = (*RELEASED, "--noconfig.critic.enabled", "--config.model.variant=paper")
HYBRID = (
    *("--config.model.name=hybrid", "--config.hybrid.members=2", "--config.hybrid.graph=0.5"),
    *("--config.train.epochs=6", "--config.train.steps_per_epoch=16", "--config.train.patience=6"),
    "--config.data.modalities=image",
)


@pytest.mark.parametrize(
    ("flags", "moments"),
    [
        (RELEASED, ("in epoch 2", "in save 4", "asked in epoch 5")),
        (PAPER, ("before save 3", "in delete 5")),
        (HYBRID, ("in epoch 2", "in delete 5")),
    ],
    ids=["released", "paper", "hybrid"],
)
def test_a_killed_run_ends_as_the_run_that_was_not(tmp_path, flags, moments):
    whole, killed = Place(tmp_path / "whole"), Place(tmp_path / "killed")
    undisturbed = start(whole, "never", *flags)
    for moment in moments:
        process = start(killed, moment, *flags)
        _, errors = process.communicate()
        if moment.startswith("asked"):
            assert process.returncode == 0, (moment, errors)
            assert f"stopped and saved at step {4 * STEPS + 15}; the same command" in errors
        else:
            assert process.returncode == -signal.SIGKILL, (moment, errors)
    last = start(killed, "never", *flags)
    for process in (undisturbed, last):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert "going on after epoch" in errors
    assert_same_run(whole, killed, 6)
    assert ("critic/loss" in whole.metrics[-1]) == (flags == RELEASED)
    assert any(".held" in name for name in whole.arrays(6))


def test_early_stopping_is_the_same_in_a_continued_run(tmp_path):
    flags = ("--config.train.patience=2", "--config.train.epochs=40")
    whole, parts = Place(tmp_path / "whole"), Place(tmp_path / "parts")
    whole.train(*flags)
    epochs = whole.results["epochs"]
    assert whole.results["best_epoch"] == epochs - 3 < 37
    parts.train(*flags, f"--config.train.epochs={epochs - 1}")
    assert parts.results["epochs"] == epochs - 1
    parts.train(*flags)
    assert_same_run(whole, parts, epochs)


def test_a_finished_run_started_again_only_prints_its_table(tmp_path, capsys):
    place = Place(tmp_path)
    place.train()
    before, table = snapshot(place.run), capsys.readouterr().out
    place.train()
    after = snapshot(place.run)
    assert capsys.readouterr().out == table
    assert untimed(place.results).keys() >= {"test/recall@20"}
    assert before.pop("results.json")
    assert after.pop("results.json")
    assert after == before


def test_more_epochs_continue_a_finished_run(tmp_path):
    whole, parts = Place(tmp_path / "whole"), Place(tmp_path / "parts")
    whole.train("--config.train.epochs=4")
    parts.train("--config.train.epochs=2")
    parts.train("--config.train.epochs=4")
    assert_same_run(whole, parts, 4)
