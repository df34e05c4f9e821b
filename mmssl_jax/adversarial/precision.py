"""Matrix products in reduced precision: bfloat16 factors, float32 sums and results."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Precision = Literal["float32", "bfloat16"]


def matmul(
    a: Float[Array, "n k"], b: Float[Array, "k m"], precision: Precision
) -> Float[Array, "n m"]:
    """`a @ b`. With 'bfloat16' both factors are rounded first, in the gradient's products too."""
    return a @ b if precision == "float32" else _bfloat16_matmul(a, b)


@jax.custom_vjp
def _bfloat16_matmul(a: Float[Array, "n k"], b: Float[Array, "k m"]) -> Float[Array, "n m"]:
    return jnp.matmul(
        a.astype(jnp.bfloat16), b.astype(jnp.bfloat16), preferred_element_type=jnp.float32
    )


def _forward(a: Array, b: Array) -> tuple[Array, tuple[Array, Array]]:
    return _bfloat16_matmul(a, b), (a, b)


def _backward(factors: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    a, b = factors
    return _bfloat16_matmul(cotangent, b.T), _bfloat16_matmul(a.T, cotangent)


_bfloat16_matmul.defvjp(_forward, _backward)
