"""Scores the best epoch of a run: mmssl evaluate --config demo"""

import pathlib
from typing import Any

import click
from rich.console import Console

from mmssl_jax.commands import distributed, flags, running
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.files import atomic
from mmssl_jax.ranking import groups
from mmssl_jax.ranking import per_user as users
from mmssl_jax.runs import processes
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import results, session

_EXAMPLES = """\b
Examples:
  mmssl evaluate --config demo
  mmssl evaluate --config baby --workdir runs/mine --json scores.json
  mmssl evaluate --config demo --per-user users.parquet"""


@click.command(
    cls=flags.ConfigCommand,
    epilog=_EXAMPLES,
)
@flags.config("runs/<config name>", "here data.path alone")
@click.option("--json", type=flags.PATH, metavar="FILE", help="Also write the scores as JSON.")
@click.option(
    "--per-user",
    type=flags.PATH,
    metavar="FILE.parquet",
    help="Also write the scores of every user, as Parquet.",
)
@distributed.options
def evaluate(
    given: Given,
    workdir: pathlib.Path | None,
    json: pathlib.Path | None,
    per_user: pathlib.Path | None,
    **several: Any,
) -> None:
    """Scores the best epoch of a run on validation and test, and by groups of users and of items.

    The config stored with the run is used; only --config.data.path may be given on top.
    """
    if json is not None:
        atomic.check_writable(json)
    if per_user is not None:
        users.check_writable(per_user)
    data_path = flags.data_path(given, "evaluate")
    run = RunFolder(workdir or pathlib.Path("runs") / given.name)
    with distributed.together(**several):
        config, dataset = session.open_run(run, path=data_path, warn=running.warn)
        trained, rankings = results.rankings_of_run(config, dataset, run)
        scores = results.evaluated(trained, rankings)
        title = results.title(dataset, config, scores["best_epoch"])
        console = Console()
        console.print(results.table(scores, config.evaluation.cutoffs, title))
        console.print(groups.table(scores, f"At 20, by groups of users and of items: {title}"))
        if json is not None and processes.is_first():
            atomic.write_json(json, scores)
        if per_user is not None and processes.is_first():
            users.write(per_user, users.table(rankings, dataset, config.evaluation.cutoffs))


COMMAND = evaluate
