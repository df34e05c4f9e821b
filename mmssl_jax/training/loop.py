"""The loop over epochs: train, validate, save, stop; then the test split, once."""

import pathlib
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.checks import cold
from mmssl_jax.data.features import content
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import MODELS, Model
from mmssl_jax.ranking import fallback, full_ranking
from mmssl_jax.runs import provenance
from mmssl_jax.runs.checkpoints import Checkpoints, abstract
from mmssl_jax.runs.folder import Workdir
from mmssl_jax.training import results
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh, place
from mmssl_jax.training.progress import Progress
from mmssl_jax.training.step import compile_steps, train_step

OUT_OF_MEMORY = (MemoryError, jax.errors.JaxRuntimeError)  # of the host, of a device
FAILURES = (InputError, *OUT_OF_MEMORY)  # of a run
Watch = Callable[[int, float], None]  # (epoch, its validation Recall@20)


def train(
    config: Config,
    dataset: Dataset,
    folder: pathlib.Path,
    *,
    splits: Sequence[str] = results.SPLITS,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Trains a model, or goes on with a run that was stopped, and scores its best epoch.

    The run ends after `train.epochs`, or at the (`train.patience` + 1)-th validation in a row
    without a new best Recall@20. The test split is scored once, at the end. Where all pairs are in
    train (`Dataset.final`), it ends after `train.epochs`, the last epoch is the best, and there are
    no scores.

    Args:
      config: resolved.
      dataset: the data.
      folder: of the run; a run of the same config and data in it is continued.
      splits: those that the best epoch is scored on; without 'test' the test split is not read.
      watch: called after every validation, and at first for those of a run that is continued; what
        it raises ends the run.

    Returns:
      The content of results.json.

    Raises:
      InputError: the folder holds another run, a loss became NaN or infinite, or val has only
        items that the model cannot score.
    """
    splits = () if dataset.final else splits
    model, steps_per_epoch = build_model(config, dataset)
    cold.check(dataset, config.model.name, model.scores_cold_items, splits)
    mesh, workdir = make_mesh(config.mesh), Workdir(folder)
    with workdir.open(config, dataset), Checkpoints(workdir.checkpoints) as checkpoints:
        return _train(
            config, dataset, model, steps_per_epoch, mesh, workdir, checkpoints, splits, watch
        )


def build_model(config: Config, dataset: Dataset) -> tuple[Model, int]:
    """The model of a config for this data, its content prepared, and the steps of an epoch."""
    if not dataset.final:
        full_ranking.check_cutoffs(config.evaluation.cutoffs, dataset.num_items)
    steps_per_epoch = config.train.steps_per_epoch or protocol_steps(config, dataset)
    prepared = content.prepare(
        dataset,
        missing=config.data.missing,
        zeros_missing=config.data.zeros_missing,
        standardize=config.data.standardize,
    )
    return MODELS[config.model.name].build(config, prepared, steps_per_epoch), steps_per_epoch


def protocol_steps(config: Config, dataset: Dataset) -> int:
    """Steps of an epoch by the published protocol: training pairs // batch size + 1."""
    return dataset.train.nnz // config.train.batch_size + 1


def _train(
    config: Config,
    dataset: Dataset,
    model: Model,
    steps_per_epoch: int,
    mesh: Mesh,
    workdir: Workdir,
    checkpoints: Checkpoints,
    splits: Sequence[str],
    watch: Watch | None,
) -> dict[str, Any]:
    # 1. The initial state, then what a stopped run had reached.
    transforms = states.optimisers(config, list(model.losses), steps_per_epoch)
    init_key, run_key = jax.random.split(jax.random.key(config.train.seed))
    table_rows = {dataset.num_users, dataset.num_items}
    state = jax.jit(partial(states.init_state, model, transforms))(init_key)
    state = place(state, mesh, table_rows)
    done = checkpoints.latest_epoch or 0
    if done:
        state = checkpoints.restore(done, state)
    rows = workdir.read_metrics(up_to_epoch=done)
    for row in rows if watch else ():
        watch(row["epoch"], row["val/recall@20"])
    about = results.about_run(config, dataset, model)
    stored = about | {"config": configs.flatten(config)}

    # 2. Everything is compiled before the clock starts.
    started = time.perf_counter()
    constants = (training_pairs.sampling_tables(dataset.train), model.inputs, run_key)
    constants = place(constants, mesh, table_rows)
    step = partial(
        train_step,
        model=model,
        transforms=transforms,
        batch_size=config.train.batch_size,
        mesh=mesh,
    )
    per_call = min(config.train.steps_per_call, config.train.evaluate_every * steps_per_epoch)
    run_steps = compile_steps(step, state, constants, per_call)
    validate = _validation(config, dataset, model, constants[1])
    validate(state)
    compile_seconds = time.perf_counter() - started

    # 3. Epochs. A row of metrics is written before its checkpoint, so that a kill loses neither.
    with Progress(config.train.epochs, steps_per_epoch, done) as progress:
        if done:
            progress.say(f"{workdir.folder}: going on after epoch {done}")
        while done < config.train.epochs and int(state.stale) <= config.train.patience:
            started = time.perf_counter()
            epochs = min(config.train.evaluate_every, config.train.epochs - done)
            lengths = _call_lengths(epochs * steps_per_epoch, per_call)
            state, terms = _run_calls(run_steps, state, constants, lengths, progress)
            _check_parameters(state)
            done += epochs
            scores = validate(state)
            # Without validation the last epoch is the best.
            score = float(done) if dataset.final else scores["recall@20"]
            state = states.with_score(state, score, done)
            state = place(state, mesh, table_rows)
            row = {"epoch": done, "step": int(state.step), "commit": provenance.commit()} | terms
            row |= {f"val/{name}": value for name, value in scores.items()}
            rows.append(row | {"seconds": (time.perf_counter() - started) / epochs})
            workdir.write_metrics(rows)
            checkpoints.save(done, state, score, stored)
            rows[-1]["seconds"] = (time.perf_counter() - started) / epochs
            workdir.write_metrics(rows)
            progress.epoch(rows[-1], int(state.best_epoch))
            if watch:
                watch(done, score)

    # 4. The best epoch's scores; those on the test split once.
    best_epoch = int(state.best_epoch)
    like = jax.tree.map(abstract, state)
    del state  # two states at once would be the peak of a run's memory
    best = checkpoints.restore(best_epoch, like)
    commits = dict.fromkeys(row.get("commit") or "unknown" for row in rows)
    summary = about | {
        "commit": ", ".join(commits),  # that trained it, whatever code scores it now
        "best_epoch": best_epoch,
        "epochs": done,
        "seconds_per_epoch": statistics.median(row["seconds"] for row in rows) if rows else None,
        "compile_seconds": compile_seconds,
    }
    summary |= results.not_modelled(dataset, model, splits)
    summary |= results.score_splits(model, best, dataset, config, splits)
    atomic.write_json(workdir.results, summary)
    return summary


def _validation(
    config: Config, dataset: Dataset, model: Model, inputs: Any
) -> Callable[[states.TrainState], dict[str, float]]:
    """The function from a state to its metrics on val; to none where all pairs are in train."""
    if dataset.final:
        return lambda state: {}
    stand_in, block = fallback.fallback(dataset.train), config.evaluation.user_block
    task = full_ranking.ranking_task(dataset.unranked, dataset.val, block, stand_in)
    embed = jax.jit(model.embed)

    def validate(state):
        representation = embed(state.params, inputs, state.held)
        return full_ranking.evaluate(representation, task, config.evaluation.cutoffs, model.score)

    return validate


def _call_lengths(steps: int, per_call: int) -> list[int]:
    """The lengths of the calls that make so many steps: all full but the last."""
    return [min(per_call, steps - start) for start in range(0, steps, per_call)]


def _run_calls(run_steps, state, constants, lengths, progress):
    """Makes the calls; the losses of one are read while the next one runs. Returns their means."""
    step, pending, seen = int(state.step), None, []
    for length in lengths:
        state, history = run_steps(state, constants, jnp.asarray(length, jnp.int32))
        if pending is not None:
            seen.append(_read_terms(*pending, progress))
        pending = (history, step, length)
        step += length
    seen.append(_read_terms(*pending, progress))
    names = seen[0].keys()
    return state, {
        name: float(np.mean(np.concatenate([part[name] for part in seen]))) for name in names
    }


def _read_terms(history, first_step: int, length: int, progress) -> dict[str, np.ndarray]:
    terms = {name: np.asarray(values[:length]) for name, values in history.items()}
    for index in range(length):
        for name in sorted(terms, key=lambda name: name.endswith("/loss")):  # totals last
            if not np.isfinite(value := terms[name][index]):
                _diverged(f"loss '{name}' became {value}", first_step + index + 1)
    progress.steps(length, {name: float(values[-1]) for name, values in terms.items()})
    return terms


def _check_parameters(state: states.TrainState) -> None:
    finite = jax.tree.map(lambda x: jnp.all(jnp.isfinite(x)), state.params)
    for path, leaf in jax.tree.leaves_with_path(finite):
        if not leaf:
            _diverged(f"parameter {jax.tree_util.keystr(path)} became NaN or inf", int(state.step))


def _diverged(what: str, step: int) -> None:
    raise InputError(
        f"{what} at step {step}; training stopped and kept the last validated epoch, if any; try "
        "a lower train.learning_rate or critic.learning_rate in another --workdir, or check the "
        "features' scale"
    )
