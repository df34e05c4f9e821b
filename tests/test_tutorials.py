"""The tutorials: their blocks run in their order, in a copy of the clone."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(name="clone")
def _clone(tmp_path):
    """A copy of what the tutorials need, and `mmssl` on the path, which runs that copy."""
    for name in ("mmssl_jax", "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "clone" / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")
    program = tmp_path / "bin/mmssl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mmssl_jax "$@"\n')
    program.chmod(0o755)
    return tmp_path / "clone"


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_as_it_stands(tutorial, clone):
    path = f"{clone.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(clone)}
    blocks = BLOCK.findall(tutorial.read_text("utf-8"))
    assert len(blocks) >= 3
    for language, code in blocks:
        line = ["bash", "-euc", code] if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(line, cwd=clone, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
