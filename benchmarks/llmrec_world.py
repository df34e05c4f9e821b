"""Writes the demo's GENERATED world with what a language model would add, for LLMRec.

python -m benchmarks.llmrec_world --to FOLDER [--seed 0]

A user's profile is a noisy view of the user's tastes, an attribute one of a part of the item's
place. The liked item of a pair is a random one of the hundred that suit the user best, the disliked
one any other, both outside the training pairs, and with no regard to those held out: one liked item
in forty is such a pair. A fifth of the pairs are the wrong way round.
"""

import argparse
import dataclasses
import pathlib

import numpy as np

from mmssl_jax.data import Dataset, demo
from mmssl_jax.data.layouts import canonical

WIDTH, BEST, WRONG = 32, 100, 0.2
ATTRIBUTES = {"genre": slice(0, 12), "maker": slice(12, 24)}  # the latent dimensions of each


def world(seed: int) -> Dataset:
    """The demo data with profiles, attributes and pairs."""
    dataset = demo.generate(seed)
    users, items = demo.tastes(np.random.default_rng(seed))
    rng = np.random.default_rng([seed, 1])
    scores = np.where(dataset.train.toarray() > 0, -np.inf, users @ items.T)
    best = np.argsort(-scores, axis=1, kind="stable")
    rows = np.arange(len(users))
    liked = best[rows, rng.integers(BEST, size=len(users))]
    unknown = (scores > -np.inf).sum(axis=1)
    disliked = best[rows, rng.integers(BEST, unknown)]
    swapped = rng.random(len(users)) < WRONG
    pairs = np.where(swapped, [disliked, liked], [liked, disliked]).T
    return dataclasses.replace(
        dataset,
        user_features={"profile": demo.view(rng, users, WIDTH)},
        attributes={
            name: demo.view(rng, items[:, seen], WIDTH) for name, seen in ATTRIBUTES.items()
        },
        augmented=np.column_stack([rows, pairs]),
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=pathlib.Path, required=True, help="a new folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.to.exists():
        parser.error(f"{options.to} is there already; name a new folder")
    source = {"generated": "benchmarks.llmrec_world", "seed": options.seed}
    canonical.write(world(options.seed), options.to, source)


if __name__ == "__main__":
    main()
