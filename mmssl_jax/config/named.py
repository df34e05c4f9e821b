"""Files of named settings, which compare trains side by side.

A settings file is Python, like a config: its `get_settings()` returns label -> overrides, and
overrides are dotted path of a config field -> value. `configs/studies/` has examples.
"""

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError

_LABEL = r"(?!compare\.)[A-Za-z0-9]([A-Za-z0-9 ._+=-]{0,78}[A-Za-z0-9_+=-])?"  # names a folder too


def call(path: str, function: str) -> Any:
    """What a function of a Python file returns.

    Raises:
      InputError: there is no such file or function, or it raises.
    """
    try:
        if not Path(path).is_file():
            raise InputError(f"the file '{path}' does not exist or is a folder")
        found = runpy.run_path(path).get(function)
        if found is None:
            raise InputError(f"{path}: has no {function}()")
        return found()
    except (Exception, SystemExit) as error:  # a file of code: anything can come out of it
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: {type(error).__name__}: {reason}") from error


def read(path: str) -> dict[str, dict[str, Any]]:
    """Label -> overrides of a file, in its order; raises InputError."""
    settings = call(path, "get_settings")
    if not isinstance(settings, Mapping) or not settings:
        raise InputError(f"{path}: get_settings() must return label -> overrides")
    for label, overrides in settings.items():
        if not (isinstance(label, str) and re.fullmatch(_LABEL, label)):
            raise InputError(
                f"{path}: {label!r} cannot name a setting; letters, digits, spaces and ._+=- can, "
                "with a letter or digit first, no space or dot last, and not 'compare.'"
            )
        if not (isinstance(overrides, Mapping) and all(isinstance(key, str) for key in overrides)):
            raise InputError(f"{path}: '{label}' must be field -> value")
    return {label: dict(overrides) for label, overrides in settings.items()}


def applied(config: Config, overrides: Mapping[str, Any]) -> Config:
    """A copy of a config in which the overrides hold; None is the model's own default.

    Raises:
      InputError: an unknown field, or a value of the wrong type.
    """
    return configs.unflatten(configs.flatten(config) | dict(overrides))
