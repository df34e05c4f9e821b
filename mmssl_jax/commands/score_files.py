"""The files that scores are written to: --json and --per-user."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import click
import polars as pl

from mmssl_jax.commands import flags
from mmssl_jax.files import atomic
from mmssl_jax.ranking import per_user as tables


class Files(NamedTuple):
    """Where scores are written, None where they are not."""

    json: pathlib.Path | None
    per_user: pathlib.Path | None

    def check(self) -> None:
        """Raises InputError for a file that cannot be written, before any work is done."""
        if self.json is not None:
            atomic.check_writable(self.json)
        if self.per_user is not None:
            tables.check_writable(self.per_user)

    def write(self, scores: Mapping[str, Any], per_user: Callable[[], pl.DataFrame]) -> None:
        """Writes the scores, and those of every user, which are made only where they are asked."""
        if self.json is not None:
            atomic.write_json(self.json, scores)
        if self.per_user is not None:
            tables.write(self.per_user, per_user())


def options(function: Callable[..., None]) -> Callable[..., None]:
    """The flags, which the command gets as `json` and `per_user`."""
    for_users = click.option(
        "--per-user",
        type=flags.PATH,
        metavar="FILE.parquet",
        help="Also write the scores of every user, as Parquet.",
    )
    for_all = click.option(
        "--json", type=flags.PATH, metavar="FILE", help="Also write the scores as JSON."
    )
    return for_all(for_users(function))
