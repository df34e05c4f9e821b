"""The tutorials: their blocks, and the cells of the notebook, run in a copy of the clone."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs/tutorials").glob("*.md"))
NOTEBOOK = pathlib.Path("examples/recommend.ipynb")
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(name="clone")
def _clone(tmp_path):
    """A copy of what the tutorials need; on the path are `python`, and `mmssl`, which runs it."""
    for name in ("mmssl_jax", "configs", "examples"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / "clone" / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")
    (tmp_path / "bin").mkdir()
    for name, module in (("python", ""), ("mmssl", "-m mmssl_jax")):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        program.chmod(0o755)
    yield tmp_path / "clone"
    for started in (tmp_path / "clone").glob("*.pid"):  # a service, where a block failed
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(started.read_text()), signal.SIGKILL)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_as_it_stands(tutorial, clone):
    path = f"{clone.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(clone)}
    blocks = BLOCK.findall(tutorial.read_text("utf-8").replace("8000", free_port()))
    assert len(blocks) >= 3
    for language, code in blocks:
        line = ["bash", "-euc", code] if language == "bash" else [sys.executable, "-c", code]
        done = subprocess.run(line, cwd=clone, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def cells_of(path):
    """The notebook, and those of its cells that are code."""
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    return notebook, [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
def test_the_notebook_runs_as_it_stands(clone, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(clone))
    notebook, cells = cells_of(clone / NOTEBOOK)
    folder = {"metadata": {"path": str(clone / NOTEBOOK.parent)}}
    NotebookClient(notebook, timeout=300, resources=folder).execute()
    results = {
        cell.source.splitlines()[-1]: output["data"]
        for cell in cells
        for output in cell.outputs
        if output.output_type == "execute_result"
    }
    share = float(results["sum(right) / len(right)"]["text/plain"])
    assert share > 0.95
    assert results["show(lists)"]["text/html"].count("<img") == 16
    (page,) = (data["text/html"] for last, data in results.items() if "history" in last)
    assert "new user" in page
    pictures = re.findall('alt="(.*?)"', page)
    assert len(pictures) == 8
    assert sum("blue" in picture for picture in pictures) >= 5


def test_the_notebook_is_kept_without_outputs():
    for cell in cells_of(ROOT / NOTEBOOK)[1]:
        assert (cell.outputs, cell.execution_count) == ([], None)
