"""Files that are settings: configs, and the named settings that compare trains.

A config file is Python, whose `get_config()` returns a Config, or TOML or JSON, which run no code
(`plain`). A settings file is Python: its `get_settings()` returns label -> overrides, and overrides
are dotted path of a config field -> value; `configs/studies/` has examples. Those that ship with
the package are also found by their names.
"""

import difflib
import os
import re
import runpy
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmssl_jax import config as configs
from mmssl_jax.config import Config, plain
from mmssl_jax.errors import InputError

_LABEL = r"(?!compare\.)[A-Za-z0-9]([A-Za-z0-9 ._+=-]{0,78}[A-Za-z0-9_+=-])?"  # names a folder too
_PACKAGE = Path(__file__).parents[1]
_PYTHON = ".py"


def shipped(below: str = "") -> dict[str, Path]:
    """Name -> file of the configs that ship with the package, or of those in a folder of them."""
    beside = _PACKAGE.parent / "configs"  # in a checkout; in a wheel they are in the package
    folder = beside if (_PACKAGE.parent / "pyproject.toml").exists() else _PACKAGE / "configs"
    return {path.stem: path for path in sorted((folder / below).glob("*.py"))}


def config_file(text: str) -> Path:
    """The config file of this name or path; InputError where there is none."""
    known = shipped()
    if text in known:
        return known[text]
    if not os.path.isfile(text):  # which takes a name that is too long
        problem = "is a folder" if text and os.path.isdir(text) else "does not exist"
        close = difflib.get_close_matches(text, known)
        hint = f"did you mean {' or '.join(close)}?" if close else "try --config demo"
        raise InputError(f"config file '{text}' {problem}; {hint}")
    if Path(text).suffix not in (_PYTHON, *plain.READERS):
        raise InputError(
            f"config file '{text}' is no .py file, and no .toml or .json; see configs/demo.py"
        )
    return Path(text)


def config(file: Path) -> Config:
    """What a config file returns, or says; raises InputError."""
    if file.suffix in plain.READERS:
        return plain.config(file)
    found = call(file, "get_config")
    if not isinstance(found, Config):
        raise InputError(
            f"config file {file}: its get_config() returns {type(found).__name__}, not the Config "
            "of mmssl_jax.config; see configs/demo.py"
        )
    return found


def call(file: Path, function: str, kind: str = "config file") -> Any:
    """What a function of a Python file returns.

    Args:
      file: its path.
      function: its name.
      kind: what the file is, in words.

    Raises:
      InputError: there is no such file or function, it is no Python, or it raises.
    """
    if not os.path.isfile(file):
        raise InputError(f"{kind} {file} does not exist or is a folder")
    if file.suffix != _PYTHON:  # least of all what was chosen because it runs no code
        raise InputError(f"{kind} {file} is no .py file; {function}() is Python")
    try:
        found = runpy.run_path(str(file)).get(function)
        if found is None:
            hint = "; see configs/demo.py" if function == "get_config" else ""
            raise InputError(f"{kind} {file}: has no {function}(){hint}")
        return found()
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        where = f"{kind} {error.filename or file}{line}"
        raise InputError(f"{where}: {error.msg} ({type(error).__name__})") from error
    except (Exception, SystemExit) as error:  # a file of code: anything can come out of it
        if isinstance(error, InputError):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(file)]
        where = f"{kind} {file}" + (f", line {lines[-1]}" if lines else "")
        reason = " ".join(str(error).split())
        raise InputError(f"{where}: {type(error).__name__}: {reason}") from error


def read(file: str) -> dict[str, dict[str, Any]]:
    """Label -> overrides of a settings file, in its order.

    Args:
      file: its path, or the name of one that ships.

    Raises:
      InputError: it cannot be used.
    """
    path = shipped("studies").get(file, Path(file))
    settings = call(path, "get_settings", "settings file")
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
        same = [other for other in settings if str(other).casefold() == label.casefold()]
        if len(same) > 1:  # they name folders, which some systems do not tell apart
            raise InputError(f"{path}: {same[0]!r} and {same[1]!r} differ in case alone")
    return {label: dict(overrides) for label, overrides in settings.items()}


def applied(config: Config, overrides: Mapping[str, Any]) -> Config:
    """A copy of a config in which the overrides hold; None is the model's own default.

    Raises:
      InputError: an unknown field, or a value of the wrong type.
    """
    return configs.unflatten(configs.flatten(config) | dict(overrides))
