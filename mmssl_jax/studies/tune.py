"""Searches settings on validation, with Optuna.

With `tune_folder` the only module that knows Optuna (an extra: pip install ".[tune]"). The test
split has no part in the search: no trial ranks it or writes a score of it.
"""

import hashlib
import json
import logging
import pathlib
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import rich.markup
from rich.table import Table

from mmssl_jax import models, training
from mmssl_jax.config import Config, named
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError, PlaceError
from mmssl_jax.files import atomic
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import results, session

if TYPE_CHECKING:  # an extra
    import optuna

_SHOWN = 10  # trials in the table
_FIXED = (
    *("name", "train.seed", "evaluation.candidates"),
    *(f"data.{field}" for field in session.LOADED_BY),
)

Space = Mapping[str, Any]  # field of the config -> one of optuna.distributions


class Found(NamedTuple):
    """What a search has found."""

    data: str  # the data set in words
    trials: list[dict[str, Any]]  # all that ended, as in tune.json
    best: list[dict[str, Any]]  # the best of those that were completed, the best first


def search(
    config: Config,
    space: Space,
    folder: pathlib.Path,
    *,
    trials: int,
    seeds: int = 1,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> Found:
    """Runs the trials that are missing, the config's own values first, and writes tune.json.

    Args:
      config: not resolved; it holds for every trial.
      space: of `read_space`.
      folder: of the search, new or continued.
      trials: in all, those of earlier calls included.
      seeds: runs of a trial: train.seed, train.seed + 1, ...; its value is their mean.
      command: kept in tune.json.
      say: is told of every trial.

    Raises:
      InputError: the folder holds another search, or no trial was completed.
      PlaceError: the folder, or that of a run, cannot be written, or is in use.
    """
    _optuna()
    from mmssl_jax.studies import tune_folder  # which needs Optuna as it is imported

    models.resolve(config)
    first = config.train.seed
    atomic.check_writable(folder / "tune.json")
    dataset = session.load_data(config, warn=lambda line: say(f"warning: {line}"))
    identity = tune_folder.identity(config, dataset, space, seeds)
    database = tune_folder.database(folder / "tune.db")
    with atomic.locked(folder, "searching"), database as storage:
        own = tune_folder.within(space, config)
        study = tune_folder.open_study(storage, folder, identity, own)
        while (number := len(tune_folder.ended(study))) < trials:
            trial = tune_folder.draw(study, space, first)
            value = tune_folder.known(study, trial)
            if value is None:
                tried = named.applied(config, trial.params)
                tell = partial(_say_of_trial, say, number)
                value = _trained(trial, tried, range(first, first + seeds), dataset, folder, tell)
            study.tell(trial, value, state=tune_folder.PRUNED if value is None else None)
        about = {
            "data": results.kind_of_data(dataset, config),
            "modalities": list(dataset.features),
        }
        return _written(tune_folder.ended(study), folder, about | {"command": command})


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise InputError('tune needs Optuna: pip install ".[tune]"') from error
    optuna.logging.set_verbosity(logging.ERROR)
    module: ModuleType = optuna  # where it is not installed, mypy knows nothing of it
    return module


def read_space(path: pathlib.Path) -> Space:
    """What the get_search_space() of a config file returns; raises InputError."""
    distributions = _optuna().distributions
    space = named.call(path, "get_search_space")
    known = models.fields()
    if not isinstance(space, Mapping) or not space:
        raise InputError(f"{path}: get_search_space() must return field -> distribution")
    for field, distribution in space.items():
        if field not in known:
            raise InputError(f"{path}: get_search_space() has the unknown config field '{field}'")
        if field in _FIXED:
            raise InputError(f"{path}: '{field}' cannot be searched; it is the same in all trials")
        if not isinstance(distribution, distributions.BaseDistribution):
            raise InputError(
                f"{path}: '{field}' of get_search_space() must be one of optuna.distributions"
            )
    return dict(space)


def _say_of_trial(say: Callable[[str], None], number: int, line: str) -> None:
    say(f"trial {number}: {line}")


def _trained(
    trial: "optuna.Trial",
    config: Config,
    seeds: Sequence[int],
    dataset: Dataset,
    folder: pathlib.Path,
    say: Callable[[str], None],
) -> float | None:
    """The mean over seeds of the best validation Recall@20; None where the trial was given up.

    Whether it is given up is decided in the run of the first seed.
    """
    from optuna import TrialPruned

    def watch(epoch: int, recall: float) -> None:
        trial.report(recall, epoch)
        if trial.should_prune():
            raise TrialPruned

    # The same values have the same folder, so that a trial goes on where a kill stopped it.
    digest = hashlib.sha256(json.dumps(trial.params, sort_keys=True).encode()).hexdigest()
    runs = {seed: folder / "trials" / digest[:16] / f"seed-{seed}" for seed in seeds}
    say(as_flags(trial.params))
    summaries: list[dict[str, Any]] = []
    try:
        for seed, run in runs.items():
            resolved = models.resolve(named.applied(config, {"train.seed": seed}))
            watched = None if summaries else watch
            summaries += [training.train(resolved, dataset, run, splits=("val",), watch=watched)]
    except TrialPruned:
        say("pruned")
    except PlaceError:  # no fault of the trial, which is tried again
        raise
    except training.FAILURES as error:  # such as a loss that became infinite
        message = " ".join(str(error).split()) or type(error).__name__
        trial.set_user_attr("error", message)
        say(f"failed: {message}")
    for run in runs.values():  # a search of hundreds would fill a disk
        shutil.rmtree(RunFolder(run).checkpoints, ignore_errors=True)
    return _mean(trial, summaries) if len(summaries) == len(seeds) else None


def _mean(trial: "optuna.Trial", summaries: Sequence[Mapping[str, Any]]) -> float:
    """The value of a trial by its runs, whose figures it keeps."""
    recalls = [summary["val/recall@20"] for summary in summaries]
    trial.set_user_attr("val/recall@20/seeds", recalls)
    trial.set_user_attr("val/ndcg@20", fmean(summary["val/ndcg@20"] for summary in summaries))
    trial.set_user_attr("best_epochs", [summary["best_epoch"] for summary in summaries])
    trial.set_user_attr("commit", summaries[-1]["commit"])
    return fmean(recalls)


def _written(
    ended: Sequence["optuna.trial.FrozenTrial"], folder: pathlib.Path, about: dict[str, Any]
) -> Found:
    """Writes tune.json; raises InputError where no trial was completed."""
    # By their place among these: Optuna also counts those that a kill has stopped.
    trials = [_described(number, trial) for number, trial in enumerate(ended)]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = sorted(complete, key=lambda trial: -trial["val/recall@20"])
    content = about | {"best": best[0] if best else None, "trials": trials}
    atomic.write_json(folder / "tune.json", content)
    if not best:
        problems = [trial["error"] for trial in trials if "error" in trial]
        raise InputError(f"no trial was completed; {problems[-1] if problems else 'all were cut'}")
    return Found(about["data"], trials, best)


def table(found: Found) -> Table:
    """The best trials."""
    title = f"Validation, {rich.markup.escape(found.data)}: the best of {len(found.trials)} trials"
    result = Table(title=title)
    result.title_justify = "left"
    for name in ("trial", "Recall@20", "NDCG@20", "best epochs"):
        result.add_column(name, justify="right", no_wrap=True)
    result.add_column("values", overflow="fold")
    for trial in found.best[:_SHOWN]:
        result.add_row(
            str(trial["trial"]),
            f"{trial['val/recall@20']:.4f}",
            f"{trial['val/ndcg@20']:.4f}",
            " ".join(map(str, trial["best_epochs"])),
            ", ".join(f"{field}={_short(value)}" for field, value in trial["params"].items()),
        )
    return result


def _described(number: int, trial: "optuna.trial.FrozenTrial") -> dict[str, Any]:
    """A trial in tune.json; its state is one of Optuna's, or 'failed' for one that went wrong."""
    value, state = trial.value, trial.state.name.lower()
    if "error" in trial.user_attrs:
        value, state = None, "failed"  # told to Optuna as pruned, so that it counts as tried
    described: dict[str, Any] = {"trial": number, "state": state, "val/recall@20": value}
    described |= {"params": trial.params} | trial.user_attrs
    return described


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def as_flags(params: Mapping[str, Any]) -> str:
    """The values as flags of `mmssl train`."""
    return shlex.join(f"--config.{field}={value}" for field, value in params.items())
