"""Compares models, or named settings: mmssl compare --config baby"""

import pathlib
from collections.abc import Callable

import click
from rich.console import Console

from mmssl_jax.commands import flags, running
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.errors import InputError
from mmssl_jax.studies import compare as studies
from mmssl_jax.studies import published, report

_EXAMPLES = """\b
Examples:
  mmssl compare --config demo --models mmssl,lightgcn,popularity --seeds 2
  mmssl compare --config tiktok_released --settings parts --seeds 3"""


def _of_rows(function: Callable[..., None]) -> Callable[..., None]:
    """The flags that say what is compared."""
    for add in (
        click.option(
            "--papers",
            type=flags.PATH,
            metavar="FILE",
            help="Put published figures beside the rows, of a JSON file.",
        ),
        click.option(
            "--against",
            type=flags.TEXT,
            metavar="NAME",
            help="The model that the others are tested against (default: the first).",
        ),
        click.option(
            "--settings",
            type=flags.SETTINGS,
            metavar="FILE|NAME",
            help="Compare named settings, of a file or of: "
            + ", ".join(flags.SETTINGS.names)
            + ".",
        ),
        click.option(
            "--models",
            type=flags.NAMES,
            metavar="NAME,...",
            help="Models, or --settings (default: all).",
        ),
    ):
        function = add(function)
    return function


@click.command(
    cls=flags.ConfigCommand,
    epilog=_EXAMPLES,
)
@flags.config("runs/compare/<config name>, or <config name>-<settings>", "for every model")
@_of_rows
@flags.seeds(5, "Runs per model")
def compare(
    given: Given,
    workdir: pathlib.Path | None,
    models: list[str] | None,
    settings: str | None,
    seeds: int,
    against: str | None,
    papers: pathlib.Path | None,
) -> None:
    """Compares models, or named settings, by paired tests over users.

    Every model and seed is a run of its own below --workdir. The same command goes on where a
    stopped one was, and trains only what is missing.
    """
    if "model.name" in given.overrides:
        raise InputError("--config.model.name cannot be given to compare; give --models instead")
    study = f"-{pathlib.Path(settings).stem}" if settings else ""
    known = None if papers is None else published.read(papers)
    with running.goes_on():
        rows, about = studies.compare(
            given.config,
            workdir or pathlib.Path("runs/compare") / f"{given.name}{study}",
            models=models,
            settings=settings,
            seeds=seeds,
            against=against,
            command=given.command,
            beside=known,
            say=running.say,
        )
    if known and not any(row["model"] in known.scores for row in rows):
        running.warn(f"{papers}: has figures of {', '.join(known.scores)} only, so none is shown")
    Console().print(report.short_table(rows, about.data))


COMMAND = compare
