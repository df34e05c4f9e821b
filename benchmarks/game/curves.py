"""Draws the learning curves of the game's runs; needs matplotlib (pip install ".[plot]").

python -m benchmarks.game.curves docs/results/tiktok-game.json docs/results/tiktok-game.svg
"""

import argparse
import itertools
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS = ("#1f77b4", "#d9822b", "#2a8a5a")  # of the seeds
Curve = Callable[[dict[str, list[float]]], Sequence[float]]
CURVES: dict[str, Curve] = {
    "validation Recall@20": lambda curves: curves["val/recall@20"],
    "D(real) - D(fake), of 100": lambda curves: [
        real - fake for real, fake in zip(curves["critic/real"], curves["critic/fake"], strict=True)
    ],
    "norm of the critic's gradient": lambda curves: curves["critic/gradient_norm"],
    "critic's loss, absolute": lambda curves: [abs(loss) for loss in curves["critic/loss"]],
}
LOGARITHMIC = ("norm of the critic's gradient", "critic's loss, absolute")


def draw(runs: Sequence[dict[str, Any]], path: pathlib.Path) -> None:
    """One column for each row of the table that has a critic, one line for each seed."""
    rows = list(dict.fromkeys(run["row"] for run in runs if run["curves"]["critic/real"]))
    figure, axes = plt.subplots(
        len(CURVES),
        len(rows),
        figsize=(2.2 * len(rows), 8),
        sharex="col",
        sharey="row",
        squeeze=False,
    )
    for column, row in zip(axes.T, rows, strict=True):
        column[0].set_title(row, fontsize=9)
        column[-1].set_xlabel("epoch")
        of_row = [run for run in runs if run["row"] == row]
        for run, colour in zip(of_row, itertools.cycle(COLOURS)):
            for place, (name, curve) in zip(column, CURVES.items(), strict=True):
                values = curve(run["curves"])
                place.plot(run["curves"]["epoch"][: len(values)], values, color=colour, lw=1)
                if name == "validation Recall@20":
                    place.axvline(run["best_epoch"], color=colour, lw=0.5, ls=":")
                if name in LOGARITHMIC:
                    place.set_yscale("log")
                    place.minorticks_off()
    for place, name in zip(axes[:, 0], CURVES, strict=True):
        place.set_ylabel(name, fontsize=8)
    figure.align_ylabels()
    figure.tight_layout()
    plt.rcParams.update(
        {"svg.hashsalt": "game", "svg.fonttype": "none"}
    )  # the same small file again
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", type=pathlib.Path, help="what benchmarks.game has written")
    parser.add_argument("picture", type=pathlib.Path, help="a .png or .svg file")
    options = parser.parse_args()
    draw(json.loads(options.json.read_text(encoding="utf-8"))["runs"], options.picture)


if __name__ == "__main__":
    main()
