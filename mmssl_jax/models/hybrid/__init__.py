"""Hybrid: item vectors, a graph and the items' content, each where it knows most.

A user is the sum of the vectors of their items, so that a new user is served without training. To
these scores come those of content in closed form, which count most where an item has few training
pairs, and if wanted those of LightGCN.

How much content counts is chosen on validation: its weights take turns from one validation to the
next, and the best epoch has its own.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs.training_pairs import max_training_pairs
from mmssl_jax.models.hybrid import losses, scores
from mmssl_jax.models.hybrid.inputs import Inputs, make_inputs, new_items
from mmssl_jax.models.hybrid.scores import Held, Representation
from mmssl_jax.models.hybrid.settings import DEFAULTS, Hybrid
from mmssl_jax.models.model import Definition, Model, Params


def at_epoch(config: Config, epoch: int) -> dict[str, Any]:
    """The config change that ends at an epoch, with the weight of content that its turn was."""
    weights, turn = config.hybrid.content, (epoch - 1) // config.train.evaluate_every
    return {"train.epochs": epoch, "hybrid.content": (weights[turn % len(weights)],)}


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """The hybrid. Without features it has no content, with a `hybrid.graph` of 0 no graph.

    Raises:
      InputError: content has several weights, and nothing to choose one by: all pairs are in train,
        or patience ends before each had its turn.
    """
    own, d = config.hybrid, config.model.embedding_dim
    steps = min(config.train.evaluate_every * steps_per_epoch, 2**31 - 1)
    inputs = make_inputs(config, dataset)
    players = losses.losses_of(config, inputs, dataset.train)
    if content := inputs.content is not None:
        _check_turns(config, dataset)
    sizes = {"users": (dataset.num_users, d), "items": (dataset.num_items, d)}

    def init(key: PRNGKeyArray) -> Params:
        return losses.init_tables(key, tuple(players), own.members, sizes)

    def refresh(params: Params, inputs: Inputs, held: Held, step: Int[Array, ""]) -> Held:
        del inputs
        return scores.held_at(step, held, params, config=config, steps=steps)

    def embed(params: Params, inputs: Inputs, held: Held) -> Representation:
        del params
        return scores.represent(held, inputs, config=config)

    def score(
        representation: Representation, users: Int[Array, "block"]
    ) -> Float[Array, "block items"]:
        # Users are distinct, but for padding at the end, whose scores nobody reads.
        most = max_training_pairs(dataset.train, len(users))
        return scores.score(representation, users, most_pairs=most)

    shapes = jax.eval_shape(init, jax.random.key(0))
    model = Model(
        inputs,
        init,
        players,
        embed,
        score,
        held=Held(jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes), jnp.zeros(())),
        refresh=refresh,
        scores_cold_items=content,
        score_history=scores.score_history,
        similar=scores.similar,
        batches=own.members,
    )
    return model._replace(with_items=partial(_with_items, model, config)) if content else model


def _with_items(model: Model, config: Config, more: Dataset) -> Model:
    new = new_items(config, model.inputs.content, more)
    return model._replace(inputs=model.inputs._replace(new=new))


def _check_turns(config: Config, dataset: Dataset) -> None:
    weights, patience = config.hybrid.content, config.train.patience
    if dataset.final and len(weights) > 1:
        raise InputError(
            f"config field 'hybrid.content' has {len(weights)} values, and without validation "
            f"none is chosen; give one, such as --config.hybrid.content={weights[0]:g}, or "
            "--final-from RUN"
        )
    if patience < len(weights):
        raise InputError(
            f"config field 'train.patience' is {patience}, less than the {len(weights)} values of "
            "'hybrid.content', which take turns; give more patience or fewer values"
        )


MODEL = Definition(build, DEFAULTS, {"hybrid": Hybrid}, at_epoch=at_epoch)
