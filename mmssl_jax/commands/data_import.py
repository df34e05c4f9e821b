"""`mmssl data import`: data of any known layout, or a table of pairs, becomes a data folder."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mmssl_jax.commands import import_options, import_report
from mmssl_jax.commands.help_sections import Command
from mmssl_jax.commands.paths import PATH
from mmssl_jax.data.importing import imports
from mmssl_jax.data.importing.options import ImportOptions
from mmssl_jax.errors import InputError

_EXAMPLE = """\b
Example, of a table with a column of times:
  mmssl data import ratings.csv --to data/shop --split leave-last --min-rating 4"""


@click.command("import", cls=Command, epilog=_EXAMPLE)
@click.argument("path", type=PATH)
@import_options.where
@import_options.features
@import_options.splits
@import_options.tables
@import_options.held_out
def COMMAND(
    path: Path,
    to: Path | None,
    dry_run: bool,
    modalities: tuple[tuple[str, Path], ...],
    **given: Any,
) -> None:
    """Makes a data folder of PATH.

    That is a folder of any layout of docs/data.md, or of tables of train, val and test; or a table
    of interactions: CSV, TSV, JSON lines or Parquet.
    """
    if to is None and not dry_run:
        raise InputError("no --to given; name the folder to write, or add --dry-run")
    names = [name for name, _ in modalities]
    if len(set(names)) < len(names):
        raise InputError(f"--modality names {', '.join(names)}: each may be there once")
    options = ImportOptions(path, to=None if dry_run else to, modalities=dict(modalities), **given)
    try:
        imported = imports.import_data(options, Console(stderr=True).status)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("give the same command again") from None
    import_report.show(imported)
