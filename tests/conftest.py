"""What every test runs under: strict jax, and the shapes in signatures checked at run time."""

import gc
import os
import shutil

# Read when jax is imported, and inherited by pytest's workers and by child processes.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook

install_import_hook("mmssl_jax", "beartype.beartype")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
hypothesis.settings.register_profile("any machine", deadline=None)  # of slow ones, too
hypothesis.settings.load_profile("any machine")

from mmssl_jax.files import caches  # noqa: E402 (after the hook)

MOST_BYTES = 1 << 30


def _keep_programs() -> None:
    """Most of the tests' time goes to compiling: even small programs are kept between runs.

    Beside the commands' own cache, without its limit, as holding to that costs more than small
    programs do; what has become too large is begun anew.
    """
    folder = caches.own_folder("tests")
    if folder is None or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    if sum(path.stat().st_size for path in folder.iterdir()) > MOST_BYTES:
        shutil.rmtree(folder, ignore_errors=True)
    settings = {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)  # of workers and of commands


_keep_programs()
# A full collection looks at the programs of all tests so far, which takes a second in the end.
gc.set_threshold(*gc.get_threshold()[:2], 100)
os.fsync = lambda _: None  # no test outlives the machine, and each wait for its disk is long


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """What the tests of a file compiled goes with it, and the arrays that their models hold.

    jax keeps both as long as the process lives, which came to gigabytes.
    """
    yield
    jax.clear_caches()
    gc.collect()
