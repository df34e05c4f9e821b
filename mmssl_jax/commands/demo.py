"""Trains on generated data, to see whether everything works: mmssl demo"""

import pathlib
import shlex

import click

from mmssl_jax.commands import flags
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.commands.train import train

_EXAMPLE = """\b
Example:
  mmssl demo"""


@click.command(
    cls=flags.ConfigCommand,
    default="demo",
    epilog=_EXAMPLE,
)
@click.option("--workdir", type=flags.PATH, metavar="DIR", help="The folder (default: runs/demo).")
@click.pass_context
def demo(context: click.Context, given: Given, workdir: pathlib.Path | None) -> None:
    """Trains MMSSL on generated data and prints its scores, in a minute or two.

    The data has a planted structure; the scores say that all works here, and nothing about real
    data. It is `mmssl train --config demo`.
    """
    context.invoke(
        train, given=given, workdir=workdir, final=False, final_from=None, track=None, quiet=False
    )
    where = "" if workdir is None else f" --workdir {shlex.quote(str(workdir))}"
    print("next:")
    print(f"  mmssl evaluate --config demo{where}")
    print(f"  mmssl recommend --config demo{where} --users 3")
    print("  mmssl data import --help    your own data; then mmssl train --config FILE")


COMMAND = demo
