"""Runs of every format that was ever written, of formats to come, and of other libraries."""

import io
import json
import shutil
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worlds import SECONDS, config_of, world

from faults.tally import Tally
from mmssl_jax import models, training
from mmssl_jax.errors import InputError
from mmssl_jax.files import sealed
from mmssl_jax.runs import provenance
from mmssl_jax.runs.folder import VERSION, RunFolder
from mmssl_jax.training import session
from mmssl_jax.training.epochs import Outside

PROMISE = (
    "A run of every released format loads and has the scores it had; one of a newer format is "
    "refused in one line; and a run that goes on with other libraries or on another device says so."
)
OLD = Path(__file__).parents[1] / "runs"
RELEASED = sorted(OLD.glob("run_of_version_*"))
NEAR = 1e-5  # how far another processor computes other numbers
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy")


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Scores old runs, changes the version of one, and goes on with runs of other libraries."""
    for number in range(max(round(share * 4), 1) * len(RELEASED)):
        _scored(tally, RELEASED[number % len(RELEASED)], folder / f"old {number}")
    _fewer_fields(tally, rng, max(round(share * 300), 3), folder / "fewer")
    _newer(tally, rng, max(round(share * 500), 5), folder / "newer")
    _other_libraries(tally, rng, max(round(share * 12), 1), folder / "others")


def _scored(tally: Tally, old: Path, folder: Path) -> None:
    """The scores are those that the version itself gave."""
    shutil.copytree(old, folder)
    with tally.fault("run of a released version", old.name):
        run = RunFolder(folder / "run")
        config, dataset = session.open_run(run, path=str(folder / "data"))
        found = training.evaluate_run(config, dataset, run)
        stored = json.loads((folder / "before.json").read_text())
        numbers = {name: value for name, value in stored.items() if isinstance(value, float)}
        compared = [name for name in numbers if name not in SECONDS]
        assert len(compared) > 20
        for name in compared:
            np.testing.assert_allclose(found[name], numbers[name], rtol=NEAR, err_msg=name)


def _fewer_fields(tally: Tally, rng: np.random.Generator, count: int, folder: Path) -> None:
    """A config without settings that came later has their defaults."""
    shutil.copytree(RELEASED[0], folder)
    run = RunFolder(folder / "run")
    content = json.loads(run.config.read_text())
    later = [name for name in content["config"] if name.startswith(("mmssl.", "critic.", "eval"))]
    for _ in range(count):
        gone = rng.choice(later, size=int(rng.integers(1, 6)), replace=False).tolist()
        with tally.fault("settings that were not there yet", ", ".join(gone)):
            fields = {name: value for name, value in content["config"].items() if name not in gone}
            run.config.write_text(json.dumps(content | {"config": fields}))
            config = models.resolve(run.read()[0])
            assert config.model.embedding_dim == 8


def _newer(tally: Tally, rng: np.random.Generator, count: int, folder: Path) -> None:
    """A version that this program does not know, with fields that it does not know either."""
    shutil.copytree(RELEASED[-1], folder)
    run = RunFolder(folder / "run")
    content = json.loads(run.config.read_text())
    odd: list[Any] = [f"{VERSION + 1}", 1.5, None, [VERSION], {"major": 2}, 10**40]
    for number in range(count):
        version = odd[number // 2 % len(odd)] if number % 2 else VERSION + int(rng.integers(1, 99))
        new = content | {"version": version, f"field {rng.integers(99)}": 1}
        new = sealed.sealed(new) if rng.integers(2) else new
        run.config.write_text(json.dumps(new))
        with tally.fault("run of a newer version", repr(version)):
            with pytest.raises(InputError, match="upgrade") as caught:
                run.read()
            assert str(caught.value).isprintable()


def _other_libraries(tally: Tally, rng: np.random.Generator, count: int, folder: Path) -> None:
    """A run that says of itself that it was trained with others goes on, and this is said."""
    dataset, quiet = world(), Outside(quiet=True)
    training.train(config_of("mf", train__epochs=1), dataset, folder / "run", outside=quiet)
    real = provenance.about
    for number in range(count):
        shutil.copytree(folder / "run", folder / str(number))
        name = str(rng.choice(LIBRARIES))
        key = f"version/{name}"
        other = {key: f"9.{rng.integers(99)}.0"}
        with tally.fault("run of other libraries", f"{name} {other[key]}"):
            said = io.StringIO()
            provenance.about = lambda other=other: real() | other
            try:
                with redirect_stderr(said):
                    config = config_of("mf", train__epochs=2)
                    summary = training.train(config, dataset, folder / str(number))
            finally:
                provenance.about = real
            lines = " ".join(said.getvalue().split())
            assert f"trained with {name} {provenance.version(name)}, now {other[key]}" in lines
            assert summary["epochs"] == 2
