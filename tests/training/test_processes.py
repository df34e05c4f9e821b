"""Several processes that train one model: the same figures as one, whatever becomes of them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import process_driver
import pytest
from worlds import ROOT

MODELS = list(process_driver.SETTINGS)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def together(folder: Path, count: int, devices: int, models: list[str], **mesh: int) -> None:
    """Trains models in so many processes with so many devices each."""
    task = {"coordinator": f"127.0.0.1:{free_port()}", "count": count, "folder": str(folder)}
    task |= {"models": models, "mesh": mesh}
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": "",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    }
    driver = ROOT / "tests" / "process_driver.py"
    started = [
        subprocess.Popen(
            [sys.executable, driver, json.dumps(task | {"process": number})],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(count)
    ]
    said = [each.communicate(timeout=600)[0] for each in started]
    assert [each.returncode for each in started] == [0] * count, said


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
        process_driver.train(name, folder)
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
