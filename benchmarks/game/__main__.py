"""Plays MMSSL's adversarial game to its end, and looks at who tells real rows from fake ones, how.

python -m benchmarks.game --data data/tiktok --rows "released full" --seeds 3 --workdir runs/game

Each run is trained as mmssl train does it, with the authors' settings for TikTok: epochs until no
validation is better, the best epoch's scores on test. Its folder, `runs/game/<row>/seed-<seed>`,
also gets what `look` sees at the best epoch (look.json) and every test user's scores
(per_user.npz). How well a number tells real rows from fake ones is the area under its ROC curve:
.5 is chance, and both 0 and 1 are a clean split. A finished run is taken as it is.
"""

import argparse
import json
import pathlib
import runpy
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.game import table
from benchmarks.game.changes import CHANGES, SHOWN, as_published, critic_of, played_with
from benchmarks.game.look import look
from mmssl_jax import config as configs
from mmssl_jax import models, training
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset, load
from mmssl_jax.files import atomic
from mmssl_jax.models import mmssl
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.studies.comparison import PAIRED
from mmssl_jax.training import results, session

ROOT = pathlib.Path(__file__).parents[2]
NARROW = {"critic.hidden": 128}
WIDTHS = {"full": {}, "128": NARROW, "off": {"critic.enabled": False}}
PLAIN = {
    f"{variant} {width}": {"model.variant": variant} | values
    for variant in ("released", "paper")
    for width, values in WIDTHS.items()
}
# A patience of 7 ends runs just when the critic begins to tell rows apart; 1.8e-3 is the authors'.
PATIENT, STRONG = {"train.patience": 20}, {"mmssl.adversarial_weight": 0.05}
PLAIN |= {f"{row} patient": PLAIN[row] | PATIENT for row in ("released 128", "released off")}
PLAIN |= {"released 128 strong": PLAIN["released 128"] | STRONG}
CHANGED = {f"released 128 {change}": NARROW | {"model.variant": "released"} for change in CHANGES}
ROWS = PLAIN | CHANGED


def change_of(row: str) -> str | None:
    """The change that a row is played with; None for the published game."""
    return row.removeprefix("released 128 ") if row in CHANGED else None


def config_of(row: str, data: str, seed: int, given: dict[str, Any]) -> Config:
    """The resolved config of a run."""
    base = runpy.run_path(str(ROOT / "configs/tiktok_released.py"))["get_config"]()
    values = configs.flatten(base) | ROWS[row] | given
    return models.resolve(configs.unflatten(values | {"data.path": data, "train.seed": seed}))


def play(row: str, config: Config, dataset: Dataset, run: RunFolder) -> None:
    """Trains a run, or goes on with it, and looks at its best epoch."""
    change = change_of(row)
    with played_with(change):
        training.train(config, dataset, run.folder)
        trained = session.best_of_run(config, dataset, run)
    steps = config.train.steps_per_epoch or session.protocol_steps(config, dataset)
    parts = critic_of(change, mmssl.parts_of(config, dataset, steps))
    seen = look(trained, parts, SHOWN.get(change, as_published))
    ranking = results.rank_splits(trained, ("test",))["test"]
    scores = {name: ranking.per_user((20,))[name] for name in PAIRED}
    np.savez(run.folder / "per_user.npz", users=ranking.users, **scores)
    atomic.write_json(run.folder / "look.json", seen)  # last: the run is finished then


CURVES = (
    *("epoch", "val/recall@20", "critic/real", "critic/fake", "critic/gradient_norm"),
    *("critic/loss", "critic/penalty", "generator/bpr", "generator/adversarial"),
)
ABOUT = ("best_epoch", "epochs", "device", "commit", "seconds_per_epoch")
SCORES = ("val/recall@20", "val/ndcg@20", "test/recall@20", "test/ndcg@20")


def ended(workdir: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Of every run that has ended, by row and seed, its scores and its curves by epoch."""
    for folder in (path for row in ROWS for path in sorted((workdir / row).glob("seed-*"))):
        run, seen = RunFolder(folder), folder / "look.json"
        if not run.results.exists():
            continue
        summary = atomic.read_json(run.results)
        epochs = run.read_metrics(up_to_epoch=summary["epochs"])
        curves = {
            name: [float(f"{epoch[name]:.5g}") for epoch in epochs if name in epoch]
            for name in CURVES
        }
        found = {"row": folder.parent.name, "seed": int(folder.name.removeprefix("seed-"))}
        found |= {name: summary[name] for name in (*ABOUT, *SCORES)} | {"curves": curves}
        yield found | {"look": atomic.read_json(seen) if seen.exists() else None}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the folder of the data set")
    parser.add_argument(
        "--rows", default=",".join(ROWS), help="comma-separated; none: only a table"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many, from --first-seed on")
    parser.add_argument("--first-seed", type=int, default=2022)
    parser.add_argument("--set", default="{}", type=json.loads, help="config fields, as JSON")
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path, help="all runs in the workdir that have ended")
    options = parser.parse_args()
    if unknown := {*filter(None, options.rows.split(","))} - ROWS.keys():
        parser.error(f"--rows has {min(unknown)!r}; the rows are {', '.join(ROWS)}")
    dataset = load(options.data)
    for row in filter(None, options.rows.split(",")):
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            run = RunFolder(options.workdir / row / f"seed-{seed}")
            if not (run.folder / "look.json").exists():
                play(row, config_of(row, options.data, seed, options.set), dataset, run)
    runs = list(ended(options.workdir))
    tests = table.tests(options.workdir, dataset, runs)
    print(table.markdown(runs, tests))
    if options.json:
        text = json.dumps({"runs": runs, "tests": tests})
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
