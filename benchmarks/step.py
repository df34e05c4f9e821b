"""Times one training step, its parts and an epoch, on RANDOM data of a published size.

python -m benchmarks.step --shape tiktok [--json FILE]

The fast and the dense step, the matrix product whose rate gives the floor, and the evaluation are
measured in turn in one process: compare figures of one run only.
"""

import argparse
import gc
import json
import pathlib
import platform
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from benchmarks import dense
from benchmarks.shapes import SHAPES, random_dataset
from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.models import mmssl
from mmssl_jax.ranking import full_ranking
from mmssl_jax.runs import provenance
from mmssl_jax.training import devices, session
from mmssl_jax.training.session import protocol_steps


def seconds(call: Callable[[], Any], repeats: int) -> float:
    """The median time of a call after one that is not counted."""
    jax.block_until_ready(call())
    return statistics.median(once(call) for _ in range(repeats))


def once(call: Callable[[], Any]) -> float:
    """The time of one call of what is compiled already."""
    started = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - started


def floor_flops(rows: int, batch: int, items: int, hidden: int) -> float:
    """The arithmetic that a full step cannot do without, by this project's count.

    Real rows (forward and kernel gradient), the penalty (Gram or direct, forward and backward), and
    the second layer: three forwards, their backwards, the second derivative, the generator's pass.
    """
    gram = 4 * items * hidden**2 + 6 * rows * hidden**2
    direct = 6 * rows * items * hidden
    return 4 * batch * items * hidden + min(gram, direct) + 14 * rows * hidden**2


class Step:
    """A compiled training step of a model on a data set, with its state.

    `game` is for MMSSL: the formulation of its critic.
    """

    def __init__(self, config, dataset, game=None):
        started = time.perf_counter()
        own, mesh = session.prepare(config, dataset), devices.make_mesh(config.mesh)
        if game is not None:
            model = mmssl.build(config, dataset, own.steps_per_epoch, game=game)
            own = own._replace(model=model)
        self.model = own.model
        self.state = own.initial_state(jax.random.key(0), mesh)
        self.constants = own.constants(jax.random.key(1), mesh)
        self._run = own.compiled(self.state, self.constants, own.steps_per_epoch, mesh)
        self.compile_seconds = time.perf_counter() - started

    def run(self, steps: int):
        """Takes some steps; returns the losses of them all."""
        count = jnp.asarray(steps, jnp.int32)
        self.state, terms = self._run(self.state, self.constants, count)
        return terms


def step_seconds(step: Step, repeats: int) -> float:
    """The median time of a step; many are taken in a call, as training does, within 8 seconds."""
    jax.block_until_ready(step.run(1))
    steps = min(max(int(8 / once(lambda: step.run(1))), 1), 20)
    return seconds(lambda: step.run(steps), repeats) / steps


class Evaluation:
    """The ranking of the test split of a data set."""

    def __init__(self, config, dataset):
        self.cutoffs = config.evaluation.cutoffs
        block = config.evaluation.user_block
        self.task = full_ranking.ranking_task(dataset.train, dataset.test, block)

    def of(self, step: Step):
        """A call that ranks what a step's state gives; the first one compiles."""
        embed = jax.jit(step.model.embed)

        def evaluate():
            representation = embed(step.state.params, step.model.inputs, step.state.held)
            return full_ranking.evaluate(representation, self.task, self.cutoffs, step.model.score)

        evaluate()
        return evaluate


def machine(config, dataset, repeats: int) -> dict[str, Any]:
    """Where it runs, the rate of the floor's product, and the floor."""
    batch, items = config.train.batch_size, dataset.num_items
    rows, width = batch * len(dataset.features), config.critic.hidden or items // 4
    devices.compute_in_float32()
    left, right = jnp.ones((rows, items)), jnp.ones((items, width))
    product = jax.jit(jnp.matmul)
    rate = 2 * rows * items * width / seconds(lambda: product(left, right), repeats)
    return {
        "device": jax.devices()[0].device_kind,
        "cores": provenance.cores(),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "gflops_measured": rate / 1e9,
        "floor_gflop": floor_flops(rows, batch, items, width) / 1e9,
        "floor_s": floor_flops(rows, batch, items, width) / rate,
    }


def with_critic(config, dataset, repeats: int) -> dict[str, Any]:
    """The full step, an epoch of it, and the evaluation."""
    fast, evaluation = Step(config, dataset), Evaluation(config, dataset)
    steps, evaluate = protocol_steps(config, dataset), evaluation.of(fast)
    figures = {"compile_s": fast.compile_seconds, "fast_step_s": step_seconds(fast, repeats)}
    evaluation_s = seconds(evaluate, repeats)
    figures["eval_users_per_s"] = len(evaluation.task.users) / evaluation_s
    figures["epoch_s"] = steps * figures["fast_step_s"] + evaluation_s
    figures["epoch_is"] = "computed from the step and the evaluation"
    if figures["epoch_s"] < 60:
        figures["epoch_s"] = once(lambda: (fast.run(steps), evaluate()))
        figures["epoch_is"] = "measured"
    return figures | {"peak_bytes": peak_bytes()}


def without_critic(config, dataset, repeats: int) -> dict[str, Any]:
    """The step and an epoch of the generator alone."""
    without = configs.unflatten(configs.flatten(config) | {"critic.enabled": False})
    generator = Step(models.resolve(without), dataset)
    steps, evaluate = protocol_steps(config, dataset), Evaluation(config, dataset).of(generator)
    return {
        "generator_step_s": step_seconds(generator, repeats),
        "generator_epoch_s": once(lambda: (generator.run(steps), evaluate())),
    }


def measure(
    shape: str, repeats: int, critic: dict[str, Any], *, plain: bool, generator: bool
) -> dict[str, Any]:
    """All figures, by their flat keys.

    Args:
      shape: a key of SHAPES.
      repeats: calls of which the median is taken.
      critic: fields of the config's critic section.
      plain: also times the dense formulation.
      generator: also times the step and the epoch without a critic.
    """
    config = configs.Config()
    config.data.path = "RANDOM"
    for name, value in critic.items():
        setattr(config.critic, name, value)
    config = models.resolve(config)
    dataset = random_dataset(SHAPES[shape])
    figures = {"shape": shape, "data": "RANDOM", "critic": critic, "dense_step_s": None}
    figures |= machine(config, dataset, repeats) | with_critic(config, dataset, repeats)
    gc.collect()
    if plain:
        figures["dense_step_s"] = step_seconds(Step(config, dataset, dense), repeats)
        gc.collect()
    if generator:
        figures |= without_critic(config, dataset, repeats)
    return figures


def peak_bytes() -> int:
    """The most memory used so far: of the device, or of the process where there is none."""
    statistics_of_device = jax.devices()[0].memory_stats() or {}
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return statistics_of_device.get("peak_bytes_in_use", process)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="tiktok")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=0, help="critic.hidden; 0 is items // 4")
    parser.add_argument("--item-block", type=int, default=0, help="critic.item_block")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--skip-dense", action="store_true", help="do not time the dense step")
    parser.add_argument(
        "--critic-only", action="store_true", help="do not time the step without critic"
    )
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    options = parser.parse_args()
    critic = {
        "hidden": options.hidden,
        "item_block": options.item_block,
        "precision": options.precision,
    }
    figures = measure(
        options.shape,
        options.repeats,
        critic,
        plain=not options.skip_dense,
        generator=not options.critic_only,
    )
    table = Table("figure", "value", title=f"one step at {options.shape}'s size, RANDOM data")
    for name, value in figures.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
