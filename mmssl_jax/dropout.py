"""Dropout from 16 random bits per element, as most of its cost is drawing random numbers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt32


def dropout(key: PRNGKeyArray, x: Float[Array, "n d"], rate: float) -> Float[Array, "n d"]:
    """Sets each element to 0 with probability `rate`, and scales the rest so that the mean stays.

    The probability holds to within 2^-17.
    """
    kept = max(round((1.0 - rate) * 2**16), 1)  # of as many values of the 16 bits
    if kept == 2**16:
        return x
    return jnp.where(_bits16(key, *x.shape) < kept, x * (2**16 / kept), 0.0)


def _bits16(key: PRNGKeyArray, rows: int, columns: int) -> UInt32[Array, "rows columns"]:
    """Draws of 0 to 2^16 - 1: the two halves of a word, as jax would draw a word for each."""
    words = jax.random.bits(key, (-(-rows // 2), columns), "uint32")
    return jnp.concatenate([words & 0xFFFF, words >> 16])[:rows]
