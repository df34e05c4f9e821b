"""The files that start several processes: they parse, and give flags that exist."""

import re
import subprocess

import click
import pytest
from worlds import ROOT

from mmssl_jax.commands import mmssl

FILES = sorted((ROOT / "launch").iterdir())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_launch_file_gives_flags_of_train(file):
    text = "\n".join(
        line for line in file.read_text("utf-8").splitlines() if not line.lstrip().startswith("#")
    )
    train = mmssl.get_command(click.Context(mmssl), "train")
    known = {flag for parameter in train.params for flag in parameter.opts}
    given = set(re.findall(r"(--[a-z]+)(?=[ =])", text))
    assert given - known <= {"--kill-on-bad-exit"}  # srun's
    assert given & known


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_shell_of_a_launch_file_parses(file):
    text = file.read_text("utf-8")
    if file.suffix == ".yaml":
        indented = re.search(r"- \|\n((?: +.*\n)+?) +resources:", text)[1]
        text = re.sub(r"^ {22}", "", indented, flags=re.MULTILINE)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
