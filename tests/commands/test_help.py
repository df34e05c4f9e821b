"""The program `mmssl` as a whole: help, names that are like others, exit codes, completion."""

import json
import os
import subprocess
import sys

import click
import pytest
from worlds import ROOT, Place, call, code_of

from mmssl_jax import commands, models
from mmssl_jax.commands import LazyGroup, config_arguments, mmssl
from mmssl_jax.config import named
from mmssl_jax.errors import InputError


def leaves(group: LazyGroup, *above: str) -> list[tuple[str, ...]]:
    """The names of all commands, those of groups below one too."""
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = leaves(command, *above, name) if isinstance(command, LazyGroup) else []
        found += below or [(*above, name)]
    return found


@pytest.mark.parametrize("path", leaves(mmssl), ids=" ".join)
def test_the_help_of_a_command_fits_a_screen_and_ends_with_an_example(path, capsys):
    assert code_of([*path, "--help"]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert lines[0].startswith(f"Usage: mmssl {' '.join(path)} ")
    assert len(lines) <= (75 if path == ("data", "import") else 40)  # of 30 flags, in sections
    assert max(map(len, lines)) <= 90
    assert "  -h, --help" in "\n".join(lines)
    assert lines[-1].startswith(f"    mmssl {' '.join(path)}")
    assert code_of([*path, "-h"]) == 0


def test_the_help_of_the_program_names_every_command_and_the_exit_codes(capsys):
    assert code_of(["--help"]) == 0
    output = capsys.readouterr().out
    lines = output.splitlines()
    assert len(lines) <= 40
    for name, (_, about) in commands.COMMANDS.items():
        assert f"{name} " in output
        assert about in output
    for code in ("0  ", "1  ", "2  ", "130"):
        assert any(line.strip().startswith(code) for line in lines)
    assert 'eval "$(_MMSSL_COMPLETE=bash_source mmssl)"' in output
    assert lines[-1] == "    mmssl demo"


def test_without_a_command_help_goes_to_stderr(capsys):
    assert code_of([]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("Usage: mmssl")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'? mmssl --help lists what can"),
        (["nothing"], "No such command 'nothing'; mmssl --help lists what can be given"),
        (
            ["train", "--wrkdir=x"],
            "No such option '--wrkdir'. Did you mean '--workdir'? mmssl train --help lists what",
        ),
        (["compare", "--sed=2"], "No such option '--sed'. Did you mean '--seeds'? mmssl compare"),
        (["train", "--workdir"], "Option '--workdir' requires an argument; --help lists"),
        (["train", "--config"], "config file '' does not exist; try --config demo"),
        (["train", "--config=dmo"], "config file 'dmo' does not exist; did you mean demo?"),
        (
            ["train", "--config=demo", "--config.train.epochs"],
            "--config.train.epochs has no value; give --config.train.epochs=VALUE",
        ),
        (["ledger"], "give Markdown documents, such as docs/results.md"),
    ],
)
def test_what_is_not_there_is_one_line_with_what_is_like_it(arguments, line, capsys):
    assert code_of(arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"error: {line}")
    assert output.err.count("\n") == 1


def test_call_raises_what_the_user_can_mend():
    with pytest.raises(InputError, match="No such option '--nope'"):
        call(["train", "--nope"])


def test_an_error_of_the_program_is_none_of_the_user(monkeypatch):
    def fail(*_):
        raise EOFError

    monkeypatch.setattr(named, "config_file", fail)
    with pytest.raises(EOFError):
        code_of(["train", "--config=demo"])


def test_ctrl_c_in_a_command(tmp_path, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmssl_jax.training.train", stop)
    assert code_of(["train", *Place(tmp_path).argv()]) == 130
    assert capsys.readouterr().err == (
        "interrupted; the same command goes on from the last validation\n"
    )


@pytest.mark.parametrize(
    ("arguments", "taken", "rest"),
    [
        (["--config=a", "--x"], [(None, "a")], ["--x"]),
        (["--x", "1", "-config", "a"], [(None, "a")], ["--x", "1"]),
        (["--config.train.epochs", "5", "--y"], [("train.epochs", "5")], ["--y"]),
        (["--config.data.path=a=b"], [("data.path", "a=b")], []),
        (["--config.data.path="], [("data.path", "")], []),
        (["--config.critic.enabled", "--y"], [("critic.enabled", "true")], ["--y"]),
        (["-noconfig.critic.enabled", "5"], [("critic.enabled", "false")], ["5"]),
        (["--config.train.epochs"], [("train.epochs", None)], []),
        (["--configure=1", "--noconfig"], [], ["--configure=1", "--noconfig"]),
        (["--config.data.path", "--config.name"], [("data.path", "--config.name")], []),
        (["--", "--config=a"], [], ["--", "--config=a"]),
    ],
)
def test_which_arguments_are_the_configs(arguments, taken, rest):
    before = list(arguments)
    assert config_arguments.take(arguments, models.fields()) == (taken, rest)
    assert arguments == before


def test_configs_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # whatever is there
    (tmp_path / "demo").mkdir()
    names = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
    assert list(named.shipped()) == names
    for name in names:
        assert named.config_file(name) == named.shipped()[name]
        assert named.config(named.config_file(name)).data.path
    assert "parts" in named.shipped("studies")
    assert named.read("parts") == named.read(str(ROOT / "configs/studies/parts.py"))


def completed(words: str) -> list[str]:
    """What a shell is told of an unfinished line."""
    environment = os.environ | {
        "_MMSSL_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    line = [sys.executable, "-m", "mmssl_jax"]
    done = subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_completion_in_a_shell():
    assert completed("mmssl t") == ["train", "tune"]
    assert completed("mmssl train --fin") == ["--final", "--final-from"]
    assert completed("mmssl train --config de") == ["demo"]
    assert completed("mmssl train --config.train.ep") == ["--config.train.epochs="]


def test_the_demo_is_a_run_of_its_config(tmp_path, capsys):
    flags = [f"--config={Place(tmp_path).config}", "--config.train.epochs=1"]
    call(["demo", f"--workdir={tmp_path / 'a b'}", *flags])
    output = capsys.readouterr().out
    assert "best validation epoch 1" in " ".join(output.split())
    assert f"mmssl evaluate --config demo --workdir '{tmp_path / 'a b'}'" in output
    config = json.loads((tmp_path / "a b/config.json").read_text())
    assert config["config"]["train.epochs"] == 1


def test_the_demo_is_generated_data():
    context = click.Context(mmssl)
    given = mmssl.get_command(context, "demo").make_context("demo", []).params["given"]
    assert given.file == named.shipped()["demo"]
    assert given.config.data.path == ":demo:"
