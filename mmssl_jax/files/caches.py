"""Our folders in the user's folder for caches: what is there can be made anew."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile


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


def keep_last(folder: pathlib.Path, pattern: str, count: int) -> None:
    """Leaves of the files or folders of a pattern the `count` that were touched last."""
    with contextlib.suppress(OSError):
        entries = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
        for entry in entries[:-count]:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _caches() -> pathlib.Path:
    """The user's folder for what can be made anew, by the system's custom."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # the standard: others are to be ignored
        return pathlib.Path(given)
    if sys.platform == "win32":
        return pathlib.Path(os.environ.get("LOCALAPPDATA") or "~/AppData/Local").expanduser()
    return pathlib.Path("~/Library/Caches" if sys.platform == "darwin" else "~/.cache").expanduser()
