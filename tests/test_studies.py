"""The settings of configs/studies: they apply, and `released` is what the authors published."""

import pathlib
import runpy

import pytest
from worlds import ROOT

from mmssl_jax import cli, settings
from mmssl_jax.config import Config, flatten
from mmssl_jax.models import MODELS

STUDIES = sorted((ROOT / "configs/studies").glob("*.py"))


def tiktok() -> Config:
    return runpy.run_path(str(ROOT / "configs/tiktok.py"))["get_config"]()


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_setting_applies(study: pathlib.Path):
    rows = []
    for overrides in settings.read(str(study)).values():
        values = flatten(cli.resolved(settings.applied(tiktok(), overrides)))
        wanted = {field: value for field, value in overrides.items() if value is not None}
        assert {field: values[field] for field in wanted} == wanted
        rows.append(values)
    assert all(values not in rows[:index] for index, values in enumerate(rows))


def test_released_is_the_published_setting_whatever_the_config_chooses():
    released = settings.read(str(ROOT / "configs/studies/parts.py"))["released"]
    published = Config(name="tiktok")
    published.data.path = "data/tiktok"
    published.critic.enabled = False
    published.mmssl.learning_rate = 5.4e-4
    published.mmssl.adversarial_weight = 1.8e-3
    published.mmssl.real_temperature = 0.002
    applied = cli.resolved(settings.applied(tiktok(), released | {"name": "tiktok"}))
    assert flatten(applied) == flatten(cli.resolved(published))


def test_baselines_keep_their_defaults():
    models = settings.read(str(ROOT / "configs/studies/models.py"))
    for name in MODELS.keys() - {"mmssl"}:
        plain = Config(name="tiktok")
        plain.data.path = "data/tiktok"
        plain.model.name = name
        applied = cli.resolved(settings.applied(tiktok(), models[name] | {"name": "tiktok"}))
        shared = {key for key in flatten(applied) if not key.startswith(("mmssl.", "critic."))}
        values = flatten(cli.resolved(plain))
        assert {key: flatten(applied)[key] for key in shared} == {
            key: values[key] for key in shared
        }
