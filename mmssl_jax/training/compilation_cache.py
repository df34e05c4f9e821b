"""Where compiled programs are kept between runs: jax's cache, in the user's folder for caches."""

import os
import pathlib
import sys
import tempfile
import warnings
from typing import Any

import jax

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
    folder = own_folder("compiled")
    if folder is None:
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in _SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    ignored = "Error (reading|writing) persistent compilation cache"  # cut short by a kill, say
    warnings.filterwarnings("ignore", ignored, UserWarning)
    return str(folder)


def own_folder(name: str) -> pathlib.Path | None:
    """Our folder in the user's cache, created if needed; None if it cannot be used.

    Cached programs are executed, so a folder owned by somebody else is not used.
    """
    try:
        folder = _caches() / "mmssl_jax" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        own = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
    except (OSError, RuntimeError, ValueError):  # it cannot be written; no home; no path
        return None
    return folder if own else None


def _caches() -> pathlib.Path:
    """The user's folder for what can be made anew, by the system's custom."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the standard: others are to be ignored
        return pathlib.Path(given)
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser()
    return pathlib.Path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache").expanduser()
