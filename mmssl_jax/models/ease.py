"""EASE: a linear item-item model in closed form (Steck, "Embarrassingly shallow", WWW 2019).

Each epoch solves for one of the config's L2 values. Validation then picks the best epoch, as for
other models.
"""

import itertools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Float, Int

from mmssl_jax.config import Config
from mmssl_jax.config.sections import ALL_POSITIVE, Section, section, setting
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs.training_pairs import (
    PairTables,
    TrainingPairs,
    max_training_pairs,
    pair_tables,
    pairs_of_history,
    training_pairs_of,
)
from mmssl_jax.models.model import Definition, Model, Params


@section
class EASE(Section):
    """The L2 values that are tried."""

    l2: tuple[float, ...] = setting((1.0, 10.0, 50.0, 200.0), ALL_POSITIVE)  # an epoch each


# An epoch for each L2 value. Nothing is trained by steps: the rates have no effect.
DEFAULTS = {
    "data.standardize": False,
    "model.embedding_dim": 64,
    "model.layers": 0,
    "train.epochs": 4,
    "train.steps_per_epoch": 1,
    "train.learning_rate": 1.0,
    "train.lr_decay": 1.0,
    "train.weight_decay": 0.0,
    "train.embedding_l2": 1e-5,
    "train.evaluate_every": 1,
    "train.patience": 3,
}

PAIRS_AT_A_TIME = 512


Weights = Float[Array, "items items"]  # B: from an item that a user has to one that is scored


class Inputs(NamedTuple):
    """Constant arrays on the device."""

    gram: Float[Array, "items items"]  # A^T A
    tables: PairTables
    first: Int[Array, "items"]  # of `first_alike`


Representation = tuple[Weights, PairTables]


def schedule(config: Config) -> dict[str, Any]:
    """One epoch and one validation per L2 value, so that no patience or epoch limit skips any."""
    count = len(config.ease.l2)
    patience = max(config.train.patience, count - 1)
    return {"train.epochs": count, "train.evaluate_every": 1, "train.patience": patience}


def at_epoch(config: Config, epoch: int) -> dict[str, Any]:
    """The config change that leaves only the L2 value of this epoch."""
    return {"ease.l2": (config.ease.l2[epoch - 1],)}


def solve(gram: Float[Array, "items items"], l2: Array | float) -> Float[Array, "items items"]:
    """The B with a zero diagonal that minimises `|A - A B|^2 + l2 |B|^2`, from `A^T A`.

    With P the inverse of `A^T A + l2 I`, B is `-P_ij / P_jj` off the diagonal. In float32: on
    TikTok no metric differs from those in float64, even at l2 = 1.
    """
    identity = jnp.eye(gram.shape[0])
    inverse = jax.scipy.linalg.cho_solve(
        jax.scipy.linalg.cho_factor(gram + l2 * identity, lower=True), identity
    )
    return jnp.where(identity > 0, 0.0, -inverse / jnp.diagonal(inverse)[None, :])


def first_alike(train: scipy.sparse.csr_array) -> np.ndarray:
    """For each item, the first item with exactly the same training users. int64 [items]."""
    columns = scipy.sparse.csc_array(train)
    first: dict[bytes, int] = {}
    bounds = itertools.pairwise(columns.indptr)
    users = (columns.indices[start:end].tobytes() for start, end in bounds)
    return np.array([first.setdefault(each, item) for item, each in enumerate(users)])


def level(
    weights: Float[Array, "items items"], first: Int[Array, "items"]
) -> Float[Array, "items items"]:
    """Gives items with the same training users the same column of B.

    In exact arithmetic they have it already; rounding would otherwise rank such items by their
    numbers. Weights between such items stay, as they differ by the zero diagonal.
    """
    alike = first[:, None] == first[None, :]
    return jnp.where(alike, weights, weights[:, first])


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """EASE; it holds one dense [items, items] matrix, and solving makes a few more."""
    values = config.ease.l2
    if dataset.final and len(values) > 1:
        raise InputError(
            f"config field 'ease.l2' has {len(values)} values, and without validation none is "
            f"chosen; give one, such as --config.ease.l2={values[0]:g}, or --final-from RUN"
        )

    def refresh(params: Params, inputs: Inputs, weights: Weights, step: Int[Array, ""]) -> Weights:
        del params
        epoch = step // steps_per_epoch
        due = (step % steps_per_epoch == 0) & (epoch < len(values))
        l2 = jnp.asarray(values)[epoch]
        solved: Array = jax.lax.cond(
            due, lambda: level(solve(inputs.gram, l2), inputs.first), lambda: weights
        )
        return solved

    def embed(params: Params, inputs: Inputs, weights: Weights) -> Representation:
        del params
        return weights, inputs.tables

    def score(
        representation: Representation, users: Int[Array, "block"]
    ) -> Float[Array, "block items"]:
        weights, tables = representation
        # Users are distinct, but for padding at the end, whose scores nobody reads.
        most = max_training_pairs(dataset.train, len(users))
        return user_scores(weights, training_pairs_of(tables, users, most), len(users))

    def score_history(
        representation: Representation, items: Int[Array, "n"]
    ) -> Float[Array, "items"]:
        return user_scores(representation[0], pairs_of_history(items, dataset.num_items), 1)[0]

    gram = jnp.asarray((dataset.train.T @ dataset.train).toarray(), jnp.float32)
    first = jnp.asarray(first_alike(dataset.train), jnp.int32)
    inputs = Inputs(gram, pair_tables(dataset.train), first)
    held = jnp.zeros_like(gram)
    return Model(
        *(inputs, lambda key: {}, {}, embed, score, held, refresh),
        score_history=score_history,
        similar=lambda representation, items: representation[0][items],
    )


def user_scores(
    weights: Float[Array, "items items"], pairs: TrainingPairs, num_users: int
) -> Float[Array, "users items"]:
    """`A[u] B`: for each user, the sum of the rows of B that belong to the training items."""
    padding = -len(pairs.rows) % PAIRS_AT_A_TIME
    rows = jnp.pad(pairs.rows, (0, padding), constant_values=num_users)
    items = jnp.pad(pairs.items, (0, padding))

    def add(scores: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        rows, items = chunk
        return scores.at[rows].add(weights[items], mode="drop", indices_are_sorted=True), None

    chunks = rows.reshape(-1, PAIRS_AT_A_TIME), items.reshape(-1, PAIRS_AT_A_TIME)
    return jax.lax.scan(add, jnp.zeros((num_users, len(weights))), chunks)[0]


MODEL = Definition(build, DEFAULTS, {"ease": EASE}, schedule=schedule, at_epoch=at_epoch)
