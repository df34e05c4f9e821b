"""Runs of earlier versions of the package load, score as they did, and go on as they would."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from worlds import SECONDS

from mmssl_jax import models, training
from mmssl_jax.config import named
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import VERSION, RunFolder
from mmssl_jax.training import session

RUNS = pathlib.Path(__file__).parent  # of each version two epochs, and what two more gave
VERSIONS = sorted(path.name for path in RUNS.glob("run_of_version_*"))
HERE = {"commit", "device", "cores", "python"}  # of the machine that ran it


@pytest.fixture(name="old", params=VERSIONS)
def _old(tmp_path, monkeypatch, request) -> pathlib.Path:
    shutil.copytree(RUNS / request.param, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


def facts(values: dict) -> dict:
    """The values that do not depend on the machine and the moment."""
    return {
        name: value
        for name, value in values.items()
        if name not in HERE | SECONDS and not name.startswith("version/")
    }


def assert_alike(found: dict, stored: dict) -> None:
    """The same keys and values; numbers as near as another processor computes them.

    Only an evaluation of that version lacks the groups by training pairs, and an epoch the norm of
    the critic's gradient.
    """
    late = ("_1-2", "_3-5", "_6+", "critic/gradient_norm")
    new = {name for name in facts(found) if name.endswith(late)}
    assert facts(found).keys() - new == facts(stored).keys() - new
    for name, value in facts(stored).items():
        if isinstance(value, float):
            np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
        else:
            assert found[name] == value, name


def test_an_old_run_has_the_scores_it_had(old):
    run = RunFolder(old / "run")
    config, dataset = session.open_run(run)
    found = training.evaluate_run(config, dataset, run)
    assert_alike(found, json.loads((old / "before.json").read_text()))


def test_an_old_run_goes_on_by_its_old_config_file_as_it_would_have(old):
    given = named.call(pathlib.Path("tiny.py"), "get_config")
    given.train.epochs = 4
    config = models.resolve(given)
    dataset = session.load_data(config)
    training.train(config, dataset, old / "run")
    lines = (old / "run" / "metrics.jsonl").read_text().splitlines()
    stored = (old / "after.jsonl").read_text().splitlines()
    assert len(lines) == len(stored) == 4
    for line, old_line in zip(lines, stored, strict=True):
        assert_alike(json.loads(line), json.loads(old_line))
    found = training.evaluate_run(config, dataset, RunFolder(old / "run"))
    assert_alike(found, json.loads((old / "after.json").read_text()))
    assert json.loads((old / "run" / "config.json").read_text())["version"] == VERSION


def test_a_setting_that_came_later_has_its_default_in_an_old_run(old):
    path = old / "run" / "config.json"
    content = json.loads(path.read_text())
    for field in ("mmssl.heads", "train.steps_per_call", "train.embedding_l2"):
        del content["config"][field]
    path.write_text(json.dumps(content))
    given = named.call(pathlib.Path("tiny.py"), "get_config")
    config = models.resolve(given)
    dataset = session.load_data(config)
    with RunFolder(old / "run").open(config, dataset, models.resolve):
        pass
    path.write_text(json.dumps(content))
    given.mmssl.heads = 2
    with (
        pytest.raises(InputError, match=r"its mmssl.heads is 4, not 2"),
        RunFolder(old / "run").open(models.resolve(given), dataset, models.resolve),
    ):
        pass


def test_a_run_of_a_newer_version_is_refused(old):
    path = old / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": VERSION + 1}))
    with pytest.raises(InputError, match=r"newer mmssl_jax .*upgrade"):
        RunFolder(old / "run").read()


def test_every_released_version_has_a_run():
    assert [f"run_of_version_{version}" for version in range(VERSION + 1)] == VERSIONS
