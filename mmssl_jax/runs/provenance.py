"""Which code and which machine made a figure."""

import functools
import importlib.metadata
import os
import pathlib
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import jax

_PACKAGES = ("mmssl_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy")


def about() -> dict[str, Any]:
    """Flat keys for a run's results: the commit of the code, the device and the versions."""
    return {
        "commit": commit(),
        "device": jax.devices()[0].device_kind,
        "cores": cores(),
        "python": platform.python_version(),
    } | {f"version/{name}": version(name) for name in _PACKAGES}


def changes(before: Mapping[str, Any]) -> str:
    """What differs now from what `about` once gave: 'jax 0.9.0, now 0.10.2'; '' for nothing.

    Of a run of earlier code that did not say, nothing is known to differ.
    """
    now = about()
    names = {"device": "device"} | {
        f"version/{name}": name for name in _PACKAGES if name != "mmssl_jax"
    }
    return ", ".join(
        f"{name} {before[key]}, now {now[key]}"
        for key, name in names.items()
        if before.get(key) not in (None, now[key])
    )


def version(package: str) -> str | None:
    """Of an installed package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cores() -> int:
    """The processors that this process may use, where the system tells; else all."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def commit() -> str | None:
    """The commit of the checkout that the package runs from, '+' where it was changed since.

    None where the package is not run from a checkout of its own, or there is no git.
    """
    root = pathlib.Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "--short=10", "HEAD").strip()
        changed = _git(root, "status", "--porcelain", "--untracked-files=no").strip()
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def command(name: str, arguments: Sequence[str]) -> str:
    """The command line of a command, such as 'mmssl compare', with these arguments."""
    return shlex.join([*name.split(), *arguments])


def _git(root: pathlib.Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout
