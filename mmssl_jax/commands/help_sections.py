"""Help of a command with many options, in sections."""

from collections.abc import Callable
from typing import Any

import click

Function = Callable[..., Any]
Described = tuple[tuple[str, ...], dict[str, Any]]


class Command(click.Command):
    """A command whose help lists the options of a section together, in the order of the first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record:
                section = getattr(parameter, "section", "Options")
                sections.setdefault(section, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class Option(click.Option):
    """An option that knows the section of the help that it is in."""

    def __init__(self, *arguments: Any, section: str, **attributes: Any):
        super().__init__(*arguments, **attributes)
        self.section = section


def section(title: str, *options: Described) -> Callable[[Function], Function]:
    """A decorator that adds options (as `option` describes them) under a title of the help."""

    def decorate(function: Function) -> Function:
        for names, attributes in reversed(options):
            function = click.option(*names, cls=Option, section=title, **attributes)(function)
        return function

    return decorate


def option(*names: str, **attributes: Any) -> Described:
    """An option of a section: what `click.option` takes."""
    return names, attributes
