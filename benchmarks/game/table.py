"""The runs of the game as a table: means over seeds, and paired tests against no critic."""

import pathlib
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mmssl_jax.data import Dataset
from mmssl_jax.ranking import groups
from mmssl_jax.studies.comparison import paired

RECALL = groups.RECALL
HEAD = ("row", "seeds", "best epochs", "val Recall@20", "test Recall@20", "test NDCG@20", "p")
Runs = Sequence[dict[str, Any]]


def _rows(runs: Runs) -> dict[str, Runs]:
    """Row -> its runs, in the order of the runs."""
    names = dict.fromkeys(run["row"] for run in runs)
    return {name: [run for run in runs if run["row"] == name] for name in names}


def tests(workdir: pathlib.Path, dataset: Dataset, runs: Runs) -> list[dict[str, Any]]:
    """Of each row, the difference in test Recall@20 to the same variant without a critic.

    Each user's recall is the mean over a row's seeds, and the p-value that of the paired t-test
    over users: all, and those with so many training pairs. Rows whose runs kept no users'
    scores are left out.
    """
    degrees, found = np.diff(dataset.train.indptr), []
    kept = {name: _of_users(workdir, of_row) for name, of_row in _rows(runs).items()}
    for row, scores in kept.items():
        without = row.split()[0] + " off" + (" patient" if row.endswith(" patient") else "")
        off = kept.get(without)
        if scores is None or off is None or row == without:
            continue
        users = scores["users"]
        inside = {"all": np.ones(len(users), bool)} | groups.members(degrees[users])
        for name in ("all", *groups.FIXED):
            if not inside[name].any():
                continue
            difference, p, _ = paired(scores[RECALL][inside[name]], off[RECALL][inside[name]])
            count = int(inside[name].sum())
            found.append(
                {"row": row, "users": name, "count": count, "difference": difference, "p": p}
            )
    return found


def _of_users(workdir: pathlib.Path, runs: Runs) -> dict[str, np.ndarray] | None:
    """The users of the test split and the mean over seeds of their recall."""
    paths = [workdir / run["row"] / f"seed-{run['seed']}" / "per_user.npz" for run in runs]
    if not all(path.exists() for path in paths):
        return None
    scores = [np.load(path) for path in paths]
    mean = np.mean([of_seed[RECALL] for of_seed in scores], axis=0, dtype=np.float64)
    return {"users": scores[0]["users"], RECALL: mean}


def markdown(runs: Runs, tested: Sequence[dict[str, Any]]) -> str:
    """Two tables: the rows, and the tests by the users' numbers of training pairs."""
    over_all = {test["row"]: test["p"] for test in tested if test["users"] == "all"}
    lines = []
    for row, of_row in _rows(runs).items():
        seeds = len(of_row)
        epochs = " ".join(str(run["best_epoch"]) for run in of_row)
        scores = (
            _mean([run[key] for run in of_row])
            for key in ("val/recall@20", "test/recall@20", "test/ndcg@20")
        )
        p = f"{over_all[row]:.4f}" if row in over_all else "-"
        lines.append((row, str(seeds), epochs, *scores, p))
    by_users = [
        (
            test["row"],
            test["users"],
            str(test["count"]),
            f"{test['difference']:+.4f}",
            f"{test['p']:.4f}",
        )
        for test in tested
    ]
    heads = ("row", "training pairs of the user", "users", "test Recall@20, to no critic", "p")
    return _table(HEAD, lines) + "\n" + _table(heads, by_users)


def _mean(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.4f}{spread}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
