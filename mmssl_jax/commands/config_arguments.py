"""--config and --config.FIELD=VALUE, which are taken from the arguments before click reads them."""

import difflib
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmssl_jax import models
from mmssl_jax.config import Config, named
from mmssl_jax.errors import InputError

_ARGUMENT = re.compile(
    r"--?config(?:\.(?P<field>[^=]*))?(?:=(?P<text>.*))?|--?noconfig\.(?P<off>[^=]*)", re.DOTALL
)
_WORDS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}

# (field, text): the field is None for --config itself, the text where none follows.
Taken = tuple[str | None, str | None]


class Given(NamedTuple):
    """What a command line says of the config."""

    config: Config  # of the file, with the overrides; not resolved
    overrides: dict[str, Any]  # dotted path of a field -> value
    file: Path
    command: str  # the whole command line, as it can be given again

    @property
    def shipped(self) -> str | None:
        """The name of the file, where it ships with the package."""
        name = self.file.stem
        return name if named.shipped().get(name) == self.file else None

    @property
    def name(self) -> str:
        """Of the run: the config's, or that of its file."""
        return self.config.name or self.file.stem


def take(arguments: Sequence[str], kinds: Mapping[str, Any]) -> tuple[list[Taken], list[str]]:
    """Parts the arguments of the config from all others; `kinds` is of `models.fields`.

    A field that is true or false takes the value after '=' alone, any other the next argument too.
    """
    taken: list[Taken] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        match = _ARGUMENT.fullmatch(argument)
        if argument == "--":
            return taken, [*rest, argument, *left]
        if match is None:
            rest.append(argument)
        elif match["off"] is not None:
            taken.append((match["off"], "false"))
        elif match["text"] is not None:
            taken.append((match["field"], match["text"]))
        elif _kind(kinds.get(match["field"], str)) is bool:
            taken.append((match["field"], "true"))
        else:
            taken.append((match["field"], left.pop(0) if left else None))
    return taken, rest


def read(taken: Sequence[Taken], command: str, *, without_file: bool = False) -> Given:
    """The config of these arguments; later ones win.

    Args:
      taken: from `take`.
      command: the whole command line.
      without_file: whether a config without a file will do.

    Raises:
      InputError: no file is named, it cannot be used, a field is unknown, or a value is not of its
        type.
    """
    files = [text for field, text in taken if field is None]
    if not files and not without_file:
        raise InputError("no --config given; try --config demo")
    file = named.config_file(files[-1] or "") if files else Path()
    config = named.config(file) if files else Config()
    kinds = models.fields()
    overrides = {field: _value(field, text, kinds) for field, text in taken if field is not None}
    return Given(named.applied(config, overrides), overrides, file, command)


def _value(field: str, text: str | None, kinds: Mapping[str, Any]) -> Any:
    """The text as the type that the field declares."""
    if field not in kinds:
        raise _unknown(field, kinds)
    if text is None:
        raise InputError(f"--config.{field} has no value; give --config.{field}=VALUE")
    kind = _kind(kinds[field])
    try:
        if typing.get_origin(kind) is tuple:
            parts = text.strip("()[] ").removesuffix(",")
            part = typing.get_args(kind)[0]
            return tuple(part(each) for each in parts.split(",")) if parts else ()
        return _WORDS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        name = getattr(kind, "__name__", str(kind))
        raise InputError(f"config field '{field}' is {text!r}, which is no {name}") from error


def _kind(hint: Any) -> Any:
    """The type of a field, without the None of those whose default the model has."""
    if not isinstance(hint, types.UnionType):
        return hint
    return next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)


def _unknown(field: str, kinds: Mapping[str, Any]) -> InputError:
    inside = [known for known in kinds if known.startswith(f"{field}.")]
    close = inside or difflib.get_close_matches(field, kinds, cutoff=0.5)
    hint = f"did you mean {' or '.join(close[:3])}? " if close else ""
    return InputError(
        f"unknown config field '{field}'; {hint}all fields are in mmssl_jax/config and "
        "mmssl_jax/models"
    )
