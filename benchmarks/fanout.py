"""Times a step of LightGCN on sampled neighbours and with full propagation, on RANDOM data.

python -m benchmarks.fanout [--users 100000] [--json FILE]

There are a fifth as many items, and twenty times as many pairs. `optimiser` is the update of all
embeddings alone, which is part of every step, sampled or not. An epoch is computed from its step.
"""

import argparse
import json
import pathlib
import statistics
from functools import partial
from typing import Any

import jax
import optax
from rich.console import Console
from rich.table import Table

from benchmarks.shapes import Shape, random_dataset
from benchmarks.step import Step, once, peak_bytes, step_seconds
from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.runs import provenance
from mmssl_jax.training import devices
from mmssl_jax.training import state as states
from mmssl_jax.training.session import protocol_steps

BATCHES = (1024, 8192, 65536)
FANOUTS = ((), (5, 5, 5), (5, 3, 2))
STEPS = 20  # of a call, at most


def measure(dataset, batch: int, fanout: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """A row: seconds of a step, and minutes of an epoch."""
    config = configs.Config()
    config.data.path, config.model.name = "RANDOM", "lightgcn"
    config.train.batch_size, config.train.fanout = batch, fanout
    epoch = protocol_steps(models.resolve(config), dataset)
    config.train.steps_per_epoch = min(epoch, STEPS)
    step = Step(models.resolve(config), dataset)
    seconds = step_seconds(step, repeats)
    return {
        "users": dataset.num_users,
        "items": dataset.num_items,
        "pairs": int(dataset.train.nnz),
        "data": "RANDOM",
        "batch": batch,
        "fanout": fanout,
        "step_s": seconds,
        "epoch_minutes": epoch * seconds / 60,
        "compile_s": step.compile_seconds,
        "peak_bytes": peak_bytes(),
    }


def optimiser_seconds(dataset, repeats: int) -> float:
    """The update of all embeddings, in place."""
    config = configs.Config()
    config.data.path, config.model.name = "RANDOM", "lightgcn"
    config = models.resolve(config)
    model = models.defined(config).build(config, dataset, 1)
    transform = states.optimisers(config, model, 1)["model"]

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, gradients):
        updates, state = transform.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    found = model.init(jax.random.key(0))["model"]
    gradients = jax.tree.map(lambda x: x + 1, found)
    found = found, jax.jit(transform.init)(found)

    def call():
        nonlocal found
        found = update(*found, gradients)
        return found

    once(call)
    return statistics.median(once(call) for _ in range(repeats))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args()
    devices.compute_in_float32()
    users = options.users
    dataset = random_dataset(Shape(users, users // 5, 20 * users, {}))
    figures = {
        "device": jax.devices()[0].device_kind,
        "cores": provenance.cores(),
        "jax": jax.__version__,
        "optimiser_s": optimiser_seconds(dataset, options.repeats),
        "rows": [],
    }
    table = Table("batch", "fan-out", "step, s", "epoch, minutes", "peak so far, GB")
    table.title = f"RANDOM data of {users} users, optimiser {figures['optimiser_s']:.3f} s"
    for batch in BATCHES:
        for fanout in FANOUTS:
            row = measure(dataset, batch, fanout, options.repeats)
            figures["rows"].append(row)
            cells = f"{row['step_s']:.3f}", f"{row['epoch_minutes']:.1f}"
            name = " ".join(map(str, fanout)) or "full"
            table.add_row(str(batch), name, *cells, f"{row['peak_bytes'] / 1e9:.2f}")
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
