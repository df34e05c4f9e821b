"""The command line `mmssl`: one file a command. click reads flags here, and nowhere else."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from mmssl_jax.commands import running
from mmssl_jax.errors import InputError

# Command -> the file here that has it, under its own name, and its line in the group's help.
COMMANDS: dict[str, tuple[str, str]] = {}


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are called, as each of them imports much."""

    def __init__(self, table: Mapping[str, tuple[str, str]], **attributes: Any):
        super().__init__(**attributes)
        self._table = table
        self.commands = dict.fromkeys(table)  # what click looks through for a name that is like

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module = importlib.import_module(f"{__name__}.{self._table[cmd_name][0]}")
        return module.COMMAND

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # not by loading each
            formatter.write_dl([(name, about) for name, (_, about) in self._table.items()])


def call(arguments: Sequence[str]) -> None:
    """Runs `mmssl` with these arguments.

    Raises:
      InputError: for what the user can mend, wrong flags included.
      SystemExit: after --help, and where a command ends with a code of its own.
    """
    try:
        mmssl.main(list(arguments), prog_name="mmssl", standalone_mode=False)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        path = error.ctx.command_path if getattr(error, "ctx", None) else "mmssl"
        message = error.format_message().rstrip(".")
        raise InputError(f"{message}; {path} --help lists what can be given") from error


def main(arguments: Sequence[str] | None = None) -> None:
    """The program `mmssl`: exit code 0, 2 with one line on stderr, or 130 after Ctrl-C."""
    given = sys.argv[1:] if arguments is None else arguments
    running.run(lambda _: call(given))


mmssl = LazyGroup(
    COMMANDS,
    name="mmssl",
    help="Multi-modal recommendation: MMSSL and its baselines.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
