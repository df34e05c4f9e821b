"""Writes one page on what runs did: mmssl report runs/demo"""

import pathlib

import click

from mmssl_jax.commands import running
from mmssl_jax.commands.paths import PATH

_EXAMPLES = """\b
Examples:
  mmssl report runs/demo --to demo.html
  mmssl report runs/mine runs/ease runs/lightgcn"""


@click.command(epilog=_EXAMPLES)
@click.argument("runs", type=PATH, nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--to",
    type=PATH,
    default="report.html",
    metavar="FILE",
    help="The page (default: report.html).",
)
@click.option("--data", metavar="FOLDER", help="The runs' data, if they were moved.")
def report(runs: tuple[pathlib.Path, ...], to: pathlib.Path, data: str | None) -> None:
    """Writes one HTML page on one run, or on several of the same data.

    It has learning curves, test scores with intervals, results by groups, how lists spread over the
    items, recommendations of some users, nearest items and a map of all. Several runs are compared
    with the first. The page needs no network.
    """
    from mmssl_jax.reporting import report as reporting
    from mmssl_jax.training import compilation_cache

    compilation_cache.use()
    reporting.report(runs, to, path=data, warn=running.warn, say=running.say)


COMMAND = report
