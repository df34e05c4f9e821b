"""Numbers that become NaN or infinite: in the state of a run, by its settings, in its features."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from worlds import ITEMS, config_of, world

from faults import poison
from faults.tally import Tally
from mmssl_jax import data, training
from mmssl_jax.config import Config
from mmssl_jax.data.features import files
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import devices, epochs, finite, session
from mmssl_jax.training.epochs import ALONE, Outside, Programs
from mmssl_jax.training.progress import Progress

PROMISE = (
    "A loss or a part of the state that is no finite number ends training within the call of steps "
    "after the one in which it came, in one line with the step and the loss term or the array, and "
    "the last validated epoch stays on disk."
)
MODELS = ("mmssl", "lattice", "micro", "lightgcn", "hybrid", "vbpr", "ngcf", "mf")
STEPS, PER_CALL = 20, 5
QUIET = Outside(quiet=True)


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Poisons states, then whole runs, then settings, then files of features."""
    names = list(rng.permutation(MODELS))
    for name in names[: max(round(share * len(names)), 1)]:
        _states(tally, rng, str(name), max(round(share * 150), 3))
    for number in range(max(round(share * 16), 1)):
        _run(tally, rng, str(names[number % len(names)]), folder / f"run {number}")
    for number in range(max(round(share * 12), 1)):
        _exploding(tally, rng, number, folder / f"exploding {number}")
    _features(tally, rng, max(round(share * 1500), 6), folder / "features")


def _config(name: str, **values: Any) -> Config:
    critic = {"critic__hidden": 8} if name == "mmssl" else {}
    return config_of(name, train__steps_per_call=PER_CALL, **critic, **values)


def _states(tally: Tally, rng: np.random.Generator, name: str, count: int) -> None:
    """A poison within a call of steps of a model, each after the other with one program."""
    own = session.prepare(_config(name), world())
    mesh = devices.make_mesh(own.config.mesh)
    init_key, run_key = jax.random.split(jax.random.key(int(rng.integers(1 << 30))))
    state = own.initial_state(init_key, mesh)
    constants = own.constants(run_key, mesh)
    with poison.in_training(poison.NONE):
        of_poison = own.constants(run_key, mesh)
        steps = own.compiled(state, of_poison, PER_CALL, mesh)
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return steps(*arguments)

    def run(fault: poison.Poison) -> Any:
        nonlocal calls
        calls = 0
        given = poison.with_poison(constants, fault)
        programs = Programs(own, mesh, given, counted, PER_CALL, lambda _: {}, 0.0)
        with Progress(STEPS, 1, 0, quiet=True) as progress:
            return epochs.run_steps(programs, poison.replaced(state), STEPS, {}, progress, ALONE)[0]

    sound = run(poison.NONE)
    for _ in range(count):
        fault = poison.drawn(rng, state, STEPS)
        leaf, _ = poison.floats(state)[int(fault.leaf)]
        said = f"{name}{leaf}[{fault.place}] is {fault.value} after step {fault.step}"
        with tally.fault("number in the state", said):
            _check_found(run, fault, sound, lambda: calls)


def _check_found(
    run: Callable[[poison.Poison], Any], fault: poison.Poison, sound: Any, calls: Callable[[], int]
) -> None:
    """It was found in time; or it had no effect at all, as where it was written over."""
    try:
        after = run(fault)
    except InputError as error:
        line, of_call = str(error), (int(fault.step) - 1) // PER_CALL
        assert line.isprintable()
        assert "loss '" in line or " of the state became " in line, line
        assert "; try a lower " in line, line
        steps = range(of_call * PER_CALL + 1, (of_call + 2) * PER_CALL + 1)
        assert any(f"step {step};" in line or f"steps {step} to" in line for step in steps), line
        assert calls() <= of_call + 2, f"{calls()} calls"
        return
    same = jax.tree.map(lambda one, other: bool((one == other).all()), after, sound)
    assert all(jax.tree.leaves(same)), "it was not found"


def _run(tally: Tally, rng: np.random.Generator, name: str, folder: Path) -> None:
    """A poison in a run of two epochs and more: what is on disk is what was validated before."""
    config = _config(name, train__epochs=3, train__patience=9)
    dataset = world()
    own = session.prepare(config, dataset)
    per_epoch = own.steps_per_epoch
    fault = poison.drawn(rng, own.shape_of_state(), per_epoch)
    fault = fault._replace(step=np.int32(fault.step + per_epoch))
    with tally.fault("number in a run", f"{name}: {fault}"):
        line = ""
        try:
            with poison.in_training(fault):
                training.train(config, dataset, folder, outside=QUIET)
        except InputError as error:
            line = str(error)
        with session.checkpoints_of(RunFolder(folder)) as checkpoints:
            latest = checkpoints.latest_epoch
            state = checkpoints.restore(latest, own.shape_of_state())
        whole = finite.of(state)
        assert np.asarray(whole.all_finite).all(), "a state that is not finite was saved"
        assert latest == (1 if line else 3), (latest, line)
        if line:
            assert "; try a lower " in line, line
            best = session.best_of_run(config, dataset, RunFolder(folder))
            assert np.asarray(finite.of(best.representation()).all_finite).all()


EXPLODING: list[tuple[str, dict[str, Any]]] = [
    ("mmssl", {"critic__learning_rate": 1e30}),
    ("mmssl", {"critic__penalty_weight": 3e38}),
    ("mmssl", {"train__learning_rate": 1e20}),
    ("mmssl", {"mmssl__temperature": 1e-38}),
    ("lattice", {"train__learning_rate": 1e30}),
    ("lattice", {"train__embedding_l2": 3e38}),
    ("micro", {"train__learning_rate": 1e30}),
    ("lightgcn", {"train__learning_rate": 1e38}),
    ("lightgcn", {"train__embedding_l2": 3e38}),
    ("hybrid", {"train__learning_rate": 1e30}),
    ("vbpr", {"train__learning_rate": 1e30}),
    ("ngcf", {"train__learning_rate": 1e30}),
]


def _exploding(tally: Tally, rng: np.random.Generator, number: int, folder: Path) -> None:
    """A setting that makes numbers grow; a run that ends well has finite numbers all the same."""
    name, values = EXPLODING[number] if number else EXPLODING[int(rng.integers(len(EXPLODING)))]
    with tally.fault("setting that explodes", f"{name}: {values}"):
        config, dataset = _config(name, **values), world()
        try:
            summary = training.train(config, dataset, folder, outside=QUIET)
        except InputError as error:
            line = str(error)
            assert "; try a lower " in line, line
            assert " at step " in line or " in steps " in line, line
        else:
            numbers = [value for value in summary.values() if isinstance(value, float)]
            assert np.isfinite(numbers).all()
            best = session.best_of_run(config, dataset, RunFolder(folder))
            assert np.asarray(finite.of(best.representation()).all_finite).all()


BAD = (np.nan, np.inf, -np.inf, 3e38, -3e38, 3e15, 1e300)


def _features(tally: Tally, rng: np.random.Generator, count: int, folder: Path) -> None:
    """Values in files of features: refused by the file's name."""
    canonical.write(world(), folder / "data", {})
    (folder / "data" / "files.sha256").unlink(missing_ok=True)  # else it would be that
    sound = np.load(folder / "data" / "text_feat.npy")
    for number in range(count):
        value = BAD[number % len(BAD)]
        kind = (np.float64, np.float32)[int(rng.integers(2))] if abs(value) < 1e39 else np.float64
        with np.errstate(over="ignore"):
            values = sound.astype(kind)
            values[int(rng.integers(ITEMS)), int(rng.integers(values.shape[1]))] = value
        with tally.fault("value in features", f"{value} as {np.dtype(kind)}"):
            path, read = _written(folder, values, int(rng.integers(3)))
            with pytest.raises(InputError) as caught:
                read()
            assert str(path) in str(caught.value)
            assert str(caught.value).isprintable()


def _written(folder: Path, values: np.ndarray, how: int) -> tuple[Path, Callable[[], Any]]:
    """A file of the features, and what reads it."""
    if how == 0:
        path = folder / "data" / "text_feat.npy"
        np.save(path, values)
        return path, lambda: data.load(str(folder / "data"))
    if how == 1:
        path = folder / "added.npz"
        np.savez(path, values)
        return path, lambda: files.read(path)
    path = folder / "added.csv"
    np.savetxt(path, values, delimiter=",")
    return path, lambda: files.read(path)
