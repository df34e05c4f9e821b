"""Config files that run no code: TOML and JSON, a table for each section.

    [data]
    path = "data/mine"
    [model]
    name = "hybrid"
    [train]
    epochs = 50

Sections and fields are those of a Python config, and so are the checks. As such a file may come
from a stranger, it is read to a bound, and the run that it names lies in the folder of runs.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError, printable

_MOST_BYTES = 1 << 16
_MOST_DOTS = 500  # of a line: tomllib keeps every beginning of a dotted key
_NAME = re.compile(r"[\w][\w .+=-]{0,98}[\w+=-]|[\w]?")  # of a folder in the folder of runs
_SHOWN = 40  # characters of a key


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, which refuses a key that comes twice, as TOML does."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:_SHOWN]!r} is there twice")
        found[key] = value
    return found


def _from_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_once)


def _from_toml(text: str) -> Any:
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MOST_DOTS} dots")
    return tomllib.loads(text)


READERS: dict[str, Callable[[str], Any]] = {".toml": _from_toml, ".json": _from_json}


def config(file: Path) -> Config:
    """The Config that a TOML or JSON file describes; what it leaves out has its default.

    Raises:
      InputError: it cannot be read, has an unknown field, or a value of the wrong type.
    """
    values: dict[str, Any] = {}
    for section, fields in _content(file).items():
        if section != "name" and not isinstance(fields, Mapping):
            raise InputError(
                f"config file {file}: {section[:_SHOWN]!r} is no section of fields; a field is in "
                "its section, as epochs is in train"
            )
        if section == "name":
            values["name"] = fields
            continue
        for field, value in fields.items():
            values[f"{section}.{field}"] = value
    try:
        found = configs.unflatten(values)
    except InputError as error:
        raise InputError(f"config file {file}: {error}") from error
    if not _NAME.fullmatch(found.name):
        raise InputError(
            f"config file {file}: the name {found.name[:_SHOWN]!r} cannot be that of a folder; "
            "take letters, digits, spaces and ._+=- with a letter or digit first"
        )
    return found


def _content(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InputError(
                f"config file {file}: has more than {_MOST_BYTES} bytes, so it is no config"
            )
        found = READERS[file.suffix](content.decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"config file {file}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise InputError(f"config file {file}: is nested too deeply to be a config") from error
    except ValueError as error:  # what is no UTF-8, TOML or JSON
        kind = file.suffix.removeprefix(".").upper()
        reason = printable(str(error))[:200]
        raise InputError(f"config file {file}: is not valid {kind} ({reason})") from error
    if not isinstance(found, Mapping):
        raise InputError(f"config file {file}: holds no sections, such as data and train")
    return found
