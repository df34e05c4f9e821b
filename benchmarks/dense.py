"""The adversarial game on dense rows: the plain formulation, as oracle and as yardstick.

Everything the critic reads is a [rows, items] array, the mixed rows pass through the whole network
and the penalty is the gradient with respect to them.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial.critic import gradient_norms, gradient_penalty
from mmssl_jax.adversarial.relation_rows import RelationRows


def dense(rows: jax.Array | Sequence[RelationRows]) -> jax.Array:
    """Rows as an array; the groups of relation rows are stacked."""
    if isinstance(rows, jax.Array):
        return rows
    return jnp.concatenate([group.dense() for group in rows])


def score(critic, params, rows: jax.Array, key) -> jax.Array:
    """D(rows) of dense rows."""
    rngs = {"dropout": key}
    return critic.apply({"params": params}, rows, rngs=rngs, mutable=["batch_stats"])[0]


def critic_loss(
    critic: critics.Critic,
    params: dict,
    real: jax.Array,
    fake: jax.Array | Sequence[RelationRows],
    alpha: jax.Array,
    key: jax.Array,
    *,
    penalty_weight: float,
):
    """The same function as `mmssl_jax.adversarial.critic.critic_loss`.

    The real rows' product is made once, as their copies differ only after dropout.
    """
    fake_key, real_key, mixed_key = jax.random.split(key, 3)
    fake = dense(fake)
    copies = len(fake) // len(real)
    at_real = jnp.tile(critics.first(critic, params, real), (copies, 1))
    fake_score = jnp.mean(score(critic, params, fake, fake_key))
    real_score = jnp.mean(critics.head(critic, params, at_real, real_key))
    mixed = alpha * jnp.tile(real, (copies, 1)) + (1 - alpha) * fake
    gradient = jax.grad(lambda rows: jnp.sum(score(critic, params, rows, mixed_key)))(mixed)
    squared = jnp.sum(gradient**2, axis=1)
    penalty = gradient_penalty(squared)
    loss = fake_score - real_score + penalty_weight * penalty
    terms = {"fake": fake_score, "real": real_score, "penalty": penalty}
    return loss, terms | {"gradient_norm": jnp.mean(gradient_norms(squared))}


def generator_loss(
    critic: critics.Critic,
    params: dict,
    fake: jax.Array | Sequence[RelationRows],
    key: jax.Array,
):
    """The same function as `mmssl_jax.adversarial.critic.generator_loss`."""
    return -jnp.mean(score(critic, params, dense(fake), key))
