"""`mmssl doctor`: what a bug report needs, whatever is or is not there."""

import json
import os
import subprocess
import sys

import jax
import pytest
from worlds import ROOT, Place, call

from mmssl_jax.training import machine


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory) -> Place:
    """A place with a finished run, one without results, a broken one, and data."""
    folder = tmp_path_factory.mktemp("doctor")
    (folder / "data").mkdir()
    place = Place(folder / "data" / "tiny")
    flags = ("--config.model.name=popularity", "--config.train.epochs=1")
    place.train(*flags, f"--workdir={folder / 'runs/one'}")
    place.train(*flags, f"--workdir={folder / 'runs/compare/tiny/popularity/seed-1'}")
    (folder / "runs/compare/tiny/popularity/seed-1/results.json").unlink()
    (folder / "runs/broken").mkdir()
    (folder / "runs/broken/config.json").write_text("{")
    return place


def reported(folder, monkeypatch, capsys) -> tuple[dict, str]:
    monkeypatch.chdir(folder)
    call(["doctor", "--json=report.json"])
    return json.loads((folder / "report.json").read_text()), capsys.readouterr().out


def test_the_report(place, monkeypatch, capsys):
    folder = place.run.parents[1].parent
    report, output = reported(folder, monkeypatch, capsys)
    assert report["versions"]["jax"] == jax.__version__
    for name in ("click", "python", "jaxlib", "flax", "optax", "orbax-checkpoint", "polars"):
        assert report["versions"][name]
        assert f"{name} " in output
    assert report["host"]["cores"] >= 1
    assert report["devices"]["problem"] is None
    assert len(report["devices"]["found"]) == jax.device_count()
    for device in report["devices"]["found"]:
        assert device["right"]
        assert device["first_seconds"] >= 0
    assert "computes as numpy does" in output
    assert list(report["data"]) == ["data/tiny"]
    runs = {run["folder"]: run for run in report["runs"]}
    assert list(runs) == ["runs/broken", "runs/compare/tiny/popularity/seed-1", "runs/one"]
    one = runs["runs/one"]
    assert (one["model"], one["data"], one["best_epoch"]) == ("popularity", "data", 1)
    assert f"runs/one: popularity on data, best epoch 1, test Recall@20 {one['test/recall@20']:.4f}"
    assert "seed-1: popularity on data, not finished" in output
    assert "cannot read runs/broken/config.json" in output


def test_an_empty_folder_and_a_device_that_is_not_there(tmp_path):
    environment = os.environ | {"JAX_PLATFORMS": "abacus", "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "mmssl_jax", "doctor", "--json=report.json"]
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "problem           no device as JAX_PLATFORMS=abacus wants it" in done.stdout
    assert "JAX_PLATFORMS=abacus" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["devices"]["found"] == []
    assert (report["data"], report["runs"]) == ({}, [])
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_device_that_computes_other_numbers_or_none(monkeypatch):
    def fail(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL:\nbroken")

    (device, *_) = jax.devices()
    monkeypatch.setattr(machine, "_summed", lambda left, right, places: left)
    assert machine.trial(device)["problem"] == "it computes other numbers"
    monkeypatch.setattr(machine, "_summed", fail)
    trial = machine.trial(device)
    assert trial["problem"] == "JaxRuntimeError: INTERNAL: broken"
    assert not trial["right"]


def test_a_report_that_cannot_be_written_is_noticed_first(monkeypatch, capsys):
    from worlds import code_of

    assert code_of(["doctor", "--json=/proc/x"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: cannot write /proc/x")
