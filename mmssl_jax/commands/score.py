"""Scores lists that another system recommends: mmssl score lists.run --data data/mine"""

import functools
import pathlib
from collections.abc import Callable

import click
import rich.markup
from rich.console import Console
from rich.table import Table

from mmssl_jax import data as datasets
from mmssl_jax import models
from mmssl_jax.commands import flags, running, score_files
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.tables import ranked_lists
from mmssl_jax.errors import InputError, printable
from mmssl_jax.ranking import given_lists, metrics
from mmssl_jax.training import results

_EXAMPLES = """\b
Examples:
  mmssl score theirs.run --data data/mine
  mmssl score theirs.csv --data data/mine --json scores.json --per-user users.parquet"""


def _separator(text: str) -> str:
    mark = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(mark.encode()) != 1 or mark in '"\r\n':
        raise InputError(f"--separator is {mark!r}; it must be one character, or tab")
    return mark


_column = functools.partial(click.option, type=flags.TEXT, metavar="NAME")


def _of_tables(function: Callable[..., None]) -> Callable[..., None]:
    """The flags that say how a table is read."""
    for add in (
        click.option("--no-header", is_flag=True, help="The first line of a text has no names."),
        click.option(
            "--separator", type=_separator, metavar="C", help="Of text (default: , or a tab)."
        ),
        _column("--score-column", help="column of scores, the highest first."),
        _column("--rank-column", help="Column of ranks, the lowest first; or else"),
        _column("--item-column", help="Column of raw item ids."),
        _column("--user-column", help="Column of raw user ids, or its number (default: found)."),
    ):
        function = add(function)
    return function


@click.command(cls=flags.ConfigCommand, without_file=True, epilog=_EXAMPLES)
@click.argument("lists", type=flags.PATH, metavar="LISTS")
@click.option("--data", type=flags.PATH, metavar="FOLDER", help="The data folder.")
@click.option(
    "--split",
    type=flags.Choice(("test", "val")),
    default="test",
    help="Whose pairs are to be found (default: test).",
)
@_of_tables
@score_files.options
@flags.config_fields("such as --config.evaluation.cutoffs=10,20")
def score(
    given: Given,
    lists: pathlib.Path,
    data: pathlib.Path | None,
    split: str,
    separator: str | None,
    no_header: bool,
    json: pathlib.Path | None,
    per_user: pathlib.Path | None,
    **columns: str | None,
) -> None:
    """Scores the lists of any other system by the rules of evaluate.

    LISTS is a TREC run, or a CSV, TSV, JSON or Parquet table with a user, an item, and a rank or a
    score in each row. Ids are the raw ones of the data.
    """
    files = score_files.Files(json, per_user)
    files.check()
    if data is not None:
        if "data.path" in given.overrides:
            raise InputError("--data and --config.data.path cannot both be given")
        given.config.data.path = str(data)
    elif not given.config.data.path:
        raise InputError("no --data given; name the data folder whose test pairs are looked for")
    config = models.resolve(given.config)
    dataset = datasets.load(
        config.data.path, "none", config.data.demo_seed, repeats=config.data.repeats
    )
    roles = {name.removesuffix("_column"): column for name, column in columns.items()}
    read = ranked_lists.read(lists, roles, separator, not no_header)
    for warning in (*dataset.warnings, *read.warnings):
        running.warn(warning)
    scored = given_lists.score(read, dataset, split, config.evaluation)
    _show(lists, scored, dataset, config)
    about = {"lists": str(lists), "order": read.by} | results.about_data(dataset, config)
    files.write(about | scored.scores, lambda: scored.per_user)


def _show(
    lists: pathlib.Path, scored: given_lists.Scored, dataset: Dataset, config: Config
) -> None:
    """Prints the scores as a table, and a line of everything that was counted."""
    cutoffs = config.evaluation.cutoffs
    title = f"{printable(lists.name)} on {results.kind_of_data(dataset, config)}"
    table = Table(title=rich.markup.escape(title), title_justify="left")
    table.add_column("metric")
    for cutoff in cutoffs:
        table.add_column(f"{scored.split} @{cutoff}", justify="right")
    for metric in (*metrics.METRICS, "ndcg_released"):
        values = [scored.scores[f"{scored.split}/{metric}@{cutoff}"] for cutoff in cutoffs]
        table.add_row(metric, *(f"{value:.4f}" for value in values))
    console = Console()
    console.print(table)
    for line in scored.said:
        console.print(line, soft_wrap=True, highlight=False, markup=False)


COMMAND = score
