"""What is wrong with the flags of a command line, in one line each."""

import difflib
import functools
import pathlib
import re
import traceback
import typing

from absl import flags

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError

_RENAMED = {"include-seen": "--exclude-known none"}


def check_fields(argv: list[str]) -> None:
    """Raises InputError for an override of a field that does not exist."""
    fields = configs.flatten(Config())
    for argument in argv[1:]:
        match = re.match(r"--?(no)?config\.(?P<path>[^=]*)", argument)
        if match and match["path"] not in fields:
            path = match["path"]
            inside = [field for field in fields if field.startswith(f"{path}.")]
            close = inside or difflib.get_close_matches(path, fields, cutoff=0.5)
            hint = f"did you mean {' or '.join(close[:3])}? " if close else ""
            raise InputError(
                f"unknown config field '{path}'; {hint}all fields are in mmssl_jax/config.py"
            )


def check_renamed(argv: list[str]) -> None:
    """Raises InputError for a flag that has another name now."""
    for argument in argv[1:]:
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") and name in _RENAMED:
            raise InputError(f"--{name} is {_RENAMED[name]} now")


def one_line(error: BaseException, file: str) -> str:
    """What absl, ml_collections or a config file raised, as one line."""
    while "whilst parsing config file" in str(error) and error.__context__:
        error = error.__context__  # what the config file raised, below what they made of it
    if isinstance(error, InputError):
        return str(error)
    text = " ".join(str(error).split())
    if isinstance(error, flags.IllegalFlagValueError):
        flag = re.match(r"flag --config\.(?P<path>[^=]*)=(?P<value>.*?): ", text)
        if flag:
            declared = _type_of(flag["path"])
            return f"config field '{flag['path']}' is {flag['value']!r}, which is no {declared}"
    if isinstance(error, flags.Error):
        return f"{text}; --help lists the flags"
    if isinstance(error, SyntaxError):
        return f"config file {error.filename}, line {error.lineno}: {error.msg}"
    if isinstance(error, AttributeError) and "'get_config'" in text:
        return f"config file {file}: has no get_config(); see configs/demo.py"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if pathlib.Path(frame.filename).resolve() == pathlib.Path(file).resolve()
    ]
    where = f", line {lines[-1]}" if lines else ""
    return f"config file {file}{where}: {type(error).__name__}: {text}"


def _type_of(path: str) -> str:
    """The type that a field of the config declares, as text."""
    *sections, name = path.split(".")
    section = functools.reduce(getattr, sections, Config())
    kind = typing.get_type_hints(type(section))[name]
    return getattr(kind, "__name__", str(kind)).removesuffix(" | None")
