"""A kind of device that is asked for and absent: one line, exit code 2, in every command."""

import os
import subprocess
import sys

import jax
import pytest
from worlds import ROOT, Place, config_of, world

from mmssl_jax.commands import call
from mmssl_jax.errors import InputError
from mmssl_jax.training import devices, session

SPACE = """

def get_search_space():
    import optuna
    return {"train.learning_rate": optuna.distributions.FloatDistribution(1e-3, 1e-2)}
"""


@pytest.fixture(name="place", scope="module")
def _place(tmp_path_factory) -> Place:
    place = Place(tmp_path_factory.mktemp("devices"))
    with place.config.open("a") as config:
        config.write(SPACE)
    place.train("--config.model.name=popularity", "--config.train.epochs=1")
    return place


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", []),
        ("evaluate", []),
        ("compare", ["--models=mf", "--seeds=1"]),
        ("tune", ["--trials=1"]),
        ("export", ["--to={folder}/exported"]),
        ("recommend", ["--users=1"]),
    ],
)
def test_every_command_refuses_before_it_reads_or_writes(
    place, tmp_path, monkeypatch, command, flags
):
    def fail():
        raise RuntimeError("Unable to initialize backend 'abacus' (set JAX_PLATFORMS='' to ...)")

    monkeypatch.setattr(jax, "devices", fail)
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    argv = place.argv(*(flag.format(folder=tmp_path) for flag in flags))
    if command in ("compare", "tune"):
        argv[1] = f"--workdir={tmp_path / 'studies'}"
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as refused:
        call([command, *argv])
    assert str(refused.value) == (
        "no device as JAX_PLATFORMS=abacus wants it (Unable to initialize backend 'abacus'); "
        "leave that variable out to compute on what there is, or for an NVIDIA GPU pip install "
        '".[cuda12]"'
    )
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("variable", ["JAX_PLATFORMS=abacus", "JAX_PLATFORM_NAME=abacus"])
def test_a_missing_device_is_one_line_and_exit_code_2(tmp_path, variable):
    name, _, kind = variable.partition("=")
    environment = {k: v for k, v in os.environ.items() if k != "JAX_PLATFORMS"} | {name: kind}
    command = [sys.executable, "train.py", "--config=configs/demo.py", f"--workdir={tmp_path}/run"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"error: no device as {variable} wants it")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_device_that_fails_without_a_word_is_one_line_too(monkeypatch):
    def fail():
        raise AssertionError

    monkeypatch.setattr(jax, "devices", fail)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    monkeypatch.delenv("JAX_PLATFORM_NAME", raising=False)
    with pytest.raises(InputError, match="no device as jax's defaults wants it; leave"):
        devices.check_devices()


def test_float64_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "train.py", "--config", "configs/demo.py", "--workdir", tmp_path / "run"],
        cwd=ROOT,
        env=os.environ | {"JAX_ENABLE_X64": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: jax is told to compute in float64 (JAX_ENABLE_X64)")
    assert not (tmp_path / "run").exists()


def test_float32_products_are_made_in_float32_unless_somebody_said_otherwise():
    def dot() -> str:
        ones = jax.ShapeDtypeStruct((2, 2), "float32")
        return jax.jit(lambda a, b: a @ b).lower(ones, ones).as_text()

    before = jax.config.jax_default_matmul_precision
    try:
        jax.config.update("jax_default_matmul_precision", None)
        assert "HIGHEST" not in dot()
        session.prepare(config_of("lightgcn"), world())
        assert "precision = [HIGHEST, HIGHEST]" in dot()
        jax.config.update("jax_default_matmul_precision", "tensorfloat32")
        session.prepare(config_of("lightgcn"), world())
        assert jax.config.jax_default_matmul_precision == "tensorfloat32"
    finally:
        jax.config.update("jax_default_matmul_precision", before)
