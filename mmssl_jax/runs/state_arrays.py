"""The arrays of a state by path, and the sums by which a checkpoint is what was saved."""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_ODD = np.uint32(2654435761)  # Knuth's, by which places are told apart


def by_path(state: Any) -> dict[str, Any]:
    """The leaves of a pytree under their paths in it."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}


def abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    """An array's shape, type and place, without its values."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])  # for what is no array yet
    sharding = getattr(leaf, "sharding", None) or here
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)


def agree(arrays: dict[str, Any], about: dict[str, Any]) -> bool:
    """Whether these are the values that were saved, so that a damaged file is no result."""
    if "sums" in about:
        return bool(about["sums"] == sums(arrays))
    checksum = 0  # of earlier code
    for path in sorted(arrays):
        if not arrays[path].is_fully_addressable:
            return True  # a process cannot see it all
        checksum = zlib.crc32(np.ascontiguousarray(arrays[path]).data, checksum)
    return bool(about["checksum"] == checksum)


def sums(arrays: dict[str, Any]) -> dict[str, int]:
    """Path -> sum of the bits of an array's values, each by a weight of its place, modulo 2**32.

    It is made on the devices, and is the same however the values are split over them.
    """
    totals = jax.device_get(_weighted_sums(arrays))
    return {path: int(total) for path, total in totals.items()}


@jax.jit
def _weighted_sums(arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
    def total(array: jax.Array) -> jax.Array:
        kind = jnp.uint8 if array.dtype == bool else f"uint{8 * array.dtype.itemsize}"
        bits = array.astype(kind) if array.dtype == bool else array.view(kind)
        place = jnp.zeros((), jnp.uint32)
        for axis in range(array.ndim):
            place = place * _ODD + jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis)
        return jnp.sum(bits.astype(jnp.uint32) * (2 * place + 1), dtype=jnp.uint32)

    return {path: total(array) for path, array in arrays.items()}
