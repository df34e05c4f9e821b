"""What the flags of several commands share: the kinds of their values, and the config's own."""

import math
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from mmssl_jax import models
from mmssl_jax.commands import config_arguments, running
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.config import named
from mmssl_jax.errors import InputError
from mmssl_jax.runs import provenance
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import compilation_cache, session
from mmssl_jax.training.session import Trained

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class _Path(click.ParamType[pathlib.Path]):
    """A path, with ~ for a home."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> pathlib.Path:
        if value == "":
            raise InputError(f"{_flag(param)} is empty; give a path, or leave the flag out")
        try:
            return pathlib.Path(value).expanduser()
        except RuntimeError as error:  # no such home
            raise InputError(f"{_flag(param)} {value}: {error}; give another") from error

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class _Text(click.ParamType[str]):
    """Text that is not empty."""

    name = "text"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if value == "":
            raise InputError(f"{_flag(param)} is empty; give a value, or leave the flag out")
        return str(value)


class _Names(click.ParamType[list[str]]):
    """Names with commas between."""

    name = "names"

    def convert(self, value: Any, param: Any, ctx: Any) -> list[str]:
        return [name.strip() for name in TEXT.convert(value, param, ctx).split(",")]


class _ShippedFile(_Text):
    """A file of Python, or the name of one that ships with the package."""

    name = "file"

    def __init__(self, names: Sequence[str]):
        self.names = names

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        found = [CompletionItem(name) for name in self.names if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


class Number(click.ParamType[int]):
    """A whole number, from `first` to `last` where they are given."""

    name = "number"

    def __init__(self, first: int | None = None, last: int | None = None):
        self._bounds = "" if first is None else f" from {first} to {last}"
        self._first = -math.inf if first is None else first
        self._last = math.inf if last is None else last

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        text = str(value)  # a default is a number already
        if re.fullmatch("-?[0-9]{1,18}", text) and self._first <= int(text) <= self._last:
            return int(text)
        raise InputError(f"{_flag(param)} is {text!r}; it must be a number{self._bounds}")


class Choice(click.Choice[str]):
    """One of a few words."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        if value not in self.choices:
            known = ", ".join(self.choices)
            raise InputError(f"{_flag(param)} is {value!r}; it must be one of {known}")
        return str(value)


def _flag(param: click.Parameter) -> str:
    return param.opts[-1]


PATH, TEXT, NAMES = _Path(), _Text(), _Names()
CONFIG, SETTINGS = _ShippedFile(list(named.shipped())), _ShippedFile(list(named.shipped("studies")))


class ConfigCommand(click.Command):
    """A command with a config; its function gets `given`, what --config and its fields say.

    `default` is the config where none is named; without it, one must be, unless `without_file`,
    where the defaults of the fields then hold.
    """

    def __init__(
        self,
        *args: Any,
        default: str | None = None,
        without_file: bool = False,
        **attributes: Any,
    ):
        super().__init__(*args, **attributes)
        self.context_settings["allow_extra_args"] = True  # refused below, in words of ours
        self._default, self._without_file = default, without_file

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        command = provenance.command(ctx.command_path, args)
        taken, others = config_arguments.take(args, models.fields())
        rest = super().parse_args(ctx, others)
        if ctx.resilient_parsing:  # an unfinished line, which the shell completes
            return rest
        if rest:
            raise InputError(f"unexpected argument '{rest[0]}'; flags start with --")
        default = [] if self._default is None else [(None, self._default)]
        ctx.params["given"] = config_arguments.read(
            [*default, *taken], command, without_file=self._without_file
        )
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        compilation_cache.use()  # here: a notebook's settings of jax are its own
        return super().invoke(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if not incomplete.startswith("--config."):
            return super().shell_complete(ctx, incomplete)
        fields = [f"--config.{field}=" for field in models.fields()]
        return [CompletionItem(field) for field in fields if field.startswith(incomplete)]


def config(
    workdir: str, fields: str = "such as --config.train.epochs=5; later ones win"
) -> Decorator:
    """The flags of a `ConfigCommand` that has a folder.

    Args:
      workdir: the default of --workdir, in words.
      fields: which fields can be set, in words.
    """
    folder = click.option(
        "--workdir", type=PATH, metavar="DIR", help=f"The folder (default: {workdir})."
    )
    return _all((config_fields(fields), folder))


def config_fields(fields: str) -> Decorator:
    """The flags of the config itself; `fields` says which can be set, in words."""
    options = (
        # For --help and the shell alone: ConfigCommand takes these two before click reads.
        click.option(
            "--config",
            "config_file",
            type=CONFIG,
            metavar="FILE|NAME",
            expose_value=False,
            help="A config file, or a name: " + ", ".join(CONFIG.names) + ".",
        ),
        click.option(
            "--config.FIELD",
            "config_field",
            metavar="VALUE",
            expose_value=False,
            help=f"Sets a field of the config, {fields}.",
        ),
    )
    return _all(options)


def seeds(default: int, runs: str) -> Decorator:
    """The flag --seeds of a study; `runs` says of what they are."""
    return click.option(
        "--seeds",
        type=Number(1, 1000),
        default=default,
        metavar="N",
        help=f"{runs}: train.seed, train.seed + 1, ... (default: {default}).",
    )


def known_items() -> Decorator:
    """The flag --exclude-known of what recommends."""
    return click.option(
        "--exclude-known",
        type=Choice(("all", "train", "none")),
        metavar="RULE",
        help="What a list leaves out: all, a user's items of train, val and test (the default); "
        "train, those of training alone; or none (the default where pairs return).",
    )


def _all(decorators: Sequence[Decorator]) -> Decorator:
    """The decorators as one, the first of them on top."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for each in reversed(decorators):
            function = each(function)
        return function

    return decorate


def data_path(given: Given, command: str) -> str | None:
    """The data.path of a command line whose command takes a run's own config.

    Raises:
      InputError: another field is given.
    """
    if others := given.overrides.keys() - {"data.path"}:
        raise InputError(
            f"--config.{min(others)} cannot be given to {command}, which takes the run's own "
            "config; only --config.data.path can"
        )
    return given.overrides.get("data.path")


def run_of(given: Given, workdir: pathlib.Path | None) -> RunFolder:
    """The folder of a run: of --workdir, else of the config's name."""
    return RunFolder(workdir or pathlib.Path("runs") / given.name)


def trained(given: Given, workdir: pathlib.Path | None, command: str) -> Trained:
    """The run that a command is to use: of --workdir, else of the config's name."""
    run = run_of(given, workdir)
    path = data_path(given, command)
    config, dataset = session.open_run(run, path=path, warn=running.warn)
    return session.best_of_run(config, dataset, run)
