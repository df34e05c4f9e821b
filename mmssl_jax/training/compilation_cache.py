"""Where compiled programs are kept between runs: jax's cache, in the user's folder for caches."""

import os
import warnings
from typing import Any

import jax

from mmssl_jax.files import caches

_SETTINGS = {
    "jax_compilation_cache_max_size": 256 << 20,  # bytes; the programs used longest ago go first
    "jax_persistent_cache_min_compile_time_secs": 0.1,  # each of the many entries costs a look
}


def use() -> str | None:
    """Keeps compiled programs between runs, unless jax's variables say otherwise; returns where.

    JAX_COMPILATION_CACHE_DIR names another folder (no setting is then changed);
    JAX_ENABLE_COMPILATION_CACHE=0 turns it off. If the folder or an entry cannot be used, the
    program is compiled again.
    """
    settings: Any = jax.config  # whose values have no types
    if not settings.jax_enable_compilation_cache:
        return None
    if given := settings.jax_compilation_cache_dir:
        return str(given)
    folder = caches.own_folder("compiled")
    if folder is None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in _SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    ignored = "Error (reading|writing) persistent compilation cache"  # cut short by a kill, say
    warnings.filterwarnings("ignore", ignored, UserWarning)
    return str(folder)
