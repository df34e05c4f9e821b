"""The whole changing state of a run as one pytree, and the optimisers of its players."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.models import Model
from mmssl_jax.training import selection


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that training changes; donated to every step, saved and restored as a whole.

    Randomness is not in it: the key of a step is the run's key folded with `step`.
    """

    step: Any  # int32 []; Any, as jax fills the fields with placeholders of its own
    params: dict[str, Any]  # player -> parameters
    optimiser_states: dict[str, Any]  # player -> optimiser state
    held: Any  # what the model keeps between steps, such as modality graphs
    best_score: Any  # float32 []: validation Recall@20 of the best epoch; -1 before any
    best_epoch: Any  # int32 []
    stale: Any  # int32 []: validations in a row without a new best


def optimisers(
    config: Config, model: Model, steps_per_epoch: int
) -> dict[str, optax.GradientTransformation]:
    """Player -> optimiser: the model's own, else AdamW with weight decay as in torch."""
    rate = config.train.learning_rate
    if config.train.lr_decay != 1.0:
        rate = optax.exponential_decay(rate, steps_per_epoch, config.train.lr_decay, staircase=True)
    shared = optax.adamw(rate, weight_decay=config.train.weight_decay)
    own = {player: optax.adam(*rates) for player, rates in model.optimisers.items()}
    return {player: own.get(player, shared) for player in model.losses}


def init_state(
    model: Model, transforms: dict[str, optax.GradientTransformation], key: PRNGKeyArray
) -> TrainState:
    """The state before the first step."""
    params = model.init(key)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        optimiser_states={name: tx.init(params[name]) for name, tx in transforms.items()},
        held=jax.tree.map(jnp.array, model.held),
        best_score=jnp.full((), -1.0, jnp.float32),
        best_epoch=jnp.zeros((), jnp.int32),
        stale=jnp.zeros((), jnp.int32),
    )


def with_score(state: TrainState, score: float, epoch: int) -> TrainState:
    """The state after a validation."""
    before = selection.Selection(float(state.best_score), int(state.best_epoch), int(state.stale))
    chosen = selection.after(before, score, epoch)
    return dataclasses.replace(
        state,
        best_score=jnp.asarray(chosen.best_score, jnp.float32),
        best_epoch=jnp.asarray(chosen.best_epoch, jnp.int32),
        stale=jnp.asarray(chosen.stale, jnp.int32),
    )
