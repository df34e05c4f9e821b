"""Trains a model: mmssl train --config demo"""

import pathlib
import signal
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from mmssl_jax import data, models, training
from mmssl_jax.commands import distributed, flags, running
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError
from mmssl_jax.files import signals
from mmssl_jax.planning import foresight
from mmssl_jax.runs import trackers
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import final_run, results, room, session

_EXAMPLES = """\b
Examples:
  mmssl train --config demo
  mmssl train --config baby --config.data.path=FOLDER --config.train.seed=1"""


def _progress(function: Callable[..., None]) -> Callable[..., None]:
    """The flags --track and --quiet."""
    track = click.option(
        "--track",
        type=flags.Choice(tuple(trackers.TRACKERS)),
        metavar="NAME",
        help="Also tell the metrics to tensorboard, wandb or mlflow.",
    )
    quiet = click.option("--quiet", is_flag=True, help="Show no progress, only the scores.")
    return track(quiet(function))


@click.command(
    cls=flags.ConfigCommand,
    epilog=_EXAMPLES,
)
@flags.config("runs/<config name>; if final, with -final")
@click.option(
    "--final",
    is_flag=True,
    help="Train on all pairs, those of val and test too, for serving: no validation, no scores; "
    "needs --config.train.epochs=N.",
)
@click.option(
    "--final-from",
    type=flags.PATH,
    metavar="RUN",
    help="The same, by the config of a finished run (its folder), up to its best epoch.",
)
@_progress
@distributed.options
def train(
    given: Given,
    workdir: pathlib.Path | None,
    final: bool,
    final_from: pathlib.Path | None,
    track: str | None,
    quiet: bool,
    **several: Any,
) -> None:
    """Trains a model and prints the scores of its best epoch.

    A run that was stopped goes on where it was, by the same command. Where the system ends it
    (SIGTERM), it saves its state first.
    """
    with (
        running.goes_on(),
        distributed.together(**several) as moved,
        signals.noted(signal.SIGTERM) as asked,
    ):
        name = f"{given.name}-final" if final or final_from else given.name
        folder = workdir or pathlib.Path("runs") / name
        config, dataset = _planned(given, final, final_from)
        try:
            outside = training.Outside(asked.is_set, moved, quiet=quiet)
            summary = _trained(config, dataset, folder, outside, track)
        except training.Stopped as stopped:
            running.say(str(stopped))
            return
        _print(summary, config, dataset, folder)


def _trained(
    config: Config,
    dataset: data.Dataset,
    folder: pathlib.Path,
    outside: training.Outside,
    track: str | None,
) -> dict[str, Any]:
    """The content of results.json of the run, whose rows are told to a tracker."""
    foresight.check(config, dataset)
    with trackers.tracking(track, RunFolder(folder), config, running.warn) as told:
        try:
            return training.train(config, dataset, folder, outside=outside._replace(told=told))
        except training.OUT_OF_MEMORY as error:
            raise InputError(_failure(error, config)) from error


def _print(
    summary: dict[str, Any], config: Config, dataset: data.Dataset, folder: pathlib.Path
) -> None:
    title = results.title(dataset, config, summary["best_epoch"])
    if dataset.final:
        Console().print(f"{title}\nin {folder}, for recommend and export --workdir", soft_wrap=True)
    else:
        Console().print(results.table(summary, config.evaluation.cutoffs, title))


def _failure(error: Exception, config: Config) -> str:
    """What to do where a device, or the host, gave up."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    less = room.smaller(config)
    return f"the device cannot do it ({reason}); where memory is short, try a smaller {less}"


def _planned(given: Given, final: bool, source: pathlib.Path | None) -> tuple[Config, data.Dataset]:
    """The config, resolved, and the data set of the run that is to be made."""
    if source is None and not final:
        config = models.resolve(given.config)
        return config, session.load_data(config, warn=running.warn)
    how = ""
    if source is None:
        config = final_run.config_for(given.config, given.overrides)
    else:
        config, how = final_run.config_from(RunFolder(source), given.overrides)
    dataset = session.load_data(config, final=True, warn=running.warn)
    if source is not None and (warning := final_run.check_data(RunFolder(source), dataset)):
        running.warn(warning)
    line = f"all {dataset.train.nnz} pairs are trained on, without validation and test"
    running.say(f"{line}; {how}" if how else line)
    return config, dataset


COMMAND = train
