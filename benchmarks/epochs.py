"""Times an epoch's steps of every model that is trained, on RANDOM data of a published size.

python -m benchmarks.epochs --shape tiktok [--models lightgcn,lattice] [--json FILE]

All models run in turn in one process, without validation. With one model, the peak memory is its
own. The critic of MMSSL is off, as benchmarks.step is about it.
"""

import argparse
import json
import pathlib
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import SHAPES, random_dataset
from benchmarks.step import Step, once, peak_bytes
from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.training.session import protocol_steps

TRAINED = ("mf", "vbpr", "lightgcn", "hybrid", "ngcf", "lattice", "micro", "llmrec", "mmssl")


def measure(shape: str, names: list[str], repeats: int) -> list[dict[str, Any]]:
    """A row for each model; the fastest of the repeats, after one that is not counted."""
    dataset, rows = random_dataset(SHAPES[shape]), []
    for name in names:
        config = configs.Config()
        config.data.path, config.model.name, config.critic.enabled = "RANDOM", name, False
        step = Step(models.resolve(config), dataset)
        steps = protocol_steps(config, dataset)
        jax.block_until_ready(step.run(1))
        row = {"shape": shape, "data": "RANDOM", "model": name, "steps": steps}
        row["epoch_s"] = min(once(lambda: step.run(steps)) for _ in range(repeats))  # noqa: B023
        rows.append(row | {"compile_s": step.compile_seconds, "peak_bytes": peak_bytes()})
        del step
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiktok")
    parser.add_argument("--models", default=",".join(TRAINED), help="comma-separated")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args()
    rows = measure(options.shape, options.models.split(","), options.repeats)
    table = Table("model", "epoch, s", "compile, s", "peak so far, GB")
    table.title = f"RANDOM data of {options.shape}'s size"
    for row in rows:
        numbers = (row["epoch_s"], row["compile_s"], row["peak_bytes"] / 1e9)
        table.add_row(row["model"], *(f"{number:.2f}" for number in numbers))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
