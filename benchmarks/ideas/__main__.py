"""Trains ideas that the hybrid does without, for their figures on validation.

python -m benchmarks.ideas --data FOLDER --config configs/tiktok.py --ideas none,hard_negatives
    [--seeds 3] [--workdir FOLDER] [--json FILE] [--config.SECTION.FIELD=VALUE ...]

Every seed renumbers users and items anew, so that nothing is gained by the numbering. The test
split is never ranked. A run that is finished in --workdir is taken as it is: whoever changes an
idea removes its folder there.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.controls import renumbered
from benchmarks.ideas import IDEAS, Idea
from mmssl_jax import config as configs
from mmssl_jax import models, training
from mmssl_jax.commands import config_arguments
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.models import MODELS, Model, hybrid
from mmssl_jax.ranking import groups
from mmssl_jax.ranking.groups import NDCG, RECALL
from mmssl_jax.runs import provenance
from mmssl_jax.runs.folder import RunFolder, describe
from mmssl_jax.training import results, session

IN_A_ROW = 10  # validations of a plateau
WIDTH = 160  # of the table, at least
GROUPS = {f"items_{name}": f"val/{RECALL}/items_{name}" for name in groups.FIXED}
FIGURES = ("recall", "ndcg", "plateau_recall", "plateau_ndcg", *GROUPS, "best_epoch", "seconds")


@contextlib.contextmanager
def in_place_of_the_hybrid(idea: Idea) -> Iterator[None]:
    """While it lasts, model 'hybrid' is built with this idea."""

    def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
        model = hybrid.MODEL.build(config, dataset, steps_per_epoch)
        # No idea says what a new user is scored by.
        return idea(model, config, dataset)._replace(score_history=None)

    MODELS["hybrid"] = hybrid.MODEL._replace(build=build)
    try:
        yield
    finally:
        MODELS["hybrid"] = hybrid.MODEL


def plateau(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Recall and NDCG of the validations in a row whose mean recall is the highest."""
    scores = np.array([[row[f"val/{RECALL}"], row[f"val/{NDCG}"]] for row in rows])
    starts = range(max(1, len(scores) - IN_A_ROW + 1))
    recall, ndcg = max(tuple(scores[start : start + IN_A_ROW].mean(axis=0)) for start in starts)
    return float(recall), float(ndcg)


def figures(config: Config, dataset: Dataset, run: RunFolder) -> dict[str, Any]:
    """Trains a run, or what is left of it, and says how good it is on validation."""
    summary = training.train(config, dataset, run.folder, splits=("val",))
    rows = run.read_metrics(up_to_epoch=summary["epochs"])
    ranking = results.rank_splits(training.best_of_run(config, dataset, run), ("val",))
    by_group = groups.scores_of(ranking, dataset)
    recall, ndcg = plateau(rows)
    return {
        "recall": summary[f"val/{RECALL}"],
        "ndcg": summary[f"val/{NDCG}"],
        "plateau_recall": recall,
        "plateau_ndcg": ndcg,
        **{name: by_group[key] for name, key in GROUPS.items()},
        "best_epoch": summary["best_epoch"],
        "seconds": sum(row["seconds"] for row in rows) * config.train.evaluate_every,
    }


def run_of(idea: str, config: Config, dataset: Dataset, folder: pathlib.Path) -> dict[str, Any]:
    """The figures of an idea and a seed; those of a finished run are kept in its folder."""
    path = folder / "figures.json"
    known = {"config": configs.flatten(config), "dataset": describe(dataset)}
    known = json.loads(json.dumps(known))  # as it is read again
    if path.exists() and (stored := atomic.read_json(path))["of"] == known:
        return stored["figures"]
    with in_place_of_the_hybrid(IDEAS[idea]):
        found = {"seed": config.train.seed} | figures(config, dataset, RunFolder(folder))
    atomic.write_json(path, {"of": known, "figures": found})
    return found


def row_of(idea: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The means over the seeds, None where a seed has none, and the runs themselves."""
    row: dict[str, Any] = {"idea": idea}
    for name in FIGURES:
        values = [run[name] for run in runs]
        row[name] = None if None in values else statistics.fmean(values)
    return row | {"runs": list(runs)}


def table_of(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """A line for each idea: means over the seeds, and recall/NDCG of each seed."""
    of_items = [name.replace("_", " ") for name in GROUPS]
    scored = ["recall", "ndcg", "ten: recall", "ten: ndcg", *of_items]
    table = Table("idea", *scored, "epoch", "s", "by seed", title=title)
    for row in rows:
        scores = ["-" if row[name] is None else f"{row[name]:.4f}" for name in FIGURES[:-2]]
        ends = [f"{row[name]:.0f}" for name in FIGURES[-2:]]
        seeds = " ".join(f"{run['recall']:.4f}/{run['ndcg']:.4f}" for run in row["runs"])
        table.add_row(row["idea"], *scores, *ends, seeds)
    return table


def plan(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str], list[Config]]:
    """The options, the names of the ideas, and the resolved config of every seed."""
    taken, rest = config_arguments.take(arguments, models.fields())
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=f"Ideas: {', '.join(IDEAS)}."
    )
    parser.add_argument("--data", required=True, help="a data folder")
    parser.add_argument("--ideas", default=",".join(IDEAS), help="comma-separated; default: all")
    parser.add_argument("--seeds", type=int, default=3, help="train.seed, train.seed + 1, ...")
    parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("runs/ideas"))
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args(rest)
    ideas = options.ideas.split(",")
    if wrong := [name for name in ideas if name not in IDEAS]:
        raise InputError(f"--ideas has {wrong[0]!r}; the ideas are {', '.join(IDEAS)}")
    given = config_arguments.read(taken, "ideas").config
    values = configs.flatten(given) | {"data.path": options.data, "model.name": "hybrid"}
    seeds = range(given.train.seed, given.train.seed + options.seeds)
    planned = [configs.unflatten(values | {"train.seed": seed}) for seed in seeds]
    return options, ideas, [models.resolve(config) for config in planned]


def main(arguments: Sequence[str]) -> None:
    """The command line; raises InputError."""
    options, ideas, planned = plan(arguments)
    dataset = session.load_data(planned[0])
    about = {"data": dataset.name, "data_fingerprint": dataset.fingerprint}
    about |= {"config": configs.flatten(planned[0]), **provenance.about()}
    rows: list[dict[str, Any]] = []
    for idea in ideas:
        runs = []
        for config in planned:
            seed = config.train.seed
            folder = options.workdir / idea / f"seed-{seed}"
            runs.append(run_of(idea, config, renumbered(dataset, seed), folder))
        rows.append(row_of(idea, runs))
        if options.json:  # after each idea, as all of them take long
            atomic.write_json(options.json, about | {"ideas": rows})
    seeds = ", ".join(str(config.train.seed) for config in planned)
    title = f"{results.kind_of_data(dataset, planned[0])}, validation, seeds {seeds}"
    Console(width=max(Console().width, WIDTH)).print(table_of(rows, title))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
