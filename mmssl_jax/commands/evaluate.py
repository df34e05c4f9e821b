"""Scores the best epoch of a run: mmssl evaluate --config demo"""

import pathlib
from typing import Any

import click
from rich.console import Console

from mmssl_jax.commands import distributed, flags, running, score_files
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.ranking import groups
from mmssl_jax.ranking import per_user as per_user_scores
from mmssl_jax.runs import processes
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving import export, trec_files
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
@score_files.options
@click.option(
    "--trec",
    type=flags.PATH,
    metavar="FOLDER",
    help="Also write lists and truth as TREC files, into a new folder.",
)
@distributed.options
def evaluate(
    given: Given,
    workdir: pathlib.Path | None,
    json: pathlib.Path | None,
    per_user: pathlib.Path | None,
    trec: pathlib.Path | None,
    **several: Any,
) -> None:
    """Scores the best epoch of a run on validation and test, and by groups of users and of items.

    The config stored with the run is used; only --config.data.path may be given on top.
    """
    files = score_files.Files(json, per_user)
    files.check()
    if trec is not None:
        export.check_empty(trec, "--trec")
    data_path = flags.data_path(given, "evaluate")
    run = RunFolder(workdir or pathlib.Path("runs") / given.name)
    with distributed.together(**several):
        config, dataset = session.open_run(run, path=data_path, warn=running.warn)
        if trec is not None:
            trec_files.check(dataset)
        trained, rankings = results.rankings_of_run(config, dataset, run)
        scores = results.evaluated(trained, rankings)
        title = results.title(dataset, config, scores["best_epoch"])
        console = Console()
        console.print(results.table(scores, config.evaluation.cutoffs, title))
        console.print(groups.table(scores, f"At 20, by groups of users and of items: {title}"))
        if processes.is_first():
            cutoffs = config.evaluation.cutoffs
            files.write(scores, lambda: per_user_scores.table(rankings, dataset, cutoffs))
        if trec is not None:
            trec_files.write(trained, trec)


COMMAND = evaluate
