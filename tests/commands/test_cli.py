"""The command lines: help, overrides, default folders, signals."""

import os
import signal
import subprocess
import sys

import pytest
from worlds import ROOT, Place, code_of, given

from mmssl_jax import models
from mmssl_jax.commands import call, running
from mmssl_jax.commands.config_arguments import Given


@pytest.fixture(name="place")
def _place(tmp_path) -> Place:
    return Place(tmp_path)


def parsed(place: Place, *flags: str) -> Given:
    return given(*place.argv(*flags))


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_help_goes_to_stdout_and_names_the_flags(capsys, command, flag):
    assert code_of([command, flag, "--config=/no/such/file.py"]) == 0
    output = capsys.readouterr()
    assert "--config FILE|NAME" in output.out
    assert "--workdir DIR" in output.out
    assert ("--json FILE" in output.out) == (command == "evaluate")
    assert output.err == ""


@pytest.mark.parametrize(
    ("flag", "field", "value"),
    [
        ("--config.train.epochs=7", "train.epochs", 7),
        ("--config.train.learning_rate=1e-3", "train.learning_rate", 1e-3),
        ("--config.train.learning_rate=1", "train.learning_rate", 1.0),
        ("--config.model.layers=3", "model.layers", 3),
        ("--config.model.variant=paper", "model.variant", "paper"),
        ("--config.data.modalities=image,text", "data.modalities", "image,text"),
        ("--config.data.modalities=", "data.modalities", ""),
        ("--config.critic.enabled", "critic.enabled", True),
        ("--config.critic.enabled=True", "critic.enabled", True),
        ("--config.critic.enabled=false", "critic.enabled", False),
        ("--noconfig.critic.enabled", "critic.enabled", False),
        ("--config.evaluation.cutoffs=(5,20)", "evaluation.cutoffs", (5, 20)),
        ("--config.evaluation.cutoffs=20", "evaluation.cutoffs", (20,)),
        ("-config.train.seed=3", "train.seed", 3),
    ],
)
def test_overrides_of_every_type(place, flag, field, value):
    section, name = field.split(".")
    config = models.resolve(parsed(place, "--config.critic.enabled", flag).config)
    found = getattr(getattr(config, section), name)
    assert found == value
    assert type(found) is type(value)


def test_an_override_may_be_two_arguments_and_the_last_one_wins(place):
    flags = ("--config.train.epochs", "5", "--config.train.epochs", "6")
    assert parsed(place, *flags).config.train.epochs == 6


def test_what_nobody_set_has_the_models_default(place):
    assert models.resolve(parsed(place).config).train.patience == 7
    config = models.resolve(parsed(place, "--config.train.patience=0").config)
    assert config.train.patience == 0


def test_the_default_workdir_is_named_after_the_config(place):
    assert given("--config", str(place.config)).name == "tiny"
    assert given(f"--config={place.config}", "--config.name=x").name == "x"


@pytest.mark.parametrize(("flags", "folder"), [((), "runs/tiny"), (("--workdir=x",), "x")])
def test_runs_are_below_runs(place, monkeypatch, flags, folder):
    monkeypatch.chdir(place.run.parent)
    call(["train", f"--config={place.config}", "--config.model.name=popularity", *flags])
    assert (place.run.parent / folder / "results.json").exists()
    call(["evaluate", f"--config={place.config}", *flags])


def stopped(stop) -> int:
    """The exit code of a command that calls `stop`."""
    with pytest.raises(SystemExit) as exit_:
        running.run(stop)
    return exit_.value.code


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_says_how_to_go_on(capsys):
    def in_training():
        with running.goes_on():
            interrupt()

    assert stopped(in_training) == 130
    assert capsys.readouterr().err == (
        "interrupted; the same command goes on from the last validation\n"
    )
    assert stopped(interrupt) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_sigterm_unwinds_and_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    closed = []

    def stop():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            closed.append(True)

    assert stopped(stop) == 143
    assert closed
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("program", ["train.py", "evaluate.py"])
def test_the_programs_exit_with_2_and_one_line(tmp_path, program):
    argv = [sys.executable, str(ROOT / program), "--config=missing.py"]
    ended = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == ("error: config file 'missing.py' does not exist; try --config demo\n")
    assert not list(tmp_path.iterdir())
