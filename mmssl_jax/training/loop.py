"""The loop over epochs: train, validate, save, stop; then the test split, once."""

import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.checks import cold
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import candidates, full_ranking
from mmssl_jax.runs import processes, provenance, state_arrays
from mmssl_jax.runs.checkpoints import Checkpoints
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import devices, epochs, finite, results, room, selection, session, stopping
from mmssl_jax.training import state as states
from mmssl_jax.training.epochs import ALONE, History, Outside, Programs
from mmssl_jax.training.progress import Progress
from mmssl_jax.training.session import Session, Trained
from mmssl_jax.training.stopping import Part, Stopped

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
    outside: Outside = ALONE,
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
      outside: what the run asks and tells while it goes on.

    Returns:
      The content of results.json.

    Raises:
      Stopped: it was asked to end, and has saved its state.
      InputError: the folder holds another run or was damaged, a loss or a part of the state became
        NaN or infinite, or a split has no pair that counts, or val none that the model can score.
    """
    dataset, splits = models.as_read(config, dataset), () if dataset.final else splits
    own, run = session.prepare(config, dataset), RunFolder(folder)
    _check_truths(own, splits)
    mesh = devices.make_mesh(config.mesh)  # refused before anything is written
    with run.open(config, dataset, models.resolve), session.checkpoints_of(run) as checkpoints:
        programs, part, rows = _start(own, run, checkpoints, mesh)
        _show(rows, watch, outside)
        best_epoch, like = _train(programs, part, rows, run, checkpoints, watch, outside)
        last = checkpoints.latest_epoch
        del part  # two states at once would be the peak of a run's memory
        best = checkpoints.restore(best_epoch, like)
    place = programs.constants[1], programs.mesh
    trained = Trained(config, dataset, best_epoch, own.model, best, *place)
    costs = {"epochs": last, **_costs(rows), "compile_seconds": programs.compile_seconds}
    summary = results.summary(trained, splits) | costs
    if processes.is_first():
        run.write_results(summary)
    return summary


def _show(rows: list[dict[str, Any]], watch: Watch | None, outside: Outside) -> None:
    """Tells of the validations of an earlier part of the run."""
    for row in rows:
        outside.told(row)
        if watch is not None:
            watch(row["epoch"], row[f"val/{selection.METRIC}"])


def _check_truths(own: Session, splits: Sequence[str]) -> None:
    truths = candidates.truths(own.dataset, own.config.evaluation, splits)
    cold.check(own.dataset, truths, own.config.model.name, own.model.scores_cold_items)


def _costs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """By which commits a run was trained, whatever code scores it now, and how fast."""
    return {
        "commit": ", ".join(dict.fromkeys(row.get("commit") or "unknown" for row in rows)),
        "seconds_per_epoch": statistics.median(row["seconds"] for row in rows) if rows else None,
    }


def _start(
    own: Session, run: RunFolder, checkpoints: Checkpoints, mesh: Mesh
) -> tuple[Programs, Part, list[dict[str, Any]]]:
    """A run's programs, what it begins or goes on with, and its rows of metrics so far."""
    config = own.config
    init_key, run_key = jax.random.split(jax.random.key(config.train.seed))
    state = own.initial_state(init_key, mesh)
    done = checkpoints.latest_epoch or 0
    part = stopping.load(run, state, done * own.steps_per_epoch)
    if done and not part.terms:
        part = part._replace(state=checkpoints.restore(done, state))
    if done:
        session.check_best(part.state, checkpoints.best_epoch, run)
    rows = run.read_metrics(up_to_epoch=done, has=done)

    # Everything is compiled before the clock of the first epoch starts.
    started = time.perf_counter()
    constants = own.constants(run_key, mesh)
    per_call = min(config.train.steps_per_call, config.train.evaluate_every * own.steps_per_epoch)
    steps = own.compiled(part.state, constants, per_call, mesh)
    room.check(steps, config, len(mesh.local_devices))
    validate = _validation(own, constants[1], mesh)
    validate(part.state)
    seconds = time.perf_counter() - started
    return Programs(own, mesh, constants, steps, per_call, validate, seconds), part, rows


def _train(
    programs: Programs,
    part: Part,
    rows: list[dict[str, Any]],
    run: RunFolder,
    checkpoints: Checkpoints,
    watch: Watch | None,
    outside: Outside,
) -> tuple[int, Any]:
    """Runs epochs until the run has ended; every validation adds a row and saves the state.

    Returns the best epoch, and shapes and places of the state.
    """
    config, state = programs.session.config, part.state
    stored = results.about(programs.session) | {"config": configs.flatten(config)}
    done, per_epoch = checkpoints.latest_epoch or 0, programs.session.steps_per_epoch
    outside.moved()  # everything is compiled
    taken = done * per_epoch + epochs.length(part.terms)
    total = config.train.epochs * per_epoch
    with Progress(total, config.train.epochs, taken, quiet=outside.quiet) as progress:
        if taken:
            part_way = f", step {taken}" if part.terms else ""
            progress.say(f"{run.folder}: going on after epoch {done}{part_way}")
            _say_changes(progress, checkpoints)
        while not selection.has_ended(done, int(state.stale), config.train):
            started = time.perf_counter() - part.seconds
            count = min(config.train.evaluate_every, config.train.epochs - done)
            state, terms, stop = epochs.run_steps(
                programs, state, count * per_epoch, part.terms, progress, outside
            )
            if stop:
                part = Part(state, terms, time.perf_counter() - started)
                stopping.save(run, part, stored)
                raise Stopped(int(state.step))
            part, done = Part(state, {}, 0.0), done + count
            state, score, row = _validated(programs, state, terms, done)
            outside.moved()
            rows.append(row | {"seconds": (time.perf_counter() - started) / count})
            run.write_metrics(rows)  # before its checkpoint, so that a kill loses neither
            checkpoints.save(done, state, score, stored)
            outside.moved()
            rows[-1]["seconds"] = (time.perf_counter() - started) / count
            run.write_metrics(rows)
            progress.epoch(rows[-1], int(state.best_epoch), float(state.best_score))
            outside.told(rows[-1])
            if watch:
                watch(done, score)
    return int(state.best_epoch), jax.tree.map(state_arrays.abstract, state)


def _say_changes(progress: Progress, checkpoints: Checkpoints) -> None:
    """Says that a run goes on with other libraries or on another device than before."""
    latest = checkpoints.latest_epoch
    if latest and (changes := provenance.changes(checkpoints.about(latest))):
        progress.say(
            f"warning: the run was trained with {changes}: from here on its numbers agree with "
            "those of an undisturbed run to rounding, not bit for bit (docs/reliability.md)"
        )


def _validated(
    programs: Programs, state: states.TrainState, terms: History, done: int
) -> tuple[states.TrainState, float, dict[str, Any]]:
    """The state after the validation of an epoch, its score, and its row of metrics."""
    scores = programs.validate(state)
    # Without validation the last epoch is the best.
    score = float(done) if programs.session.dataset.final else scores[selection.METRIC]
    state = devices.place(states.with_score(state, score, done), programs.mesh)
    row: dict[str, Any] = {"epoch": done, "step": int(state.step), "commit": provenance.commit()}
    row |= {name: float(np.mean(values)) for name, values in terms.items()}
    return state, score, row | {f"val/{name}": value for name, value in scores.items()}


def _validation(own: Session, inputs: Any, mesh: Mesh) -> Validate:
    """The function that validates a state; for a final run, one that returns no metrics."""
    config, dataset, model = own.config, own.dataset, own.model
    if dataset.final:
        return lambda state: {}
    task = candidates.ranking_task(dataset, config.evaluation, "val", mesh)
    embed = jax.jit(model.embed)

    def validate(state: states.TrainState) -> dict[str, float]:
        representation = embed(state.params, inputs, state.held)
        finite.check_embeddings(finite.of(representation), int(state.step), config)
        return full_ranking.evaluate(representation, task, config.evaluation.cutoffs, model.score)

    return validate
