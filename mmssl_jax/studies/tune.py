"""Searches settings on validation, with Optuna.

The only module that knows Optuna (an extra: pip install ".[tune]"). The test split has no part in
the search: no trial ranks it or writes a score of it.
"""

import contextlib
import hashlib
import json
import logging
import pathlib
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import rich.markup
from rich.console import Console
from rich.table import Table

from mmssl_jax import config as configs
from mmssl_jax import training
from mmssl_jax.commands import cli, running
from mmssl_jax.config import Config, named
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.runs import provenance
from mmssl_jax.runs.folder import Workdir, describe
from mmssl_jax.training import results

USAGE = """usage: mmssl tune --config FILE --trials N [--seeds N]
           [--workdir DIR] [--config.FIELD=VALUE ...]

  --config FILE     a config whose get_search_space() says what is searched; see configs/tiktok.py
  --trials N        trials in all, those of earlier calls included
  --seeds N         runs of each trial, with seeds train.seed, train.seed + 1, ...; its value is
                    their mean (default: 1)
  --workdir DIR     the search's folder (default: runs/tune/<config name>)

The same command goes on where a stopped one was. Needs pip install ".[tune]".
"""

_SHOWN = 10  # trials in the table
_FIXED = ("name", "data.path", "data.modalities", "data.demo_seed", "train.seed")

Space = Mapping[str, Any]  # field of the config -> one of optuna.distributions


def main(argv: list[str]) -> None:
    """Runs the trials that are missing, and writes tune.json with all of them."""
    values = cli.parse(argv, USAGE, trials="number of trials", seeds="runs of each trial")
    if values.trials is None or not (values.trials.isdecimal() and 0 < int(values.trials) < 10**6):
        raise InputError("--trials is missing or no number from 1 to 999999; it counts all trials")
    try:
        import optuna
    except ImportError as error:
        raise InputError('tune needs Optuna: pip install ".[tune]"') from error
    optuna.logging.set_verbosity(logging.ERROR)
    config, space = values.config, read_space(values["config"].config_filename)
    if given := space.keys() & values["config"].override_values.keys():
        raise InputError(f"--config.{min(given)} is searched, so it cannot be given as well")
    cli.resolved(config)
    seeds = cli.seeds(config, values.seeds, default=1)
    folder = cli.workdir(values)
    if values.workdir is None:
        folder = folder.parent / "tune" / folder.name
    atomic.check_writable(folder / "tune.json")
    dataset = cli.load(config)
    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    identity = _identity(config, dataset, space, seeds)
    with atomic.locked(folder, "searching"), _database(folder / "tune.db") as storage:
        study = _open_study(storage, folder, identity, config.train.seed)
        while len(study.get_trials(deepcopy=False, states=ended)) < int(values.trials):
            trial = study.ask(space)
            value = _trial(study, trial, config, seeds, dataset, folder)
            study.tell(trial, value, state=ended[1] if value is None else None)
        about = {"data": results.kind_of_data(dataset), "modalities": list(dataset.features)}
        about["command"] = provenance.command("mmssl_jax.studies.tune", argv)
        best = _report(study, folder, about)
    file, own = values["config"].config_filename, values["config"].override_values | best
    where = shlex.join(["--config", file, "--workdir", str(folder / "best")])
    print(f"next: python train.py {where} {_flags(own)}")


def read_space(path: str) -> Space:
    """What the get_search_space() of a config file returns; raises InputError."""
    from optuna.distributions import BaseDistribution

    space = named.call(path, "get_search_space")
    known = configs.flatten(Config())
    if not isinstance(space, Mapping) or not space:
        raise InputError(f"{path}: get_search_space() must return field -> distribution")
    for field, distribution in space.items():
        if field not in known:
            raise InputError(f"{path}: get_search_space() has the unknown config field '{field}'")
        if field in _FIXED:
            raise InputError(f"{path}: '{field}' cannot be searched; it is the same in all trials")
        if not isinstance(distribution, BaseDistribution):
            raise InputError(
                f"{path}: '{field}' of get_search_space() must be one of optuna.distributions"
            )
    return dict(space)


@contextlib.contextmanager
def _database(path: pathlib.Path):
    """Where Optuna keeps a search, closed at the end; InputError where it is no database."""
    import optuna

    try:
        if path.is_file() and path.read_bytes()[:16] not in (b"SQLite format 3\0", b""):
            raise ValueError("no database of SQLite")  # Optuna would not close what it opened
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.absolute()}")
    except Exception as error:
        raise _unusable(path, error) from error
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _unusable(path: pathlib.Path, error: Exception) -> InputError:
    """Optuna, SQLAlchemy and SQLite all have kinds of errors of their own."""
    return InputError(
        f"{path}: cannot be used for a search ({type(error).__name__}); choose another --workdir, "
        "or remove it"
    )


def _open_study(storage: Any, folder: pathlib.Path, wanted: Mapping[str, Any], seed: int):
    """The search in a folder, new or continued; InputError where it is another one."""
    import optuna

    try:
        study = optuna.create_study(
            storage=storage,
            study_name="tune",
            direction="maximize",
            # Settings of many layers or a low rate start slowly, and are not cut for it.
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=10),
            load_if_exists=True,
        )
        known = study.user_attrs.get("identity")
        if known is None:
            study.set_user_attr("identity", wanted)
    except Exception as error:
        raise _unusable(folder / "tune.db", error) from error
    for part in wanted if known is not None else ():
        if known.get(part) != wanted[part]:
            raise InputError(
                f"{folder} holds another search, whose {part} differs; choose another --workdir"
            )
    # A seed of its own for every call: the same one would draw the first trials again.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):  # a kill stopped it
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _identity(
    config: Config, dataset: Dataset, space: Space, seeds: Sequence[int]
) -> dict[str, Any]:
    """What a search must not change between two calls, as JSON reads it back."""
    from optuna.distributions import distribution_to_json

    fields = configs.read_by_model(cli.resolved(config))
    fixed = {field: fields[field] for field in fields if field not in {*space, "data.path", "name"}}
    data = describe(dataset)
    identity = {
        "config": fixed,
        "data set": [data["fingerprint"], data["features"]],
        "search space": {field: distribution_to_json(space[field]) for field in space},
        "number of seeds": len(seeds),
    }
    return json.loads(json.dumps(identity))


def _trial(
    study, trial, config: Config, seeds: Sequence[int], dataset: Dataset, folder: pathlib.Path
) -> float | None:
    """The mean over seeds of the best validation Recall@20; None where the trial was given up.

    Whether it is given up is decided in the run of the first seed.
    """
    import optuna

    complete = (optuna.trial.TrialState.COMPLETE,)
    for earlier in study.get_trials(deepcopy=False, states=complete):
        if earlier.params == trial.params:
            for name, value in earlier.user_attrs.items():
                trial.set_user_attr(name, value)
            return earlier.value

    def watch(epoch: int, recall: float) -> None:
        trial.report(recall, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    # The same values have the same folder, so that a trial goes on where a kill stopped it.
    digest = hashlib.sha256(json.dumps(trial.params, sort_keys=True).encode()).hexdigest()
    runs = folder / "trials" / digest[:16]
    print(f"trial {trial.number}: {_flags(trial.params)}", file=sys.stderr, flush=True)
    summaries = []
    try:
        for seed in seeds:
            tried = named.applied(config, trial.params | {"train.seed": seed})
            summary = training.train(
                cli.resolved(tried),
                dataset,
                runs / f"seed-{seed}",
                splits=("val",),
                watch=None if summaries else watch,
            )
            summaries.append(summary)
    except optuna.TrialPruned:
        print(f"trial {trial.number}: pruned", file=sys.stderr, flush=True)
    except training.FAILURES as error:  # such as a loss that became infinite
        message = " ".join(str(error).split()) or type(error).__name__
        trial.set_user_attr("error", message)
        print(f"trial {trial.number}: failed: {message}", file=sys.stderr, flush=True)
    for seed in seeds:  # a search of hundreds would fill a disk
        shutil.rmtree(Workdir(runs / f"seed-{seed}").checkpoints, ignore_errors=True)
    if len(summaries) < len(seeds):
        return None
    recalls = [summary["val/recall@20"] for summary in summaries]
    trial.set_user_attr("val/recall@20/seeds", recalls)
    trial.set_user_attr("val/ndcg@20", fmean(summary["val/ndcg@20"] for summary in summaries))
    trial.set_user_attr("best_epochs", [summary["best_epoch"] for summary in summaries])
    trial.set_user_attr("commit", summaries[-1]["commit"])
    return fmean(recalls)


def _report(study, folder: pathlib.Path, about: dict[str, Any]) -> dict[str, Any]:
    """Writes tune.json, prints the best trials, and returns the values of the first.

    Raises:
      InputError: no trial was completed.
    """
    trials = [_described(trial) for trial in study.get_trials(deepcopy=False)]
    trials = [trial for trial in trials if trial["state"] in ("complete", "pruned", "failed")]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = sorted(complete, key=lambda trial: -trial["val/recall@20"])[:_SHOWN]
    content = about | {"best": best[0] if best else None, "trials": trials}
    atomic.write_json(folder / "tune.json", content)
    if not best:
        problems = [trial["error"] for trial in trials if "error" in trial]
        raise InputError(f"no trial was completed; {problems[-1] if problems else 'all were cut'}")
    title = f"Validation, {rich.markup.escape(about['data'])}: the best of {len(trials)} trials"
    table = Table(title=title)
    table.title_justify = "left"
    for name in ("trial", "Recall@20", "NDCG@20", "best epochs"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("values", overflow="fold")
    for trial in best:
        table.add_row(
            str(trial["trial"]),
            f"{trial['val/recall@20']:.4f}",
            f"{trial['val/ndcg@20']:.4f}",
            " ".join(map(str, trial["best_epochs"])),
            ", ".join(f"{field}={_short(value)}" for field, value in trial["params"].items()),
        )
    Console().print(table)
    return best[0]["params"]


def _described(trial) -> dict[str, Any]:
    """A trial in tune.json; its state is one of Optuna's, or 'failed' for one that went wrong."""
    value, state = trial.value, trial.state.name.lower()
    if "error" in trial.user_attrs:
        value, state = None, "failed"  # told to Optuna as pruned, so that it counts as tried
    described = {"trial": trial.number, "state": state, "val/recall@20": value}
    return described | {"params": trial.params} | trial.user_attrs


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _flags(params: Mapping[str, Any]) -> str:
    """The values as flags of train.py."""
    return shlex.join(f"--config.{field}={value}" for field, value in params.items())


if __name__ == "__main__":
    running.run(main, on_interrupt=cli.GOES_ON)
