"""Compares models, or named settings: mmssl compare --config baby"""

import pathlib

import click
from rich.console import Console

from mmssl_jax.commands import flags, running
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.errors import InputError
from mmssl_jax.studies import compare as studies
from mmssl_jax.studies import report

_EXAMPLES = """\b
Examples:
  mmssl compare --config demo --models mmssl,lightgcn,popularity --seeds 2
  mmssl compare --config tiktok_released --settings parts --seeds 3"""


@click.command(
    cls=flags.ConfigCommand,
    epilog=_EXAMPLES,
)
@flags.config("runs/compare/<config name>, or <config name>-<settings>", "for every model")
@click.option(
    "--models", type=flags.NAMES, metavar="NAME,...", help="Models, or --settings (default: all)."
)
@click.option(
    "--settings",
    type=flags.SETTINGS,
    metavar="FILE|NAME",
    help="Compare named settings, of a file or of: " + ", ".join(flags.SETTINGS.names) + ".",
)
@flags.seeds(5, "Runs per model")
@click.option(
    "--against",
    type=flags.TEXT,
    metavar="NAME",
    help="The model that the others are tested against (default: the first).",
)
def compare(
    given: Given,
    workdir: pathlib.Path | None,
    models: list[str] | None,
    settings: str | None,
    seeds: int,
    against: str | None,
) -> None:
    """Compares models, or named settings, by paired tests over users.

    Every model and seed is a run of its own below --workdir. The same command goes on where a
    stopped one was, and trains only what is missing.
    """
    if "model.name" in given.overrides:
        raise InputError("--config.model.name cannot be given to compare; give --models instead")
    study = f"-{pathlib.Path(settings).stem}" if settings else ""
    with running.goes_on():
        rows, about = studies.compare(
            given.config,
            workdir or pathlib.Path("runs/compare") / f"{given.name}{study}",
            models=models,
            settings=settings,
            seeds=seeds,
            against=against,
            command=given.command,
            say=running.say,
        )
    Console().print(report.short_table(rows, about.data))


COMMAND = compare
