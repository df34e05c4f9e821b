"""Losses as pure functions of arrays. Batches come first, options are keyword-only."""

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmssl_jax.graphs.nearest import normalize

Rows = Float[Array, "batch d"]
Scalar = Float[Array, ""]


def bpr(users: Rows, positives: Rows, negatives: Rows) -> Scalar:
    """`-mean log sigmoid(u.p - u.n)`; Rendle et al., "BPR", UAI 2009."""
    margin = jnp.sum(users * positives, axis=1) - jnp.sum(users * negatives, axis=1)
    return -jnp.mean(jax.nn.log_sigmoid(margin))


def half_squares(arrays: Iterable[Array]) -> Scalar:
    """Half the sum of squares over all arrays: the L2 regulariser before its weight."""
    return 0.5 * sum((jnp.sum(x * x) for x in arrays), start=jnp.zeros(()))


def contrastive(view: Rows, anchor: Rows, *, temperature: float, epsilon: float = 1e-8) -> Scalar:
    """InfoNCE between two views of the same rows, with in-view negatives (MMSSL, section 3.3).

    With a = n(view), b = n(anchor), s(x, y) = exp(x.y / temperature):
    `-mean_i log(s(a_i, b_i) / (sum_j s(a_i, a_j) + sum_j s(a_i, b_j) - s(a_i, a_i)) + epsilon)`.
    """
    a, b = normalize(view), normalize(anchor)
    within = jnp.exp(a @ a.T / temperature)
    between = jnp.exp(a @ b.T / temperature)
    total = jnp.sum(within, axis=1) + jnp.sum(between, axis=1) - jnp.diagonal(within)
    return -jnp.mean(jnp.log(jnp.diagonal(between) / total + epsilon))


def contrastive_of_zeros(rows: int, epsilon: float = 1e-8) -> Scalar:
    """`contrastive` of a view whose rows are all zero, with any anchor: every s(x, y) is 1."""
    return jnp.asarray(-math.log(1 / (2 * rows - 1) + epsilon), jnp.float32)
