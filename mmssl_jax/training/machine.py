"""What there is to compute with, and whether it computes."""

import os
import platform
import time
from typing import Any

import jax
import numpy as np

from mmssl_jax.errors import InputError
from mmssl_jax.runs import provenance
from mmssl_jax.training.devices import check_devices

_VARIABLES = ("JAX_", "XLA_", "CUDA_VISIBLE_DEVICES")  # what changes what jax computes on
_SIZE = 256  # of the trial's matrices


def host() -> dict[str, Any]:
    """Platform, cores and memory, in bytes, of this machine as JSON values."""
    memory = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"platform": platform.platform(), "cores": provenance.cores(), "memory": memory}


def devices() -> dict[str, Any]:
    """The devices of jax, each with a `trial`, and what keeps training from using them."""
    problem, found = None, []
    try:
        check_devices()
    except InputError as error:
        problem = str(error)
    try:
        found = [_described(device) for device in jax.devices()]
    except Exception as error:  # an AssertionError or a RuntimeError, by the kind asked for
        problem = problem or _reason(error)
    variables = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)
    }
    return {"problem": problem, "found": found, "variables": variables}


def _described(device: jax.Device) -> dict[str, Any]:
    try:
        memory = (device.memory_stats() or {}).get("bytes_limit")
    except Exception:  # kinds that do not tell raise what they like
        memory = None
    about = {"device": str(device), "kind": device.device_kind, "memory": memory}
    return about | trial(device)


def trial(device: jax.Device) -> dict[str, Any]:
    """A product of matrices and a sum by index on a device, checked against numpy.

    Returns:
      Whether both are right, the seconds of the first call, which compiles, and of another one,
      and what went wrong, if anything.
    """
    rng = np.random.default_rng(0)
    # Small whole numbers: exact on every device, in every precision.
    left, right = rng.integers(0, 8, (2, _SIZE, _SIZE)).astype(np.float32)
    places = rng.integers(0, _SIZE, _SIZE)
    expected = np.zeros_like(left)
    np.add.at(expected, places, left @ right)
    result: dict[str, Any] = {"right": False, "first_seconds": None, "seconds": None}
    try:
        arrays = jax.device_put((left, right, places), device)
        for name in ("first_seconds", "seconds"):
            started = time.perf_counter()
            found = np.asarray(_summed(*arrays))
            result[name] = time.perf_counter() - started
    except Exception as error:  # of a driver or a compiler, of any kind
        return result | {"problem": _reason(error)}
    right_ = bool(np.array_equal(found, expected))
    return result | {"right": right_, "problem": None if right_ else "it computes other numbers"}


@jax.jit
def _summed(left: jax.Array, right: jax.Array, places: jax.Array) -> jax.Array:
    return jax.numpy.zeros_like(left).at[places].add(left @ right)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
