"""The command lines: help, overrides, default folders, signals."""

import os
import signal
import subprocess
import sys

import pytest
from worlds import ROOT, Place

from mmssl_jax.commands import cli, running


@pytest.fixture(name="place")
def _place(tmp_path) -> Place:
    return Place(tmp_path)


def parsed(place: Place, *flags: str):
    return cli.parse(place.argv(*flags), "usage", json="")


@pytest.mark.parametrize("flag", ["--help", "-h", "-help"])
@pytest.mark.parametrize("main", [cli.train_main, cli.evaluate_main])
def test_help_goes_to_stdout_and_names_the_flags(capsys, main, flag):
    with pytest.raises(SystemExit) as exit_:
        main(["program", flag, "--config=/no/such/file.py"])
    output = capsys.readouterr()
    assert exit_.value.code == 0
    assert "--config FILE" in output.out
    assert "--workdir DIR" in output.out
    assert ("--json FILE" in output.out) == (main is cli.evaluate_main)
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
    config = cli.resolved(parsed(place, "--config.critic.enabled", flag).config)
    found = getattr(getattr(config, section), name)
    assert found == value
    assert type(found) is type(value)


def test_an_override_may_be_two_arguments_and_the_last_one_wins(place):
    values = parsed(place, "--config.train.epochs", "5", "--config.train.epochs", "6")
    assert values.config.train.epochs == 6


def test_what_nobody_set_has_the_models_default(place):
    assert cli.resolved(parsed(place).config).train.patience == 7
    config = cli.resolved(parsed(place, "--config.train.patience=0").config)
    assert config.train.patience == 0


def test_the_default_workdir_is_named_after_the_config(place):
    values = cli.parse(["program", "--config", str(place.config)], "usage")
    assert str(cli.workdir(values)) == "runs/tiny"
    values = cli.parse(["program", f"--config={place.config}", "--config.name=x"], "usage")
    assert str(cli.workdir(values)) == "runs/x"
    assert cli.workdir(parsed(place)) == place.run


def stopped(stop, **options) -> int:
    """The exit code of a command that calls `stop`."""
    with pytest.raises(SystemExit) as exit_:
        running.run(lambda argv: stop(), **options)
    return exit_.value.code


def interrupt() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_says_how_to_go_on(capsys):
    assert stopped(interrupt, on_interrupt=cli.GOES_ON) == 130
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
    assert ended.stderr == (
        "error: config file 'missing.py' does not exist; try --config configs/demo.py\n"
    )
    assert not list(tmp_path.iterdir())
