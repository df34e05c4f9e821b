"""A comparison's files: compare.md, compare.csv, compare.json and the chart compare.png."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import rich.markup
from rich.table import Table

from mmssl_jax.data.checks import cold
from mmssl_jax.files import atomic
from mmssl_jax.ranking import groups
from mmssl_jax.studies import cells, differences
from mmssl_jax.studies.comparison import GROUPS, PAIRED, SCORES, Entry, Run
from mmssl_jax.studies.published import Published

_P = "p Recall@20, Holm"
Row = Mapping[str, Any]  # of comparison.rows

_NOTES = """\
Mean ± sample standard deviation over seeds, on the test split unless it says validation; the epoch
is that of the best validation Recall@20.
Seconds are those of all epochs with their validations, without compilation, mean over seeds.
Parameters of a model that is solved are the numbers it solves for; it has the same result under
every seed, and one run."""

_GROUPS_NOTE = """\
Items and users by their number of training pairs; cold ones have none. Means over seeds. The head
of a column says how many test users the recall is a mean over. For a group of items, these are the
users with test pairs in it, and the recall is that of these pairs alone."""


@dataclasses.dataclass(frozen=True)
class About:
    """What was compared, and how."""

    data: str  # the data set in words, which say so where it is generated
    modalities: Sequence[str]
    command: str
    overrides: Mapping[str, Mapping[str, Any]]  # name of a row -> what it changes in the config
    published: Published | None = None  # what others have, to stand beside


def write(
    folder: pathlib.Path,
    rows: Sequence[Row],
    entries: Sequence[Entry],
    about: About,
    say: Callable[[str], None],
) -> None:
    """Writes the four files into the folder of a comparison; `rows` are those of `entries`.

    `say` is told which; the chart needs matplotlib.
    """
    heading = f"Comparison on {about.data}, modalities: {', '.join(about.modalities) or 'none'}"
    atomic.write_text(folder / "compare.md", markdown(rows, heading, about.published))
    atomic.write_text(folder / "compare.csv", _csv(rows, about.data))
    content = {"title": heading} | dataclasses.asdict(about)
    content["models"] = list(rows)
    content["runs"] = {entry.model: [_run(run) for run in entry.runs] for entry in entries}
    atomic.write_json(folder / "compare.json", content)
    names = "compare.md, compare.csv, compare.json"
    try:
        atomic.write_bytes(folder / "compare.png", _chart(rows, heading))
        names += ", compare.png"
    except ImportError:
        hint = 'it needs matplotlib: pip install ".[plot]"'
        say(f"compare.png is not written, as {hint}")
    say(f"written to {folder}: {names}")


def _run(run: Run) -> dict[str, Any]:
    """What is kept of one run: its scores, and the code and machine that made them."""
    kept = ["seed", "best_epoch", "epochs", "modalities", "commit"]
    kept += ["device", "cores", "version/jax"]
    summary = run.summary
    row = {key: summary.get(key) for key in kept} | {key: summary[key] for key in SCORES}
    return row | {"seconds": run.seconds, "seconds_per_epoch": summary["seconds_per_epoch"]}


def short_table(rows: Sequence[Row], data: str) -> Table:
    """The columns of compare.md that fit a terminal."""
    title = (
        f"Test scores on {rich.markup.escape(data)}, mean ± sd over seeds; p: paired t-test of the "
        f"users' Recall@20 against {rows[0]['against']}, corrected by Holm; more in compare.md"
    )
    result = Table(title=title, title_justify="left")
    chosen: dict[str, Literal["left", "right"]] = {
        "model": "left",
        "seeds": "right",
        "Recall@20": "left",
        "NDCG@20": "left",
    }
    for name, justify in chosen.items():
        result.add_column(name, justify=justify, no_wrap=name != "model")
    result.add_column("p", justify="right", no_wrap=True)
    result.add_column("seconds", justify="right", no_wrap=True)
    for row in _cells(rows):
        result.add_row(*(row[name] for name in chosen), row[_P], row["seconds"])
    return result


def _cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Every row as text: column -> cell."""
    result = []
    for row in rows:
        found = {"model": row["model"], "seeds": str(len(row["seeds"]))}
        found |= {name: cells.mean(row[key], row[f"{key}/sd"]) for key, name in SCORES.items()}
        found[_P] = cells.p(row["recall@20/t_test_p_holm"])
        found["seconds"] = cells.number(row["seconds"], ".1f")
        found["parameters"] = cells.number(row["parameters"], ",")
        found["best epochs"] = " ".join(map(str, row["best_epochs"])) or "-"
        result.append(found)
    return result


def markdown(rows: Sequence[Row], heading: str, published: Published | None = None) -> str:
    """The content of compare.md."""
    blocks = [f"# {heading}", cells.table(_cells(rows))]
    blocks.append(_NOTES)
    unscored = [
        f"- {row['model']} has no score for {share:.0%} of the test pairs: no training pair has "
        "their items."
        for row in rows
        if (share := row["test/unscored_share"]) and share > cold.MUCH
    ]
    errors = [f"- {row['model']}, {error}" for row in rows for error in row["errors"]]
    blocks += ["\n".join(unscored)] if unscored else []
    blocks += ["Failed:", "\n".join(errors)] if errors else []
    blocks += differences.blocks(rows) + differences.beside_published(rows, published)
    for kind in GROUPS:
        blocks += [f"## Recall@20 by training pairs of {kind}", cells.table(_of_groups(rows, kind))]
    return "\n\n".join([*blocks, _GROUPS_NOTE]) + "\n"


def _of_groups(rows: Sequence[Row], kind: str) -> list[dict[str, str]]:
    """The recall of every group of items, or of users, as text; columns say over how many users."""
    columns = {}
    for name, group in zip(GROUPS[kind], groups.FIXED, strict=True):
        sizes = [size for row in rows if (size := row[f"test/users/{name}"]) is not None]
        columns[f"{group} (users: {sizes[0]})" if sizes else group] = name
    return [
        {"model": row["model"]}
        | {
            head: cells.number(row[f"test/{groups.RECALL}/{name}"], ".4f")
            for head, name in columns.items()
        }
        for row in rows
    ]


def _csv(rows: Sequence[Row], data: str) -> str:
    """The rows with full digits; lists are joined by spaces, what is None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["data", *rows[0]], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        joined = {k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()}
        writer.writerow({"data": data} | joined)
    return text.getvalue()


def _chart(rows: Sequence[Row], heading: str) -> bytes:
    """A PNG of bars, one a model, with the standard deviation over seeds; needs matplotlib."""
    from matplotlib.figure import Figure  # an extra: everything else works without it

    shown = [row for row in rows if row["seeds"]]
    figure = Figure(figsize=(10, 1.6 + 0.4 * len(shown)), layout="constrained")
    figure.suptitle(heading)
    for index, metric in enumerate(PAIRED):
        key = f"test/{metric}"
        axes = figure.add_subplot(1, len(PAIRED), index + 1)
        values = [row[key] for row in shown]
        spread = [row[f"{key}/sd"] or 0.0 for row in shown]
        bars = axes.barh([row["model"] for row in shown], values, xerr=spread, capsize=3)
        axes.bar_label(bars, [f"{value:.4f}" for value in values], label_type="center", color="w")
        axes.invert_yaxis()
        axes.set_xlabel(f"test {SCORES[key]}")
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=120)
    return png.getvalue()
