"""The files in configs/: configs that hold, and studies that apply to the one they name."""

import pathlib
import re
import runpy

import pytest
from worlds import ROOT

from mmssl_jax import models
from mmssl_jax.config import Config, flatten, named
from mmssl_jax.studies import tune

STUDIES = sorted((ROOT / "configs/studies").glob("*.py"))


def config_of(file: str) -> Config:
    return runpy.run_path(str(ROOT / file))["get_config"]()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_setting_applies(study: pathlib.Path):
    command = re.search(r"--config (\S+)", study.read_text())
    rows = []
    for overrides in named.read(str(study)).values():
        assert "train.seed" not in overrides  # which compare refuses
        applied = named.applied(config_of(command[1]), overrides)
        values = flatten(models.resolve(applied))
        wanted = {field: value for field, value in overrides.items() if value is not None}
        assert {field: values[field] for field in wanted} == wanted
        rows.append(values)
    assert all(values not in rows[:index] for index, values in enumerate(rows))


FOLDERS = (ROOT / "configs", ROOT / "configs/studies/search")
CONFIGS = [path for folder in FOLDERS for path in folder.glob("*.py")]


@pytest.mark.parametrize("path", sorted(CONFIGS), ids=lambda p: f"{p.parent.name} {p.stem}")
def test_every_config_holds(path: pathlib.Path):
    assert models.resolve(config_of(str(path))).model.name
    assert f"--config {path.relative_to(ROOT)}" in path.read_text()
    if "get_search_space" in path.read_text():
        pytest.importorskip("optuna")
        assert tune.read_space(path)


def test_mmssl_among_the_models_is_the_best_setting():
    study = named.read(str(ROOT / "configs/studies/models.py"))
    applied = named.applied(config_of("configs/tiktok_released.py"), study["mmssl"])
    best = models.resolve(config_of("configs/tiktok_mmssl.py"))
    assert flatten(models.resolve(applied)) == flatten(best)
