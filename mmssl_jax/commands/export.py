"""Writes what a run recommends: mmssl export --config demo --to exported"""

import pathlib
from typing import Any

import click

from mmssl_jax.commands import flags
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.errors import InputError
from mmssl_jax.serving import export as serving
from mmssl_jax.serving import export_files

_EXAMPLE = """\b
Example:
  mmssl export --config demo --to exported --format parquet --also card"""


@click.command(
    cls=flags.ConfigCommand,
    epilog=_EXAMPLE,
)
@flags.config("runs/<config name>", "here data.path alone")
@click.option(
    "--to",
    type=flags.PATH,
    metavar="FOLDER",
    help="Where vectors and lists are written; must be new or empty.",
)
@click.option("--top", type=flags.Number(), metavar="N", help="Items for each user (default: 20).")
@click.option(
    "--format",
    "kind",
    type=flags.Choice(serving.FORMATS),
    default=serving.FORMATS[0],
    help="Of the lists (default: npz).",
)
@click.option(
    "--also",
    type=flags.NAMES,
    metavar="NAME,...",
    help=f"What else is written: {', '.join(export_files.ALSO)}.",
)
@flags.known_items()
def export(
    given: Given,
    workdir: pathlib.Path | None,
    to: pathlib.Path | None,
    also: list[str] | None,
    **asked: Any,
) -> None:
    """Writes the vectors of users and items, and a list for every user.

    The config stored with the run is used; only --config.data.path may be given on top.
    """
    if to is None:
        raise InputError("no --to given; name a folder for what is exported")
    serving.check_empty(to)
    export_files.check(also or ())
    trained = flags.trained(given, workdir, "export")
    run = flags.run_of(given, workdir)
    scores = run.read_results() if run.results.is_file() else None
    serving.export(trained, to, also=also or (), scores=scores, say=print, **asked)


COMMAND = export
