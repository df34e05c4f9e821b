"""Dropout that draws 16 random bits an element: most of its cost is the random numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def dropout(key: PRNGKeyArray, x: Float[Array, "n d"], rate: float) -> Float[Array, "n d"]:
    """Each element is 0 with probability `rate`, to within 2^-17; the rest keeps the mean."""
    kept = max(round((1.0 - rate) * 2**16), 1)  # of as many values of the 16 bits
    if kept == 2**16:
        return x
    bits = jax.random.bits(key, x.shape, "uint16")
    return jnp.where(bits < kept, x * (2**16 / kept), 0.0)
