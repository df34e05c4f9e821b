"""What stands in a report: its charts and tables, as the template takes them."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmssl_jax.data import Dataset
from mmssl_jax.ranking import groups
from mmssl_jax.reporting import charts, people, scores, spread
from mmssl_jax.reporting.looks import Looks
from mmssl_jax.reporting.measured import MOST_LISTS, TOP, Measured
from mmssl_jax.studies.effects import LEVEL
from mmssl_jax.training import results

METRIC = "recall@20"  # that is shown first
DIVISIONS = {  # name of a division of users and items -> its groups
    "quartiles": groups.QUARTILES,
    "fixed bounds": tuple(groups.FIXED),
}
TRAINING = "training pairs"  # beside the runs in the chart of concentration
MOST_ON_MAP = 2000
_DIGITS = 5

Row = dict[str, Any]


def content(runs: Sequence[Measured], dataset: Dataset, looks: Looks) -> Row:
    """Everything that the template shows."""
    names = [run.name for run in runs]
    found = {
        "title": ", ".join(names),
        "runs": runs,
        "ranked": _ranked(runs[0].about["ranked"]),
        "names": names,
        "dataset": dataset,
        "metric": METRIC,
        "metrics": scores.metrics(runs),
        "left_out": scores.left_out(runs),
        "divisions": DIVISIONS,
        "scores": _by_metric(scores.table(runs)),
        "differences": scores.differences(runs) if len(runs) > 1 else [],
        "group_rows": _group_rows(runs),
        "popularity": dataset.train.nnz / dataset.num_items,
        "cutoffs": spread.CUTOFFS,
        "top": TOP,
        "listed": len(runs[0].listed),
        "some_listed": dataset.num_users > MOST_LISTS,
        "users": people.users(runs, dataset, looks),
        "items": people.items(runs, dataset, looks),
        "level": LEVEL,
        "colours": charts.COLOURS,
    }
    return found | {"charts": _charts(runs, dataset, looks, found)} | _map(runs, dataset, looks)


def _charts(runs: Sequence[Measured], dataset: Dataset, looks: Looks, found: Row) -> Row:
    """Place in the page -> Vega-Lite."""
    names = found["names"]
    specs = {f"loss-{player}": charts.losses(rows, player, names) for player, rows in _losses(runs)}
    rows, best = _validations(runs)
    if rows:
        specs["validation"] = charts.validation(rows, best, names, METRIC)
    specs["test"] = charts.intervals(scores.table(runs), names, METRIC)
    for kind in ("users", "items"):
        own = [
            row | {"label": f"{row['group']}|{row['users']:,} users"}
            for row in found["group_rows"]
            if row["kind"] == kind and row["recall"] is not None
        ]
        order = list(dict.fromkeys(row["label"] for row in own))
        specs[f"groups-{kind}"] = charts.groups(own, names, next(iter(DIVISIONS)), order)
    specs["concentration"] = _concentration(runs, dataset)
    return specs


def _concentration(runs: Sequence[Measured], dataset: Dataset) -> Row:
    """The chart of how evenly lists are spread, beside the training pairs."""
    names, reference = [run.name for run in runs], TRAINING
    while reference in names:  # a run may be called so
        reference += " of the data"
    popularity = dataset.item_degrees
    curves = [run.spread.curve for run in runs]
    points = [
        {"run": name, "items": _short(x), "places": _short(y)}
        for name, curve in zip(
            [*names, reference], [*curves, spread.lorenz(popularity)], strict=True
        )
        for x, y in curve.tolist()
    ]
    return charts.concentration(points, names, reference)


def _losses(runs: Sequence[Measured]) -> list[tuple[str, list[Row]]]:
    """Player -> its losses by epoch, in all runs that have the player."""
    found: dict[str, list[Row]] = {}
    for run in runs:
        for row in run.rows:
            for key, value in row.items():
                player, _, term = key.rpartition("/")
                loss = _short(value)
                if term == "loss" and loss is not None:
                    point = {"run": run.name, "epoch": row["epoch"], "loss": loss}
                    found.setdefault(player, []).append(point)
    return list(found.items())


def _validations(runs: Sequence[Measured]) -> tuple[list[Row], list[Row]]:
    """The validations of all runs, a row each, and the best epoch of each run."""
    rows = []
    for run in runs:
        best = run.about["best_epoch"]
        for row in run.rows:
            found = {name: _short(row.get(f"val/{name}")) for name in run.per_user}
            values = {name: value for name, value in found.items() if value is not None}
            if values:
                about = {"run": run.name, "epoch": row["epoch"], "best": row["epoch"] == best}
                rows.append(about | values)
    return rows, [{"run": run.name, "epoch": run.about["best_epoch"]} for run in runs]


def _by_metric(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["metric"], []).append(row)
    return found


def _group_rows(runs: Sequence[Measured]) -> list[Row]:
    """The recall of every group of users and of items in every run."""
    rows = []
    for kind in ("users", "items"):
        for division, names in DIVISIONS.items():
            for group in names:
                for run in runs:
                    bounds = run.groups[f"training_pairs/{kind}_{group}"]
                    rows.append(
                        {
                            "kind": kind,
                            "division": division,
                            "group": _bounds(bounds) if division == "quartiles" else group,
                            "run": run.name,
                            "recall": run.groups[f"test/{groups.RECALL}/{kind}_{group}"],
                            "users": run.groups[f"test/users/{kind}_{group}"],
                        }
                    )
    return rows


def _bounds(bounds: Sequence[int] | None) -> str:
    if bounds is None:
        return "none"
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"


def _map(runs: Sequence[Measured], dataset: Dataset, looks: Looks) -> Row:
    """The chart of items in two dimensions, and what is to be said of it."""
    popularity = dataset.item_degrees
    categories = looks.categories()
    if categories is None:
        inside = groups.members(popularity)
        labels = [next(g for g in groups.FIXED if inside[g][i]) for i in range(len(popularity))]
        order, kind = [group for group in groups.FIXED if group in set(labels)], TRAINING
    else:
        labels, kind = categories, "category"
        order = sorted(set(labels), key=lambda name: (name == "others", name))
    rows, said = [], []
    for run in runs:
        able = np.flatnonzero(run.space.known)
        some = able[
            np.unique(np.linspace(0, len(able) - 1, min(MOST_ON_MAP, len(able))).astype(int))
        ]
        places, share = run.space.map(some)
        titles = looks.titles(some)
        said.append(
            {"run": run.name, "made_of": run.space.made_of, "share": share, "count": len(some)}
        )
        rows += [
            {"run": run.name, "x": _short(x), "y": _short(y), "title": title, "group": labels[item]}
            for (x, y), title, item in zip(places.tolist(), titles, some.tolist(), strict=True)
        ]
    shown = {row["group"] for row in rows}
    order = [group for group in order if group in shown]
    chart = charts.item_map(rows, [run.name for run in runs], kind, order)
    return {"map": chart, "map_said": said, "map_colour": kind}


def _ranked(rule: str) -> str:
    if rule == results.RANKED[False]:
        return "For each user all items are ranked but the user's training items."
    return f"Ranked are {rule}."


def _short(value: Any) -> float | None:
    """With few digits, as no chart shows more and each costs a byte.

    None for what is no finite number: of a file anything may come, and JSON has no NaN.
    """
    if not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        return None
    return float(f"{value:.{_DIGITS}g}")
