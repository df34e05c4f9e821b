"""Writes tables of results in documents anew: mmssl ledger docs/results.md"""

import pathlib
import sys

import click

from mmssl_jax.commands import flags
from mmssl_jax.errors import InputError
from mmssl_jax.studies import ledger as studies

_EXAMPLE = """\b
Example:
  mmssl ledger --check docs/results.md"""


@click.command(epilog=_EXAMPLE)
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; fail where a table is not what its JSON gives.",
)
@click.argument("documents", nargs=-1, type=flags.PATH, metavar="DOCUMENT...")
def ledger(documents: tuple[pathlib.Path, ...], check: bool) -> None:
    """Writes the tables of results in Markdown documents anew.

    Each is made of the JSON of a comparison that a line such as <!-- results/parts.json --> names,
    and ends with <!-- end -->.
    """
    if not documents:
        raise InputError("give Markdown documents, such as docs/results.md")
    for document in documents:
        if studies.update(document, check=check):
            print(f"written: {document}", file=sys.stderr)


COMMAND = ledger
