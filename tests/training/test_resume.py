"""A run that was killed and started again is, bit for bit, the run that was not."""

import os
import signal
import subprocess
import sys

import pytest
from worlds import ROOT, STEPS, Place, assert_same_arrays, snapshot, untimed

# Trains, and kills itself at a moment.
DRIVER = f"""
import os, pathlib, shutil, signal, sys
from orbax.checkpoint._src.path import atomicity
from mmssl_jax.commands import call
from mmssl_jax.runs import checkpoints as checkpoint
from mmssl_jax.training import loop

moment, *argv = sys.argv[1:]
saving = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def before(owner, name, action):
    real = getattr(owner, name)
    def replacement(*args, **kwargs):
        action(*args)
        return real(*args, **kwargs)
    setattr(owner, name, replacement)

def note_epoch(checkpoints, epoch, *_):
    global saving
    saving = epoch

def delete_a_part(path, *_):
    if saving == 5 and "checkpoints" in str(path):
        real_rmtree(pathlib.Path(path) / "metrics")
        die()

real_rmtree = shutil.rmtree
before(checkpoint.Checkpoints, "save", note_epoch)
if moment == "in epoch 2":
    before(loop, "_read_terms", lambda _, step, *__: step == {STEPS} + 5 and die())
elif moment == "before save 3":
    before(checkpoint.Checkpoints, "save", lambda _, epoch, *__: epoch == 3 and die())
elif moment == "in save 4":
    before(atomicity.AtomicRenameTemporaryPath, "finalize", lambda *_: saving == 4 and die())
    before(atomicity.CommitFileTemporaryPath, "finalize", lambda *_: saving == 4 and die())
elif moment == "in delete 5":
    before(shutil, "rmtree", delete_a_part)
call(["train", *argv])
"""
RELEASED = ("--config.train.epochs=6", "--config.critic.enabled", "--config.data.modalities=image")
PAPER = (*RELEASED, "--noconfig.critic.enabled", "--config.model.variant=paper")


def assert_same_run(one: Place, other: Place, epochs: int) -> None:
    assert_same_arrays(one.arrays(epochs), other.arrays(epochs))
    assert one.metrics == other.metrics
    assert untimed(one.results) == untimed(other.results)
    assert one.checkpoints == other.checkpoints


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("compiled"))


def start(place: Place, cache: str, moment: str, *flags: str) -> subprocess.Popen:
    """Starts DRIVER; what one start compiles, the later ones read."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-W", "error", "-c", DRIVER, moment, *place.argv(*flags)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes)


@pytest.mark.parametrize(
    ("flags", "moments"),
    [
        (RELEASED, ("in epoch 2", "in save 4")),
        (PAPER, ("before save 3", "in delete 5")),
    ],
    ids=["released", "paper"],
)
def test_a_killed_run_ends_as_the_run_that_was_not(tmp_path, cache, flags, moments):
    whole, killed = Place(tmp_path / "whole"), Place(tmp_path / "killed")
    undisturbed = start(whole, cache, "never", *flags)
    for moment in moments:
        process = start(killed, cache, moment, *flags)
        _, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, (moment, errors)
    last = start(killed, cache, "never", *flags)
    for process in (undisturbed, last):
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert "going on after epoch" in errors
    assert_same_run(whole, killed, 6)
    assert ("critic/loss" in whole.metrics[-1]) == (flags == RELEASED)
    assert any(".held" in name for name in whole.arrays(6)) == (flags == PAPER)


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
