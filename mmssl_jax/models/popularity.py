"""Popularity: the same ranking for everybody, by the number of training users."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.models.model import Definition, Model, Params

# Nothing is trained: one epoch counts as the run's best, and the rates have no effect.
DEFAULTS = {
    "data.standardize": False,
    "model.embedding_dim": 64,
    "model.layers": 0,
    "train.epochs": 1,
    "train.steps_per_epoch": 1,
    "train.learning_rate": 1.0,
    "train.lr_decay": 1.0,
    "train.weight_decay": 0.0,
    "train.embedding_l2": 1e-5,
    "train.evaluate_every": 1,
    "train.patience": 0,
}


def schedule(config: Config) -> dict[str, Any]:
    """One epoch, as a second would count the same pairs again."""
    del config
    return {"train.epochs": 1, "train.evaluate_every": 1}


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """Every item's score is its number of training pairs."""
    del config, steps_per_epoch
    counts = dataset.item_degrees

    def embed(params: Params, inputs: Float[Array, "items"], held: Any) -> Float[Array, "items"]:
        del params, held
        return inputs

    def score(
        counts: Float[Array, "items"], users: Int[Array, "block"]
    ) -> Float[Array, "block items"]:
        return jnp.broadcast_to(counts[None, :], (*users.shape, *counts.shape))

    return Model(
        jnp.asarray(counts, jnp.float32),
        init=lambda key: {},
        losses={},
        embed=embed,
        score=score,
        score_history=lambda counts, items: counts,
        similar=None,  # it knows nothing of an item but how many have it
    )


MODEL = Definition(build, DEFAULTS, schedule=schedule)
