"""The critic of the adversarial game (MMSSL, section 3.2.2) and its loss.

The first layer reads rows over all items and takes nearly all the arithmetic of a step. Three exact
identities avoid most of it:

1. Fake rows are low rank plus sparse (`relation_rows.RelationRows`), and so is their product with
   a kernel.
2. Mixed rows need no product: (a real + (1 - a) fake) K = a (real K) + (1 - a) (fake K).
3. The penalty needs only the norm of g K^T, g being the gradient at the first layer's output, and
   |g K^T|^2 = g (K^T K) g^T, in which no [rows, items] array occurs.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax.adversarial import relation_rows as relation
from mmssl_jax.adversarial.precision import Precision, matmul
from mmssl_jax.adversarial.real_rows import BlockedRealRows
from mmssl_jax.adversarial.relation_rows import Kernel, RelationRows

Params = dict[str, Any]  # the critic's parameters, as flax nests them
Rows = Float[Array, "_ items"] | Sequence[RelationRows] | BlockedRealRows


def project(rows: Rows, kernel: Kernel, precision: Precision) -> Float[Array, "rows hidden"]:
    """The product of rows in any form with a kernel.

    Relation rows always use float32, as their product is a difference of two numbers and would lose
    digits.
    """
    if isinstance(rows, jax.Array):
        return matmul(rows, kernel, precision)
    if isinstance(rows, BlockedRealRows):
        return rows.project(kernel, precision)
    return relation.project(rows, kernel)


class FirstLayer(nn.Module):
    """A dense layer over all items that takes rows in any form."""

    num_items: int
    hidden: int
    precision: Precision

    def setup(self) -> None:
        self.kernel = self.param("kernel", _he_normal, (self.num_items, self.hidden))
        self.bias = self.param("bias", nn.initializers.zeros, (self.hidden,))

    def __call__(self, rows: Rows) -> Float[Array, "rows hidden"]:
        return project(rows, self.kernel, self.precision) + self.bias[None, :]


class Critic(nn.Module):
    """Scores rows over all items between 0 and 100.

    Dense(hidden), activation, BatchNorm, Dropout, Dense(hidden // 2), activation, BatchNorm,
    Dropout, Dense(1), 100 * sigmoid. BatchNorm always uses the statistics of the rows at hand.

    Attributes:
      num_items: length of a row.
      hidden: width of the first layer.
      slope: of the leaky ReLU; 1 makes it the identity, as in the public release.
      dropout: rates after the first and the second layer.
      precision: of the factors of the large products; parameters and statistics are float32.
    """

    num_items: int
    hidden: int
    slope: float
    dropout: tuple[float, float] = (0.31, 0.5)
    precision: Precision = "float32"

    def setup(self) -> None:
        self.dense0 = FirstLayer(self.num_items, self.hidden, self.precision)
        self.dense1 = nn.Dense(
            self.hidden // 2, kernel_init=_he_normal, dot_general=self._dot_general
        )
        self.dense2 = nn.Dense(1, kernel_init=_he_normal)
        norm = partial(
            nn.BatchNorm, use_running_average=False, epsilon=1e-5, use_fast_variance=False
        )
        self.bn0, self.bn1 = norm(), norm()
        self.drop0, self.drop1 = (nn.Dropout(rate, deterministic=False) for rate in self.dropout)

    def _dot_general(
        self, x: Float[Array, "rows in"], kernel: Kernel, dimensions: Any, **_: Any
    ) -> Float[Array, "rows out"]:
        """What flax's Dense calls for its product, [rows, in] by [in, out]."""
        del dimensions
        return matmul(x, kernel, self.precision)

    def __call__(self, rows: Rows) -> Float[Array, "rows"]:
        return self.head(self.first(rows))

    def first(self, rows: Rows) -> Float[Array, "rows hidden"]:
        """The output of the first layer, before its activation."""
        return self.dense0(rows)

    def head(self, x: Float[Array, "rows hidden"]) -> Float[Array, "rows"]:
        """The scores of outputs of the first layer."""
        x = self.drop0(self.bn0(nn.leaky_relu(x, self.slope)))
        x = self.drop1(self.bn1(nn.leaky_relu(self.dense1(x), self.slope)))
        return 100.0 * nn.sigmoid(self.dense2(x))[:, 0]


_he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def init_critic(critic: Critic, key: PRNGKeyArray) -> Params:
    """The critic's parameters; its BatchNorm keeps no running statistics."""
    rows = jnp.zeros((2, critic.num_items))
    return cast(Params, critic.init({"params": key, "dropout": key}, rows)["params"])


def first(critic: Critic, params: Params, rows: Rows) -> Float[Array, "rows hidden"]:
    """The output of the first layer, before its activation."""
    return cast(Array, critic.apply({"params": params}, rows, method="first"))


def head(
    critic: Critic, params: Params, x: Float[Array, "rows hidden"], key: PRNGKeyArray
) -> Float[Array, "rows"]:
    """The critic's scores from the first layer's output.

    Uses dropout by `key` and the batch statistics of these rows.
    """
    scores, _ = critic.apply(
        {"params": params}, x, rngs={"dropout": key}, mutable=["batch_stats"], method="head"
    )
    return cast(Array, scores)


def critic_loss(
    critic: Critic,
    params: Params,
    real: Rows,
    fake: Rows,
    alpha: Float[Array, "rows 1"],
    key: PRNGKeyArray,
    *,
    penalty_weight: float,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """`mean D(fake) - mean D(real) + weight * mean((|grad D(mixed)| - 1)^2)` and its terms.

    The mixed rows are alpha * real + (1 - alpha) * fake. Their gradient is that of the sum of D
    over the rows, so that it runs through the batch statistics as in the public release.

    Args:
      critic: the network.
      params: its parameters.
      real: the real rows of the batch, repeated for every modality.
      fake: the relation rows of all modalities.
      alpha: uniform draws, one a fake row.
      key: for dropout, different in each of the three passes.
      penalty_weight: of the gradient penalty.
    """
    fake_key, real_key, mixed_key = jax.random.split(key, 3)
    at_fake = first(critic, params, fake)
    at_real = first(critic, params, real)
    at_real = jnp.tile(at_real, (len(at_fake) // len(at_real), 1))
    fake_score = jnp.mean(head(critic, params, at_fake, fake_key))
    real_score = jnp.mean(head(critic, params, at_real, real_key))
    at_mixed = alpha * at_real + (1 - alpha) * at_fake
    gradient = jax.grad(lambda x: jnp.sum(head(critic, params, x, mixed_key)))(at_mixed)
    squared = squared_norms(gradient, params["dense0"]["kernel"], critic.precision)
    penalty = gradient_penalty(squared)
    loss = fake_score - real_score + penalty_weight * penalty
    terms = {"fake": fake_score, "real": real_score, "penalty": penalty}
    return loss, terms | {"gradient_norm": jnp.mean(gradient_norms(squared))}


def generator_loss(
    critic: Critic, params: Params, fake: Rows, key: PRNGKeyArray
) -> Float[Array, ""]:
    """`-mean D(fake)`: low when the critic takes relation rows for real ones."""
    return -jnp.mean(head(critic, params, first(critic, params, fake), key))


def squared_norms(
    g: Float[Array, "rows hidden"], kernel: Kernel, precision: Precision = "float32"
) -> Float[Array, "rows"]:
    """`|g K^T|^2` of every row, by the Gram matrix or directly, whichever costs less."""
    (rows, hidden), items = g.shape, kernel.shape[0]
    gram = 4 * items * hidden * hidden + 4 * rows * hidden * hidden
    direct = 6 * rows * items * hidden
    if gram <= direct:
        return _gram_squared_norms(precision, g, kernel)
    return jnp.sum(matmul(g, kernel.T, precision) ** 2, axis=1)


_Saved = tuple[Float[Array, "rows hidden"], Kernel, Float[Array, "rows hidden"]]  # g, K and g G


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gram_squared_norms(
    precision: Precision, g: Float[Array, "rows hidden"], kernel: Kernel
) -> Float[Array, "rows"]:
    return _gram_forward(precision, g, kernel)[0]


def _gram_forward(
    precision: Precision, g: Float[Array, "rows hidden"], kernel: Kernel
) -> tuple[Float[Array, "rows"], _Saved]:
    gram = matmul(kernel.T, kernel, precision)
    through = matmul(g, gram, precision)
    return jnp.sum(through * g, axis=1), (g, kernel, through)


def _gram_backward(
    precision: Precision, saved: _Saved, cotangent: Float[Array, "rows"]
) -> tuple[Float[Array, "rows hidden"], Kernel]:
    """With q = g G g^T and G = K^T K: dq/dg = 2 g G, and dq/dK = 2 K g^T g."""
    g, kernel, through = saved
    weighted = 2.0 * cotangent[:, None] * g
    to_kernel = matmul(kernel, matmul(weighted.T, g, precision), precision)
    return 2.0 * cotangent[:, None] * through, to_kernel


_gram_squared_norms.defvjp(_gram_forward, _gram_backward)


def gradient_norms(squared_norms: Float[Array, "rows"]) -> Float[Array, "rows"]:
    """`|g|` from |g|^2. Its gradient at 0 is taken as 0, where that of a plain root is NaN."""
    nonzero = squared_norms > 0
    return jnp.where(nonzero, jnp.sqrt(jnp.where(nonzero, squared_norms, 1.0)), 0.0)


def gradient_penalty(squared_norms: Float[Array, "rows"]) -> Float[Array, ""]:
    """`mean((|g| - 1)^2)` from |g|^2 (Gulrajani et al., WGAN-GP, 2017)."""
    return jnp.mean((gradient_norms(squared_norms) - 1.0) ** 2)
