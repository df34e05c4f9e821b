"""The loop over epochs: train, validate, save, stop; then the test split, once."""

import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.checks import cold
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.ranking import candidates, full_ranking
from mmssl_jax.runs import provenance
from mmssl_jax.runs.checkpoints import Checkpoints, abstract
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import devices, results, selection, session
from mmssl_jax.training import state as states
from mmssl_jax.training.progress import Progress
from mmssl_jax.training.session import Session, Trained
from mmssl_jax.training.step import Constants, RunSteps, Terms

OUT_OF_MEMORY = (MemoryError, jax.errors.JaxRuntimeError)  # of the host, of a device
FAILURES = (InputError, *OUT_OF_MEMORY)  # of a run
Watch = Callable[[int, float], None]  # (epoch, its validation Recall@20)
Validate = Callable[[states.TrainState], dict[str, float]]  # metric on val -> value


def train(
    config: Config,
    dataset: Dataset,
    folder: pathlib.Path,
    *,
    splits: Sequence[str] = results.SPLITS,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Trains a model, or goes on with a run that was stopped, and scores its best epoch.

    `selection` says which epoch is the best and when a run ends. The test split is scored once, at
    the end. Where all pairs are in train (`Dataset.final`), a run ends after `train.epochs`, the
    last epoch is the best, and there are no scores.

    Args:
      config: resolved.
      dataset: the data.
      folder: of the run; a run of the same config and data in it is continued.
      splits: those that the best epoch is scored on; without 'test' the test split is not read.
      watch: called after each validation; on resume it is first called for the earlier ones. An
        exception from it ends the run.

    Returns:
      The content of results.json.

    Raises:
      InputError: the folder holds another run, a loss became NaN or infinite, or a split has no
        pair that counts, or val none that the model can score.
    """
    dataset, splits = models.as_read(config, dataset), () if dataset.final else splits
    own, run = session.prepare(config, dataset), RunFolder(folder)
    _check_truths(own, splits)
    with run.open(config, dataset, models.resolve), session.checkpoints_of(run) as checkpoints:
        state, rows, programs = _start(own, run, checkpoints)
        if watch is not None:
            for row in rows:
                watch(row["epoch"], row[f"val/{selection.METRIC}"])
        state = _train(programs, state, rows, run, checkpoints, watch)
        best_epoch, epochs = int(state.best_epoch), checkpoints.latest_epoch
        like = jax.tree.map(abstract, state)
        del state  # two states at once would be the peak of a run's memory
        best = checkpoints.restore(best_epoch, like)
    trained = Trained(config, dataset, best_epoch, own.model, best)
    summary = results.about_run(config, dataset, own.model)
    summary |= results.of_epoch(config, best_epoch) | {"epochs": epochs, **_costs(rows)}
    summary |= {"compile_seconds": programs.compile_seconds}
    summary |= results.not_modelled(trained, splits)
    summary |= results.score_splits(trained, splits)
    atomic.write_json(run.results, summary)
    return summary


def _check_truths(own: Session, splits: Sequence[str]) -> None:
    truths = candidates.truths(own.dataset, own.config.evaluation, splits)
    cold.check(own.dataset, truths, own.config.model.name, own.model.scores_cold_items)


def _costs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """By which commits a run was trained, whatever code scores it now, and how fast."""
    return {
        "commit": ", ".join(dict.fromkeys(row.get("commit") or "unknown" for row in rows)),
        "seconds_per_epoch": statistics.median(row["seconds"] for row in rows) if rows else None,
    }


class _Programs(NamedTuple):
    """What the epochs of a run have in common: compiled, and on the devices."""

    session: Session
    mesh: Mesh
    constants: Constants
    steps: RunSteps
    per_call: int  # steps in a call, at most
    validate: Validate
    compile_seconds: float


def _start(
    own: Session, run: RunFolder, checkpoints: Checkpoints
) -> tuple[states.TrainState, list[dict[str, Any]], _Programs]:
    """The state that a run begins or goes on with, its rows of metrics so far, and its programs."""
    config = own.config
    mesh = devices.make_mesh(config.mesh)
    init_key, run_key = jax.random.split(jax.random.key(config.train.seed))
    state = devices.place(own.initial_state(init_key), mesh)
    done = checkpoints.latest_epoch or 0
    if done:
        state = checkpoints.restore(done, state)
    rows = run.read_metrics(up_to_epoch=done)

    # Everything is compiled before the clock of the first epoch starts.
    started = time.perf_counter()
    constants = own.constants(run_key, mesh)
    per_call = min(config.train.steps_per_call, config.train.evaluate_every * own.steps_per_epoch)
    steps = own.compiled(state, constants, per_call, mesh)
    validate = _validation(own, constants[1])
    validate(state)
    seconds = time.perf_counter() - started
    return state, rows, _Programs(own, mesh, constants, steps, per_call, validate, seconds)


def _train(
    programs: _Programs,
    state: states.TrainState,
    rows: list[dict[str, Any]],
    run: RunFolder,
    checkpoints: Checkpoints,
    watch: Watch | None,
) -> states.TrainState:
    """Runs epochs until the run has ended; every validation adds a row and saves the state."""
    config, final = programs.session.config, programs.session.dataset.final
    about = results.about_run(config, programs.session.dataset, programs.session.model)
    stored = about | {"config": configs.flatten(config)}
    done, every = checkpoints.latest_epoch or 0, config.train.evaluate_every
    with Progress(config.train.epochs, programs.session.steps_per_epoch, done) as progress:
        if done:
            progress.say(f"{run.folder}: going on after epoch {done}")
        while not selection.has_ended(done, int(state.stale), config.train):
            started = time.perf_counter()
            epochs = min(every, config.train.epochs - done)
            state, terms = _run_epochs(programs, state, epochs, progress)
            done += epochs
            scores = programs.validate(state)
            # Without validation the last epoch is the best.
            score = float(done) if final else scores[selection.METRIC]
            state = devices.place(states.with_score(state, score, done), programs.mesh)
            row = {"epoch": done, "step": int(state.step), "commit": provenance.commit()} | terms
            row |= {f"val/{name}": value for name, value in scores.items()}
            rows.append(row | {"seconds": (time.perf_counter() - started) / epochs})
            run.write_metrics(rows)  # before its checkpoint, so that a kill loses neither
            checkpoints.save(done, state, score, stored)
            rows[-1]["seconds"] = (time.perf_counter() - started) / epochs
            run.write_metrics(rows)
            progress.epoch(rows[-1], int(state.best_epoch))
            if watch:
                watch(done, score)
    return state


def _validation(own: Session, inputs: Any) -> Validate:
    """The function that validates a state; for a final run, one that returns no metrics."""
    config, dataset, model = own.config, own.dataset, own.model
    if dataset.final:
        return lambda state: {}
    task = candidates.ranking_task(dataset, config.evaluation, "val")
    embed = jax.jit(model.embed)

    def validate(state: states.TrainState) -> dict[str, float]:
        representation = embed(state.params, inputs, state.held)
        return full_ranking.evaluate(representation, task, config.evaluation.cutoffs, model.score)

    return validate


def _run_epochs(
    programs: _Programs, state: states.TrainState, epochs: int, progress: Progress
) -> tuple[states.TrainState, dict[str, float]]:
    """The state after so many epochs, and the means of the loss terms over their steps.

    The losses of one call are read while the next one runs.
    """
    steps, per_call = epochs * programs.session.steps_per_epoch, programs.per_call
    step, read = int(state.step), []
    pending: list[tuple[Terms, int, int]] = []  # calls whose losses are not read yet
    for start in range(0, steps, per_call):
        length = min(per_call, steps - start)  # all calls are full but the last
        state, history = programs.steps(state, programs.constants, jnp.asarray(length, jnp.int32))
        pending.append((history, step + start, length))
        if len(pending) > 1:
            read.append(_read_terms(*pending.pop(0), progress))
    read.append(_read_terms(*pending.pop(), progress))
    _check_parameters(state)
    names = read[0].keys()
    return state, {
        name: float(np.mean(np.concatenate([part[name] for part in read]))) for name in names
    }


def _read_terms(
    history: dict[str, jax.Array], first_step: int, length: int, progress: Progress
) -> dict[str, np.ndarray]:
    """The terms of the steps of a call, on the host; InputError where one is no number."""
    terms = {name: np.asarray(values[:length]) for name, values in history.items()}
    for index in range(length):
        for name in sorted(terms, key=lambda name: name.endswith("/loss")):  # totals last
            if not np.isfinite(value := terms[name][index]):
                raise _diverged(f"loss '{name}' became {value}", first_step + index + 1)
    progress.steps(length, {name: float(values[-1]) for name, values in terms.items()})
    return terms


def _check_parameters(state: states.TrainState) -> None:
    """Raises InputError where a parameter is no number."""
    finite = jax.tree.map(lambda x: jnp.all(jnp.isfinite(x)), state.params)
    for path, leaf in jax.tree.leaves_with_path(finite):
        if not leaf:
            name = jax.tree_util.keystr(path)
            raise _diverged(f"parameter {name} became NaN or inf", int(state.step))


def _diverged(what: str, step: int) -> InputError:
    return InputError(
        f"{what} at step {step}; training stopped and kept the last validated epoch, if any; try "
        "a lower train.learning_rate or critic.learning_rate in another --workdir, or check the "
        "features' scale"
    )
