"""Dropout from 16 random bits per element, as most of its cost is drawing random numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def dropout(key: PRNGKeyArray, x: Float[Array, "n d"], rate: float) -> Float[Array, "n d"]:
    """Sets each element to 0 with probability `rate`, and scales the rest so that the mean stays.

    The probability holds to within 2^-17.
    """
    kept = max(round((1.0 - rate) * 2**16), 1)  # of as many values of the 16 bits
    if kept == 2**16:
        return x
    bits = jax.random.bits(key, x.shape, "uint16")
    return jnp.where(bits < kept, x * (2**16 / kept), 0.0)
