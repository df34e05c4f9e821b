"""Prints what a run recommends to some users: mmssl recommend --config demo --users 3"""

import functools
import pathlib
from typing import Any

import click
from rich.console import Console

from mmssl_jax.commands import flags
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.files import atomic
from mmssl_jax.serving import recommend as serving
from mmssl_jax.serving.asked import TAKE_HISTORY
from mmssl_jax.serving.new_items import TAKE_NEW_ITEMS

_EXAMPLES = """\b
Examples:
  mmssl recommend --config demo --users 3,14
  mmssl recommend --config baby --users A1 --where "category == 'toys'"
  mmssl recommend --config baby --history B00A,B00B --only B00C,B00D"""
_ids = functools.partial(click.option, type=flags.TEXT, metavar="ID,...")


@click.command(
    cls=flags.ConfigCommand,
    epilog=_EXAMPLES,
)
@flags.config("runs/<config name>", "here data.path alone")
@_ids("--users", help="Raw ids, or indices where the data has no raw ids.")
@_ids("--history", help=f"Instead: the items of a new user ({TAKE_HISTORY}).")
@_ids("--similar-to", help="Instead: items, to list what is most like them.")
@click.option("--top", type=flags.Number(), metavar="N", help="Items for each user (default: 10).")
@_ids("--exclude", help="Items that are in no list.")
@_ids("--only", help="Only these items are ranked.")
@click.option(
    "--where",
    type=flags.TEXT,
    metavar="CONDITION",
    help="Only items whose attributes fulfil it are ranked.",
)
@click.option(
    "--new-items",
    type=flags.PATH,
    metavar="FOLDER",
    help=f"Items that came after training ({TAKE_NEW_ITEMS}).",
)
@flags.known_items()
@click.option("--json", type=flags.PATH, metavar="FILE", help="Also write the lists as JSON.")
def recommend(
    given: Given, workdir: pathlib.Path | None, json: pathlib.Path | None, **asked: Any
) -> None:
    """Prints the best items of some users, or those like an item, with titles where known.

    The config stored with the run is used; only --config.data.path may be given on top.
    """
    if json is not None:
        atomic.check_writable(json)
    recommended = serving.recommend(flags.trained(given, workdir, "recommend"), **asked)
    Console().print(serving.table(recommended))
    if json is not None:
        atomic.write_json(json, recommended.lists)


COMMAND = recommend
