"""Several processes that train one model: the same figures as one, whatever becomes of them."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import process_driver
import pytest
from worlds import ROOT, Place

from mmssl_jax.runs import processes

MODELS = list(process_driver.SETTINGS)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def environment(devices: int) -> dict[str, str]:
    """Of a process with so many devices."""
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    }


def together(folder: Path, count: int, devices: int, models: list[str], **mesh: int) -> None:
    """Trains models in so many processes with so many devices each."""
    task = {"coordinator": f"127.0.0.1:{free_port()}", "count": count, "folder": str(folder)}
    task |= {"models": models, "mesh": mesh}
    driver = ROOT / "tests" / "process_driver.py"
    running = [
        subprocess.Popen(
            [sys.executable, driver, json.dumps(task | {"process": number})],
            env=environment(devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(count)
    ]
    try:
        said = [each.communicate(timeout=600)[0] for each in running]
    finally:
        for each in running:
            each.kill()
    assert [each.returncode for each in running] == [0] * count, said


def figures(folder: Path) -> dict[str, list[float]]:
    """Loss terms and metrics of a run, by epoch, and its final scores."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    results = json.loads((folder / "results.json").read_text())
    found: dict[str, list[Any]] = {
        name: [row[name] for row in rows] for name in rows[0] if "/" in name
    }
    found |= {name: [results[name]] for name in results if name.startswith(("val/", "test/"))}
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    for name in MODELS:
        process_driver.train(name, folder, process_driver.data())
    return folder


@pytest.mark.parametrize(
    ("count", "devices", "mesh"),
    [
        (2, 2, {}),
        pytest.param(2, 1, {}, marks=pytest.mark.slow),
        pytest.param(2, 4, {"data": 2, "model": 4}, marks=pytest.mark.slow),
        pytest.param(4, 1, {"data": 4, "model": 1}, marks=pytest.mark.slow),
        pytest.param(4, 2, {"data": 2, "model": 4}, marks=pytest.mark.slow),
        pytest.param(4, 4, {}, marks=pytest.mark.slow),
    ],
)
def test_several_processes_have_the_figures_of_one(alone, tmp_path, count, devices, mesh):
    together(tmp_path, count, devices, MODELS, **mesh)
    for name in MODELS:
        expected, found = figures(alone / name), figures(tmp_path / name)
        assert found.keys() == expected.keys()
        for figure, values in found.items():
            message = f"{name}: {figure}"
            np.testing.assert_allclose(values, expected[figure], rtol=1e-5, err_msg=message)


PATIENCE = 300  # seconds for what takes a few on an idle machine
LIGHTGCN = ("--config.model.name=lightgcn", "--config.train.patience=1000")


@contextlib.contextmanager
def started(place: Place, count: int, *flags: str) -> Iterator[list[subprocess.Popen]]:
    """`mmssl train --distributed` in so many processes, which are gone at the end."""
    port = free_port()
    command = [sys.executable, "-m", "mmssl_jax", "train", *place.argv(*LIGHTGCN, *flags)]
    command += ["--distributed", f"--coordinator=127.0.0.1:{port}", f"--processes={count}"]
    running = [
        subprocess.Popen(
            [*command, f"--process={number}"],
            env=environment(1),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for number in range(count)
    ]
    try:
        yield running
    finally:
        for each in running:
            each.kill()
            each.communicate()


def wait_for(place: Place, epochs: int, running: list[subprocess.Popen]) -> None:
    """Until a run has so many rows of metrics."""
    metrics, end = place.run / "metrics.jsonl", time.monotonic() + PATIENCE
    while not metrics.exists() or len(metrics.read_text().splitlines()) < epochs:
        assert all(each.poll() is None for each in running), "a process has ended"
        assert time.monotonic() < end, "no epoch in time"
        time.sleep(0.05)


def curve(place: Place) -> dict[int, dict[str, float]]:
    """Epoch -> losses and metrics."""
    return {row["epoch"]: {k: v for k, v in row.items() if "/" in k} for row in place.metrics}


def assert_same_curve(one: Place, other: Place) -> None:
    first, second = curve(one), curve(other)
    assert first.keys() == second.keys()
    for epoch, row in first.items():
        for name, value in row.items():
            np.testing.assert_allclose(second[epoch][name], value, rtol=1e-5, err_msg=name)


def test_where_one_is_killed_the_other_ends_with_a_line_and_one_goes_on(tmp_path):
    whole, killed = Place(tmp_path / "whole"), Place(tmp_path / "killed")
    with started(killed, 2, "--config.train.epochs=4000") as running:
        wait_for(killed, 3, running)
        running[1].kill()
        _, errors = running[0].communicate(timeout=60)
        assert running[0].returncode == 2
        assert "error: process 0: another process was lost; the same command goes on" in errors
        assert "Traceback" not in errors
    epochs = max(curve(killed)) + 2
    killed.train(*LIGHTGCN, f"--config.train.epochs={epochs}")
    whole.train(*LIGHTGCN, f"--config.train.epochs={epochs}")
    assert_same_curve(whole, killed)


def test_one_that_is_asked_to_end_has_all_save_and_end(tmp_path):
    place = Place(tmp_path)
    with started(place, 2, "--config.train.epochs=4000") as running:
        wait_for(place, 2, running)
        running[1].send_signal(signal.SIGTERM)
        said = [each.communicate(timeout=PATIENCE) for each in running]
        assert [each.returncode for each in running] == [0, 0], said
    assert "stopped and saved at step" in said[0][1]
    assert not said[1][0]
    assert not said[1][1]
    place.train(*LIGHTGCN, f"--config.train.epochs={max(curve(place)) + 1}")
    whole = Place(tmp_path / "whole")
    whole.train(*LIGHTGCN, f"--config.train.epochs={max(curve(place))}")
    assert_same_curve(whole, place)


def test_a_wrong_flag_is_one_line_of_the_first(tmp_path):
    with started(Place(tmp_path), 2, "--config.mesh.data=3") as running:
        said = [each.communicate(timeout=PATIENCE) for each in running]
        assert [each.returncode for each in running] == [2, 2]
    assert "config field 'mesh' asks for 3 x 1 devices, but there are 2" in said[0][1]
    assert "error" not in said[1][1]


def test_what_stands_still_is_ended(monkeypatch):
    ended = []
    monkeypatch.setattr(processes, "CALL", 0.01)
    monkeypatch.setattr(processes, "meet", lambda *_: True)
    with processes.Roll(ended.append, stuck=0.02, first=10.0) as roll:
        time.sleep(0.05)
        assert not ended  # it may take long to begin
        for _ in range(20):
            roll.moved()
            time.sleep(0.01)
        assert not ended
        time.sleep(1.5)
    assert "nothing has moved for" in ended[0]


@pytest.mark.slow
def test_ten_kills_of_four_processes_lose_no_more_than_the_steps_since_a_checkpoint(tmp_path):
    rng, killed, whole = random.Random(0), Place(tmp_path / "killed"), Place(tmp_path / "whole")
    count, before = 4, 0
    for _ in range(10):
        with started(killed, count, "--config.train.epochs=100000") as running:
            wait_for(killed, before + 1, running)
            time.sleep(rng.uniform(0, 5))
            victim = rng.randrange(count)
            running[victim].kill()
            end = time.monotonic() + 60
            others = [each for each in running if each is not running[victim]]
            said = [each.communicate(timeout=end - time.monotonic()) for each in others]
            codes = {each.returncode for each in others}
            assert codes <= ({2} if victim else {2, -signal.SIGABRT}), said
        assert max(curve(killed)) > before
        before, count = max(curve(killed)), 3 if count == 4 else 4
    epochs = before + 2
    killed.train(*LIGHTGCN, f"--config.train.epochs={epochs}")
    whole.train(*LIGHTGCN, f"--config.train.epochs={epochs}")
    assert_same_curve(whole, killed)
