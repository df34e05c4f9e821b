"""What every test runs under: strict jax, and the shapes in signatures checked at run time."""

import atexit
import os
import shutil
import tempfile

# Read when jax is imported, and inherited by pytest's workers and by child processes.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # most of the time goes to compiling
    cache = tempfile.mkdtemp(prefix="mmssl_jax-tests-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import hypothesis
import jax
from jaxtyping import install_import_hook

install_import_hook("mmssl_jax", "beartype.beartype")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
hypothesis.settings.register_profile("any machine", deadline=None)  # of slow ones, too
hypothesis.settings.load_profile("any machine")
