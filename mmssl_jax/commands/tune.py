"""Searches settings on validation: mmssl tune --config tiktok --trials 50"""

import pathlib
import shlex

import click
from rich.console import Console

from mmssl_jax.commands import flags, running
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.errors import InputError
from mmssl_jax.studies import tune as studies

_EXAMPLE = """\b
Example:
  mmssl tune --config tiktok --config.data.path=FOLDER --trials 50"""


@click.command(
    cls=flags.ConfigCommand,
    epilog=_EXAMPLE,
)
@flags.config("runs/tune/<config name>", "for every trial")
@click.option(
    "--trials",
    type=flags.Number(1, 999_999),
    metavar="N",
    help="Trials in all, those of earlier calls included.",
)
@flags.seeds(1, "Runs of a trial, whose value is their mean")
def tune(given: Given, workdir: pathlib.Path | None, trials: int | None, seeds: int) -> None:
    """Searches what the get_search_space() of the config file says, on validation.

    configs/tiktok.py has one. The same command goes on where a stopped one was. Needs pip install
    ".[tune]".
    """
    if trials is None:
        raise InputError("no --trials given; it counts all, those of earlier calls included")
    space = studies.read_space(given.file)
    if searched := space.keys() & given.overrides.keys():
        raise InputError(f"--config.{min(searched)} is searched, so it cannot be given as well")
    folder = workdir or pathlib.Path("runs/tune") / given.name
    with running.goes_on():
        found = studies.search(
            given.config,
            space,
            folder,
            trials=trials,
            seeds=seeds,
            command=given.command,
            say=running.say,
        )
    Console().print(studies.table(found))
    where = shlex.join(
        ["--config", given.shipped or str(given.file), "--workdir", str(folder / "best")]
    )
    best = studies.as_flags(given.overrides | found.best[0]["params"])
    print(f"next: mmssl train {where} {best}")


COMMAND = tune
