"""Plays MMSSL's adversarial game to its end, and looks at who tells real rows from fake ones, how.

python -m benchmarks.game --data data/tiktok --rows "released full" --seeds 3 --workdir runs/game

Each run is trained as mmssl train does it, with the authors' settings for TikTok: epochs until no
validation is better, the best epoch's scores on test. `runs/game/<row>/seed-<seed>/game.json` has
both players' terms by epoch and, at the best epoch, two more things. How well a number tells real
rows from fake ones: the area under its ROC curve, .5 being chance and both 0 and 1 a clean split.
And the gradients of the generator's losses, each with its weight, by parameter.
"""

import argparse
import json
import pathlib
import runpy
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import rankdata

from mmssl_jax import config as configs
from mmssl_jax import models, training
from mmssl_jax.adversarial import critic as critics
from mmssl_jax.data import load
from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import Batch
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import batches, session

ROOT = pathlib.Path(__file__).parents[1]
ROWS = {
    f"{variant} {width}": {"model.variant": variant} | critic
    for variant in ("released", "paper")
    for width, critic in (
        ("full", {}),
        ("128", {"critic.hidden": 128}),
        ("off", {"critic.enabled": False}),
    )
}
BATCHES = 4  # that are looked at


def config_of(row: str, data: str, seed: int) -> configs.Config:
    """The resolved config of a run."""
    base = runpy.run_path(str(ROOT / "configs/tiktok_released.py"))["get_config"]()
    values = configs.flatten(base) | ROWS[row] | {"data.path": data, "train.seed": seed}
    return models.resolve(configs.unflatten(values))


def area(real: jax.Array, fake: jax.Array) -> float:
    """The area under the ROC curve of a number that is to be higher for real rows."""
    values = np.concatenate([np.asarray(real), np.asarray(fake)])
    ranks = rankdata(values)[: len(real)]
    return float((ranks.mean() - (len(real) + 1) / 2) / len(fake))


def told_apart(
    parts: mmssl.Parts, params: Any, inputs: Any, embeddings: Any, batch: Batch, key
) -> dict:
    """How well the critic and plainer numbers tell real rows from fake ones."""
    pairs = training_pairs.training_pairs_of(inputs.tables, batch.users, parts.max_pairs)
    noise_key, *score_keys = jax.random.split(key, 3)
    real = mmssl.losses.batch_real_rows(embeddings, batch.users, pairs, noise_key, parts.config)
    groups = mmssl.losses.fake_rows(embeddings, batch.users, pairs)
    fake = jnp.concatenate([group.dense() for group in groups])
    scores = [
        critics.head(parts.critic, params, critics.first(parts.critic, params, rows), score_key)
        for rows, score_key in zip((real, fake), score_keys, strict=True)
    ]
    # Fake rows are 0 at the user's training items, and only there; real rows nowhere.
    numbers = {
        "zeros": lambda rows: -jnp.sum(rows == 0, axis=1),
        "largest entry": lambda rows: jnp.max(rows, axis=1),
        "smallest entry": lambda rows: jnp.min(rows, axis=1),
        "sum": lambda rows: jnp.sum(rows, axis=1),
        "fourth powers": lambda rows: jnp.sum(rows**4, axis=1),
    }
    found = {name: area(number(real), number(fake)) for name, number in numbers.items()}
    return {"critic": area(*scores)} | found


@partial(jax.jit, static_argnums=0)
def gradients(parts: mmssl.Parts, params: Any, inputs: Any, held: Any, batch: Batch, key) -> dict:
    """Loss -> parameter -> norm of the gradient of that loss alone, with its weight."""
    nothing = {"bpr": 0.0, "embedding_l2": 0.0, "feature_l2": 0.0}

    def weighted(generator: Any) -> dict[str, jax.Array]:
        _, terms = mmssl.generator_loss(
            parts, params | {"generator": generator}, inputs, held, batch, key
        )
        total = partial(mmssl.losses.generator_total, config=parts.config)
        return {name: total(nothing | {name: value}) for name, value in terms.items()}

    generator = params["generator"]
    names = jax.eval_shape(weighted, generator)
    slopes = {name: jax.grad(lambda x: weighted(x)[name])(generator) for name in names}  # noqa: B023
    return jax.tree.map(jnp.linalg.norm, slopes)


def look(trained: session.Trained) -> dict[str, Any]:
    """What can be seen at the best epoch of a run: means over a few batches."""
    model, state = trained.model, trained.state
    parts = model.losses["generator"].args[0]
    out = mmssl.embeddings_of(parts, state.params, model.inputs, state.held, None)
    rows: list[dict[str, float]] = []
    for index in range(BATCHES):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(7), index), 3)
        batch = batches.sample(keys[0], model.inputs.tables, trained.config.train.batch_size)
        seen = {}
        if parts.adversarial:
            apart = told_apart(parts, state.params["critic"], model.inputs, out, batch, keys[1])
            seen = {f"area/{name}": value for name, value in apart.items()}
        norms = gradients(parts, state.params, model.inputs, state.held, batch, keys[2])
        for path, norm in jax.tree.leaves_with_path(norms):
            seen[f"gradient/{jax.tree_util.keystr(path, simple=True, separator='/')}"] = norm
        rows.append(seen)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def play(row: str, data: str, seed: int, workdir: pathlib.Path) -> dict[str, Any]:
    """Trains a run, or goes on with it, and looks at its best epoch."""
    config, folder = config_of(row, data, seed), workdir / row / f"seed-{seed}"
    dataset = load(data)
    results = training.train(config, dataset, folder)
    run = RunFolder(folder)
    trained = session.best_of_run(config, dataset, run)
    found = {"row": row, "seed": seed, "results": results, "look": look(trained)}
    lines = run.metrics.read_text(encoding="utf-8").splitlines()
    found["epochs"] = [json.loads(line) for line in lines]
    (folder / "game.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


CURVES = (
    *("epoch", "val/recall@20", "critic/real", "critic/fake", "critic/gradient_norm"),
    *("critic/loss", "critic/penalty", "generator/bpr", "generator/adversarial"),
)
ABOUT = ("best_epoch", "epochs", "device", "commit", "seconds_per_epoch")
SCORES = ("val/recall@20", "val/ndcg@20", "test/recall@20", "test/ndcg@20")


def ended(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """Of every run that has ended, by row and seed, its scores and its curves by epoch."""
    found = []
    for folder in (path for row in ROWS for path in sorted((workdir / row).glob("seed-*"))):
        run, seen = RunFolder(folder), folder / "game.json"
        if not run.results.exists():
            continue
        results = json.loads(run.results.read_text(encoding="utf-8"))
        epochs = list(map(json.loads, run.metrics.read_text(encoding="utf-8").splitlines()))
        curves = {
            name: [float(f"{epoch[name]:.5g}") for epoch in epochs if name in epoch]
            for name in CURVES
        }
        row = {"row": folder.parent.name, "seed": int(folder.name.removeprefix("seed-"))}
        row |= {name: results[name] for name in (*ABOUT, *SCORES)} | {"curves": curves}
        row["look"] = json.loads(seen.read_text("utf-8"))["look"] if seen.exists() else None
        found.append(row)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="the folder of the data set")
    parser.add_argument("--rows", default=",".join(ROWS), help="comma-separated")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from --first-seed on")
    parser.add_argument("--first-seed", type=int, default=2022)
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--json", type=pathlib.Path, help="all runs in the workdir that have ended")
    options = parser.parse_args()
    for row in options.rows.split(","):
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            found = play(row, options.data, seed, options.workdir)
            print(row, seed, found["results"]["best_epoch"], found["look"])
    if options.json:
        options.json.write_text(json.dumps(ended(options.workdir)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
