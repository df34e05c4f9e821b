"""Compares models on one data set: mmssl compare --config configs/baby.py

Every model (or named setting) and seed is a run of its own below the comparison's folder, which
train.py could have made; what is finished there is taken as it is.
"""

import io
import pathlib
import sys
import zipfile
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from rich.console import Console

from mmssl_jax import training
from mmssl_jax.commands import cli, running
from mmssl_jax.config import Config, named
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.models import MODELS
from mmssl_jax.runs import provenance
from mmssl_jax.runs.folder import Workdir, changed_fields, check_dataset
from mmssl_jax.studies import report
from mmssl_jax.studies.comparison import PAIRED, Entry, Run, rows
from mmssl_jax.training import results

USAGE = """usage: mmssl compare --config FILE [--models NAME,...] [--settings FILE]
           [--seeds N] [--against NAME] [--workdir DIR] [--config.FIELD=VALUE ...]

  --config FILE     a config, such as configs/demo.py; it holds for every model
  --models NAME,... the models, or the names of --settings (default: all)
  --settings FILE   compares the named settings of a file, such as configs/studies/parts.py
  --seeds N         runs per model: train.seed, train.seed + 1, ... (default: 5)
  --against NAME    the model that the others are tested against (default: the first)
  --workdir DIR     the comparison's folder (default: runs/compare/<config name>, or
                    <config name>-<name of the settings file>)

The same command goes on where a stopped one was, and trains only what is missing.
"""


def main(argv: list[str]) -> None:
    """Trains what is missing, compares, and writes compare.md, .csv, .json and .png."""
    values = cli.parse(
        argv,
        USAGE,
        models="comma-separated models, or names of the settings",
        settings="file of named settings",
        seeds="runs of each model",
        against="the model that the others are tested against",
    )
    if "model.name" in values["config"].override_values:
        raise InputError("--config.model.name cannot be given to compare; give --models instead")
    overrides = _overrides(values.models, values.settings)
    names = list(overrides)
    against = names[0] if values.against is None else values.against
    if against not in names:
        raise InputError(f"--against is {against!r}, which is not among the models compared")
    seeds = cli.seeds(values.config, values.seeds, default=5)
    plan = {
        name: [
            cli.resolved(named.applied(values.config, changes | {"train.seed": seed}))
            for seed in seeds
        ]
        for name, changes in overrides.items()
    }
    folder = cli.workdir(values)
    if values.workdir is None:
        study = f"-{pathlib.Path(values.settings).stem}" if values.settings else ""
        folder = folder.parent / "compare" / f"{folder.name}{study}"
    atomic.check_writable(folder / "compare.json")
    datasets = _datasets([plan[name][0] for name in names])
    dataset = next(iter(datasets.values()))
    with atomic.locked(folder, "comparing"):
        entries = [
            _entry(name, plan[name], datasets[_data_of(plan[name][0])], folder / name)
            for name in names
        ]
        if not any(entry.runs for entry in entries):
            message = next(iter(entries[0].errors))
            raise InputError(f"no model could be compared; {names[0]}: {message}")
        table = rows(entries, against)
        about = report.About(
            data=results.kind_of_data(dataset),
            modalities=sorted({name for each in datasets.values() for name in each.features}),
            command=provenance.command("mmssl_jax.studies.compare", argv),
            overrides=overrides,
        )
        report.write(folder, table, entries, about)
    Console().print(report.short_table(table, results.kind_of_data(dataset)))


def _overrides(models: str | None, file: str | None) -> dict[str, dict[str, Any]]:
    """Name of a row -> what it changes in the config: a model each, or the settings of a file."""
    known = {name: {"model.name": name} for name in MODELS} if file is None else named.read(file)
    names = list(known) if models is None else [name.strip() for name in models.split(",")]
    for name in names:
        if name not in known:
            what = "the models are" if file is None else f"the settings of {file} are"
            raise InputError(f"--models has {name!r}; {what} {', '.join(known)}")
        if "train.seed" in known[name]:
            raise InputError(f"{file}: '{name}' sets train.seed; give --config.train.seed instead")
    return {name: known[name] for name in names}


def _data_of(config: Config) -> tuple[Any, ...]:
    """The fields that say which data set is loaded."""
    return config.data.path, config.data.modalities, config.data.demo_seed


def _datasets(plan: Sequence[Config]) -> dict[tuple[Any, ...], Dataset]:
    """The data set of every row; they may differ in modalities, but not in interactions."""
    chosen = {_data_of(config): config for config in plan}
    datasets = {key: cli.load(config) for key, config in chosen.items()}
    if len({dataset.fingerprint for dataset in datasets.values()}) > 1:
        raise InputError("the settings are of data with different splits, which do not compare")
    return datasets


def _entry(name: str, plan: Sequence[Config], dataset: Dataset, folder: pathlib.Path) -> Entry:
    """All runs of a model; a deterministic one needs a single run."""
    entry = Entry(name, [], {})
    for config in plan:
        seed = config.train.seed
        try:
            run = _run(config, dataset, Workdir(folder / f"seed-{seed}"))
        except training.FAILURES as error:
            message = " ".join(str(error).split()) or type(error).__name__
            _say(f"{name}, seed {seed}: failed: {message}")
            entry.errors.setdefault(message, []).append(seed)
            continue
        entry.runs.append(run)
        if run.deterministic:
            break
    return entry


def _run(config: Config, dataset: Dataset, workdir: Workdir) -> Run:
    """A run, trained unless it is finished."""
    label = f"{workdir.folder.parent.name}, seed {config.train.seed}"
    summary = _finished(config, dataset, workdir)
    if summary is None:
        _say(f"{label}: training in {workdir.folder}")
        summary = training.train(config, dataset, workdir.folder)
    else:
        _say(f"{label}: finished already, in {workdir.folder}")
    if summary["epochs"] > config.train.epochs:
        raise InputError(
            f"the run in {workdir.folder} has {summary['epochs']} epochs, more than train.epochs, "
            f"{config.train.epochs}; choose another --workdir"
        )
    stored = _per_user(config, dataset, workdir, summary)
    return Run(
        seed=config.train.seed,
        summary=summary,
        seconds=_seconds(workdir.read_metrics(up_to_epoch=summary["epochs"])),
        parameters=int(stored["parameters"]),
        deterministic=bool(stored["deterministic"]),
        users=stored["users"],
        per_user={metric: stored[metric] for metric in PAIRED},
    )


def _finished(config: Config, dataset: Dataset, workdir: Workdir) -> dict[str, Any] | None:
    """The results of a run of this config that has nothing left to do, else None."""
    if not (workdir.config.exists() and workdir.results.exists()):
        return None
    stored, known = workdir.read()
    check_dataset(known, dataset, workdir.folder)
    if changed_fields(stored, config):
        return None  # training.train says whether the run can go on under this config
    summary = atomic.read_json(workdir.results)
    try:
        stale = (summary["epochs"] - summary["best_epoch"]) // config.train.evaluate_every
        done = summary["epochs"] >= config.train.epochs or stale > config.train.patience
    except (LookupError, TypeError) as error:
        raise InputError(
            f"{workdir.results} does not have the results of a run; remove the folder"
        ) from error
    return summary if done else None


def _per_user(
    config: Config, dataset: Dataset, workdir: Workdir, summary: dict[str, Any]
) -> dict[str, np.ndarray]:
    """What results.json lacks, of the best epoch: PAIRED of every test user, parameters, ...

    Made from the checkpoint once and kept in per_user.npz. Raises InputError where the checkpoint
    is of a later best epoch.
    """
    path = workdir.folder / "per_user.npz"
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            stored = dict(content)
        means = [float(np.mean(stored[metric], dtype=np.float64)) for metric in PAIRED]
        if means == [summary[f"test/{metric}"] for metric in PAIRED]:
            return stored
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile):
        pass  # there is none, or not a whole one
    best_epoch, model, state = training.best_of_run(config, dataset, workdir)
    if best_epoch != summary["best_epoch"]:
        raise InputError(
            f"{workdir.folder} was trained on after its {summary['epochs']} epochs and stopped; "
            "finish it with train.py, or remove the folder"
        )
    ranking = results.rank_splits(model, state, dataset, config)["test"]
    fitted = state.params if model.losses else state.held  # a model that is solved has no params
    stored = {
        "users": ranking.users,
        "parameters": np.asarray(sum(leaf.size for leaf in jax.tree.leaves(fitted))),
        "deterministic": np.asarray(not model.losses and not jax.tree.leaves(state.params)),
    } | ranking.per_user((20,))
    content = io.BytesIO()
    np.savez(content, **stored)
    atomic.write_bytes(path, content.getvalue())
    return stored


def _seconds(metrics: Sequence[dict[str, Any]]) -> float:
    """The seconds of all epochs, from rows that have a mean over the epochs since the last."""
    epochs = np.diff([0, *(row["epoch"] for row in metrics)])
    return float(sum(row["seconds"] * count for row, count in zip(metrics, epochs, strict=True)))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    running.run(main, on_interrupt=cli.GOES_ON)
