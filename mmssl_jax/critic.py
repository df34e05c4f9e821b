"""The critic of the adversarial game, and the rows over all items that it reads."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mmssl_jax import losses

DenseRows = Float[Array, "rows items"]


class Critic(nn.Module):
    """Scores rows over all items between 0 and 100 (MMSSL, section 3.2.2).

    Dense(hidden), activation, BatchNorm, Dropout, Dense(hidden // 2), activation, BatchNorm,
    Dropout, Dense(1), 100 * sigmoid. BatchNorm always uses the statistics of the rows at hand.

    Attributes:
      hidden: width of the first layer.
      slope: of the leaky ReLU; 1 makes it the identity, as in the public release.
      dropout: rates after the first and the second layer.
    """

    hidden: int
    slope: float
    dropout: tuple[float, float] = (0.31, 0.5)

    def setup(self) -> None:
        kernel_init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
        self.dense0 = nn.Dense(self.hidden, kernel_init=kernel_init)
        self.dense1 = nn.Dense(self.hidden // 2, kernel_init=kernel_init)
        self.dense2 = nn.Dense(1, kernel_init=kernel_init)
        norm = {"use_running_average": False, "epsilon": 1e-5, "use_fast_variance": False}
        self.bn0, self.bn1 = nn.BatchNorm(**norm), nn.BatchNorm(**norm)
        self.drop0, self.drop1 = (nn.Dropout(rate, deterministic=False) for rate in self.dropout)

    def __call__(self, rows: DenseRows) -> Float[Array, "rows"]:
        x = self.drop0(self.bn0(nn.leaky_relu(self.dense0(rows), self.slope)))
        x = self.drop1(self.bn1(nn.leaky_relu(self.dense1(x), self.slope)))
        return 100.0 * nn.sigmoid(self.dense2(x))[:, 0]


def init_critic(critic: Critic, key: PRNGKeyArray, num_items: int) -> dict:
    """The critic's parameters; its BatchNorm keeps no running statistics."""
    return critic.init({"params": key, "dropout": key}, jnp.zeros((2, num_items)))["params"]


def score(critic: Critic, params: dict, rows: DenseRows, key: PRNGKeyArray) -> Float[Array, "rows"]:
    """D(rows), with the dropout of `key` and the batch statistics of these rows."""
    scores, _ = critic.apply(
        {"params": params}, rows, rngs={"dropout": key}, mutable=["batch_stats"]
    )
    return scores


def relation_rows(
    users: Float[Array, "batch d"], items: Float[Array, "items d"], seen: Bool[Array, "batch items"]
) -> Float[Array, "batch items"]:
    """`n((f F^T) * (1 - A[u]))`: each user's relation to the items not seen, at unit norm."""
    return losses.normalize(jnp.where(seen, 0.0, users @ items.T))


def gumbel(uniform: Array) -> Array:
    """Gumbel noise of uniform draws, kept finite by 1e-8 at both logarithms."""
    return -jnp.log(-jnp.log(uniform + 1e-8) + 1e-8)


def real_rows(
    seen: Bool[Array, "batch items"],
    relation: Float[Array, "batch items"],
    uniform: Float[Array, "batch items"],
    *,
    temperature: float,
    relation_weight: float,
    temper_all: bool,
) -> Float[Array, "batch items"]:
    """The critic's real rows: softened observed interactions plus the final embeddings' relation.

    `n(softmax(logits) + relation_weight * relation)`. The paper divides the whole logit by the
    temperature, (A[u] + gumbel) / temperature (`temper_all`); the release only the noise, and
    scales it by 1e-5 on top, A[u] + 1e-5 / temperature * gumbel.
    """
    noise = gumbel(uniform)
    soft = seen + 1e-5 / temperature * noise
    logits = (seen + noise) / temperature if temper_all else soft
    return losses.normalize(jax.nn.softmax(logits, axis=1) + relation_weight * relation)


def critic_loss(
    critic: Critic,
    params: dict,
    real: DenseRows,
    fake: DenseRows,
    alpha: Float[Array, "rows 1"],
    key: PRNGKeyArray,
    *,
    penalty_weight: float,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """`mean D(fake) - mean D(real) + weight * mean((|grad D(mixed)| - 1)^2)` and its terms.

    The mixed rows are alpha * real + (1 - alpha) * fake. Their gradient is that of the sum of D
    over the rows, so that it runs through the batch statistics as in the public release.
    """
    fake_key, real_key, mixed_key = jax.random.split(key, 3)
    fake_score = jnp.mean(score(critic, params, fake, fake_key))
    real_score = jnp.mean(score(critic, params, real, real_key))
    mixed = alpha * real + (1 - alpha) * fake
    gradient = jax.grad(lambda rows: jnp.sum(score(critic, params, rows, mixed_key)))(mixed)
    penalty = losses.gradient_penalty(jnp.sum(gradient**2, axis=1))
    loss = fake_score - real_score + penalty_weight * penalty
    return loss, {"fake": fake_score, "real": real_score, "penalty": penalty}
