"""Where compiled programs are kept between runs: jax's own cache, in the user's cache folder."""

import os
import pathlib
import sys
import tempfile

import jax

MOST_BYTES = 1 << 30  # the programs used longest ago go first
_SETTINGS = {
    "jax_compilation_cache_max_size": MOST_BYTES,
    "jax_persistent_cache_min_compile_time_secs": 0.0,  # a start has many small programs
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def use() -> None:
    """Keeps compiled programs, unless jax is told where to keep them, or not to.

    jax's own variables rule: JAX_COMPILATION_CACHE_DIR is another folder (and then nothing of jax's
    is changed here), JAX_ENABLE_COMPILATION_CACHE=0 turns it off. Where the folder cannot be
    written, everything is compiled anew, and nothing else differs. Entries are code that is run, so
    a folder that belongs to somebody else is not used.
    """
    if jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:
        return
    folder = _caches() / "mmssl_jax" / "compiled"
    if not _is_own(folder):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    for name, value in _SETTINGS.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)


def _caches() -> pathlib.Path:
    """The user's folder for what can be made anew, by the system's custom."""
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser()
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the standard: others are to be ignored
        return pathlib.Path(given)
    return pathlib.Path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache").expanduser()


def _is_own(folder: pathlib.Path) -> bool:
    """Whether a folder, made where it is missing, is the user's own and can be written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return os.name != "posix" or folder.stat().st_uid == os.getuid()
    except (OSError, RuntimeError):
        return False
