"""The whole changing state of a run as one pytree, and the optimisers of its players."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.models import Model


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
    config: Config, players: list[str], steps_per_epoch: int
) -> dict[str, optax.GradientTransformation]:
    """Player -> optimiser: Adam for a critic, AdamW for others (weight decay as in torch)."""
    rate = config.train.learning_rate
    if config.train.lr_decay != 1.0:
        rate = optax.exponential_decay(rate, steps_per_epoch, config.train.lr_decay, staircase=True)
    of_critic = optax.adam(config.critic.learning_rate, config.critic.beta1, config.critic.beta2)
    of_others = optax.adamw(rate, weight_decay=config.train.weight_decay)
    return {player: of_critic if player == "critic" else of_others for player in players}


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
    """The state after a validation: a strictly better score, in float32, is the new best."""
    score = float(np.float32(score))
    if score > float(state.best_score):
        score, best_epoch, stale = score, epoch, 0
    else:
        score, best_epoch = float(state.best_score), int(state.best_epoch)
        stale = int(state.stale) + 1
    return dataclasses.replace(
        state,
        best_score=jnp.asarray(score, jnp.float32),
        best_epoch=jnp.asarray(best_epoch, jnp.int32),
        stale=jnp.asarray(stale, jnp.int32),
    )
