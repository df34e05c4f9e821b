"""Compares models on one data set, over seeds.

Every model (or named setting) and seed is a run of its own below the comparison's folder, which
`mmssl train` could have made; what is finished there is taken as it is.
"""

import io
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from mmssl_jax import training
from mmssl_jax.config import Config, named
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError, PlaceError
from mmssl_jax.files import atomic
from mmssl_jax.models import MODELS, defined, resolve
from mmssl_jax.ranking import groups
from mmssl_jax.runs.folder import RunFolder, changed_fields, check_dataset
from mmssl_jax.studies import report
from mmssl_jax.studies.comparison import PAIRED, Entry, Run, rows
from mmssl_jax.studies.published import Published
from mmssl_jax.training import results, selection, session

Say = Callable[[str], None]  # what is told, line by line, of what is being done


def compare(
    config: Config,
    folder: pathlib.Path,
    *,
    models: Sequence[str] | None = None,
    settings: str | None = None,
    seeds: int = 5,
    against: str | None = None,
    command: str = "",
    beside: Published | None = None,
    say: Say = lambda line: None,
) -> tuple[list[dict[str, Any]], report.About]:
    """Trains what is missing, compares, and writes compare.md, .csv, .json and .png.

    Args:
      config: not resolved; it holds for every row.
      folder: of the comparison, new or continued.
      models: the rows: models, or names of the settings; None takes all.
      settings: a file of named settings, by path or name; without it the rows are models.
      seeds: runs of each row: train.seed, train.seed + 1, ...
      against: the row that the others are tested against; None is the first.
      command: kept in compare.json.
      beside: published figures of the rows.
      say: is told of every run.

    Returns:
      `comparison.rows`, and what they are about.

    Raises:
      InputError: a name is unknown, a setting does not hold, or no row could be trained.
      PlaceError: the folder, or that of a run, cannot be written, or is in use.
    """
    overrides = _overrides(models, settings)
    against = next(iter(overrides)) if against is None else against
    if against not in overrides:
        raise InputError(f"--against is {against!r}, which is not among the models compared")
    plan = _plan(config, overrides, seeds)
    atomic.check_writable(folder / "compare.json")
    datasets = _datasets([runs[0] for runs in plan.values()], say)
    data = results.kind_of_data(next(iter(datasets.values())), plan[against][0])
    modalities = sorted({name for each in datasets.values() for name in each.features})
    about = report.About(data, modalities, command, overrides, beside)
    with atomic.locked(folder, "comparing"):
        entries = [
            _entry(name, runs, datasets[_data_of(runs[0])], folder / name, say)
            for name, runs in plan.items()
        ]
        table = rows(entries, against)
        report.write(folder, table, entries, about, say)
    return table, about


def _overrides(models: Sequence[str] | None, file: str | None) -> dict[str, dict[str, Any]]:
    """Name of a row -> what it changes in the config: a model each, or the settings of a file."""
    known = {name: {"model.name": name} for name in MODELS} if file is None else named.read(file)
    names = list(known) if models is None else models
    for name in names:
        if name not in known:
            what = "the models are" if file is None else f"the settings of {file} are"
            raise InputError(f"--models has {name!r}; {what} {', '.join(known)}")
        if "train.seed" in known[name]:
            raise InputError(f"{file}: '{name}' sets train.seed; give --config.train.seed instead")
    return {name: known[name] for name in names}


def _plan(
    config: Config, overrides: Mapping[str, Mapping[str, Any]], seeds: int
) -> dict[str, list[Config]]:
    """Name of a row -> the resolved config of each of its runs."""
    first = config.train.seed
    return {
        name: [
            resolve(named.applied(config, {**changes, "train.seed": seed}))
            for seed in range(first, first + seeds)
        ]
        for name, changes in overrides.items()
    }


def _data_of(config: Config) -> tuple[Any, ...]:
    """What decides which data set is loaded, and how much of it."""
    loaded = [getattr(config.data, field) for field in session.LOADED_BY]
    return (*loaded, defined(config).reads_side, config.train.augmented_share > 0)


def _datasets(plan: Sequence[Config], say: Say) -> dict[tuple[Any, ...], Dataset]:
    """The data set of every row; they may differ in modalities, but not in what is ranked."""
    chosen = {_data_of(config): config for config in plan}
    datasets = {
        key: session.load_data(config, warn=lambda line: say(f"warning: {line}"))
        for key, config in chosen.items()
    }
    if len({dataset.fingerprint for dataset in datasets.values()}) > 1:
        raise InputError("the settings are of data with different splits, which do not compare")
    if len({config.evaluation.candidates for config in plan}) > 1:
        raise InputError(
            "the settings differ in evaluation.candidates, so that their scores do not compare; "
            "give --config.evaluation.candidates for all of them, and another --workdir for each"
        )
    return datasets


def _entry(
    name: str, plan: Sequence[Config], dataset: Dataset, folder: pathlib.Path, say: Say
) -> Entry:
    """All runs of a model; a deterministic one needs a single run."""
    entry = Entry(name, [], {})
    for config in plan:
        seed = config.train.seed
        try:
            run = _run(config, dataset, RunFolder(folder / f"seed-{seed}"), say)
        except PlaceError:
            raise
        except training.FAILURES as error:
            message = " ".join(str(error).split()) or type(error).__name__
            say(f"{name}, seed {seed}: failed: {message}")
            entry.errors.setdefault(message, []).append(seed)
            continue
        entry.runs.append(run)
        if run.deterministic:
            break
    return entry


def _run(config: Config, dataset: Dataset, run: RunFolder, say: Say) -> Run:
    """A run, trained unless it is finished."""
    label = f"{run.folder.parent.name}, seed {config.train.seed}"
    if (summary := _finished(config, dataset, run)) is None:
        say(f"{label}: training in {run.folder}")
        summary = training.train(config, dataset, run.folder)
    else:
        say(f"{label}: finished already, in {run.folder}")
    if summary["epochs"] > config.train.epochs:
        raise InputError(
            f"the run in {run.folder} has {summary['epochs']} epochs, more than train.epochs, "
            f"{config.train.epochs}; choose another --workdir"
        )
    stored = _per_user(config, dataset, run, summary)
    return Run(
        seed=config.train.seed,
        summary=summary,
        seconds=_seconds(run.read_metrics(summary["epochs"], has=summary["epochs"])),
        parameters=int(stored["parameters"]),
        deterministic=bool(stored["deterministic"]),
        users=stored["users"],
        per_user={metric: stored[metric] for metric in PAIRED},
        groups=json.loads(str(stored["groups"])) if "groups" in stored else {},
    )


def _finished(config: Config, dataset: Dataset, run: RunFolder) -> dict[str, Any] | None:
    """The results of a run of this config that has nothing left to do, else None."""
    if not (run.config.exists() and run.results.exists()):
        return None
    stored, known = run.read()
    check_dataset(known, dataset, run.folder)
    if changed_fields(resolve(stored), config):
        return None  # training.train says whether the run can go on under this config
    summary = run.read_results()
    try:
        epochs = summary["epochs"]
        stale = selection.stale_after(epochs, summary["best_epoch"], config.train)
        done = selection.has_ended(epochs, stale, config.train)
    except (LookupError, TypeError) as error:
        raise InputError(
            f"{run.results} does not have the results of a run; remove the folder"
        ) from error
    return summary if done else None


def _per_user(
    config: Config, dataset: Dataset, run: RunFolder, summary: dict[str, Any]
) -> dict[str, np.ndarray]:
    """What results.json lacks, of the best epoch: PAIRED of every test user, groups and so on.

    Made from the checkpoint once and kept in per_user.npz. Raises InputError where the checkpoint
    is of a later best epoch.
    """
    path = run.folder / "per_user.npz"
    if (kept := _kept_per_user(path, summary)) is not None:
        return kept
    trained = training.best_of_run(config, dataset, run)
    if trained.epoch != summary["best_epoch"]:
        raise InputError(
            f"{run.folder} was trained on after its {summary['epochs']} epochs and stopped; "
            "finish it with mmssl train, or remove the folder"
        )
    ranking = results.rank_splits(trained, ("test",))["test"]
    model, state = trained.model, trained.state
    fitted = state.params if model.losses else state.held  # a model that is solved has no params
    stored: dict[str, Any] = {
        "users": ranking.users,
        "parameters": np.asarray(sum(leaf.size for leaf in jax.tree.leaves(fitted))),
        "deterministic": np.asarray(not model.losses and not jax.tree.leaves(state.params)),
        "groups": np.asarray(json.dumps(groups.scores_of({"test": ranking}, dataset))),
    } | ranking.per_user((20,))
    content = io.BytesIO()
    np.savez(content, **stored)
    atomic.write_bytes(path, content.getvalue())
    return stored


def _kept_per_user(path: pathlib.Path, summary: dict[str, Any]) -> dict[str, np.ndarray] | None:
    """What `_per_user` has kept; None where there is nothing whole of these results."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            stored = dict(content)
        means = [float(np.mean(stored[metric], dtype=np.float64)) for metric in PAIRED]
        if means == [summary[f"test/{metric}"] for metric in PAIRED]:
            return stored
    except Exception:  # zipfile and numpy raise many kinds for a damaged archive
        pass
    return None


def _seconds(metrics: Sequence[dict[str, Any]]) -> float:
    """The seconds of all epochs, from rows that have a mean over the epochs since the last."""
    epochs = np.diff([0, *(row["epoch"] for row in metrics)])
    return float(sum(row["seconds"] * count for row, count in zip(metrics, epochs, strict=True)))
