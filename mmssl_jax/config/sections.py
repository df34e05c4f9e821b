"""Sections of settings: dataclasses whose fields have a range, and refuse what they do not have."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from mmssl_jax.errors import InputError, printable


class Rule(typing.NamedTuple):
    """What a value must be, and whether it is."""

    words: str  # what follows 'it must be'
    holds: Callable[[Any], bool]


POSITIVE = Rule("greater than 0", lambda value: value > 0)
NOT_NEGATIVE = Rule("0 or greater", lambda value: value >= 0)
FRACTION = Rule("at least 0 and less than 1", lambda value: 0 <= value < 1)
ALL_POSITIVE = Rule("positive numbers", lambda values: bool(values) and min(values) > 0)
POSITIVE_OR_OFF = Rule(
    "positive numbers, or 0 alone", lambda values: ALL_POSITIVE.holds(values) or values == (0,)
)
SEED = Rule("less than 2**32", lambda value: value < 2**32)  # what a random key takes

_FINITE = Rule("a finite number", lambda value: abs(value) < float("inf"))
_ALL_FINITE = Rule("finite numbers", lambda values: all(map(_FINITE.holds, values)))
_SHOWN = 200  # characters of a value or a path in a message
_INT32 = Rule("less than 2**31", lambda value: value < 2**31)


def one_of(*choices: str) -> Rule:
    """The rule of a field with a few values."""
    return Rule(f"one of {', '.join(choices)}", lambda value: value in choices)


def setting(default: Any, *rules: Rule) -> Any:
    """A field with a default and what its value must be.

    A default of None is left to the model: the field has its declared type once it is resolved.
    """
    return dataclasses.field(default=default, metadata={"rules": rules})


# Of a class of settings: compared and hashed by value.
section = dataclasses.dataclass(unsafe_hash=True)


class Section:
    """A dataclass that refuses fields it does not have, and any change once it is frozen."""

    __dataclass_fields__: typing.ClassVar[dict[str, dataclasses.Field[Any]]]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dataclass_fields__:
            raise AttributeError(f"unknown config field '{name}' in {type(self).__name__}")
        if self.__dict__.get("_frozen", False):
            raise dataclasses.FrozenInstanceError(f"cannot change '{name}': the config is frozen")
        object.__setattr__(self, name, value)

    def freeze(self) -> None:
        """Refuses every change from now on."""
        object.__setattr__(self, "_frozen", True)


def values_of(of: Section) -> dict[str, Any]:
    """Field -> value, in the order of definition."""
    return {field.name: getattr(of, field.name) for field in dataclasses.fields(of)}


def filled(kind: type[Section], values: Mapping[str, Any], path: str) -> Section:
    """A section with these values, each as the type that its field declares.

    Args:
      kind: of the section.
      values: field -> value.
      path: of the section in the config, for messages.

    Raises:
      InputError: an unknown field, or a value of the wrong type.
    """
    result, hints = kind(), typing.get_type_hints(kind)
    for name, value in values.items():
        if name not in kind.__dataclass_fields__:
            raise unknown(f"{path}.{name}")
        if value is not None or kind.__dataclass_fields__[name].default is not None:
            value = typed(f"{path}.{name}", value, hints[name])
        setattr(result, name, value)
    return result


def unknown(path: str) -> InputError:
    """The error of a field that does not exist."""
    return InputError(
        f"unknown config field '{printable(path)[:_SHOWN]}'; mmssl_jax/config has the shared "
        "fields, and the file of each model in mmssl_jax/models its own"
    )


def check(of: Section, path: str, *, complete: bool = True) -> None:
    """Raises InputError for the first value that breaks a rule of its field.

    Args:
      of: the section.
      path: of the section in the config, for messages.
      complete: whether a value of None, which a model was to fill in, is an error as well.
    """
    for field in dataclasses.fields(of):
        value = getattr(of, field.name)
        if isinstance(value, Section) or field.name.startswith("_"):
            continue
        where = f"{path}.{field.name}" if path else field.name
        if value is None:
            if complete and "optional" not in field.metadata:
                raise InputError(
                    f"config field '{where}' is None; it must be set, as the model has no default "
                    "for it"
                )
            continue
        rules = field.metadata.get("rules", ())
        if isinstance(value, float):
            rules = (_FINITE, *rules)
        if isinstance(value, tuple):
            rules = (_ALL_FINITE, *rules)
        if isinstance(value, int) and SEED not in rules:
            rules = (*rules, _INT32)
        for rule in rules:
            if not rule.holds(value):
                raise InputError(
                    f"config field '{where}' is {_shown(value)}; it must be {rule.words}"
                )


def typed(path: str, value: Any, hint: Any) -> Any:
    """The value as the type its field declares; ints serve as floats, lists as tuples."""
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        if isinstance(value, list | tuple):
            return tuple(typed(path, part, typing.get_args(hint)[0]) for part in value)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    name = getattr(hint, "__name__", str(hint))
    raise InputError(f"config field '{path}' is {_shown(value)}, which is not of type {name}")


def _shown(value: Any) -> str:
    """A value in a message; of a long one its start."""
    try:
        text = repr(value)
    except ValueError:  # a number of very many digits
        text = f"a number of {value.bit_length()} bits"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
