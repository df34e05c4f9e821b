"""The command line `mmssl`: one file a command. click reads flags here, and nowhere else."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from click import shell_completion

from mmssl_jax.commands import running
from mmssl_jax.errors import InputError
from mmssl_jax.files import memory

# Command -> the file here that has it, under its own name, and its line in the group's help.
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("train", "Train a model, or go on with a stopped run."),
    "evaluate": ("evaluate", "Score the best epoch of a run on validation and test."),
    "score": ("score", "Score the lists of any other system by the same rules."),
    "data": ("data", "Make and examine data folders: import, check."),
    "encode": ("encode", "Make item features of texts and images."),
    "augment": ("augment", "Add what a language model says, for LLMRec."),
    "compare": ("compare", "Compare models, or named settings, over seeds."),
    "tune": ("tune", "Search settings on validation."),
    "recommend": ("recommend", "Print the best items of some users."),
    "report": ("report", "Write one page on what runs did: curves, scores, lists."),
    "serve": ("serve", "Answer over HTTP with what a run recommends."),
    "export": ("export", "Write vectors and the lists of all users."),
    "plan": ("plan", "Say what a run would need: memory, bytes sent, time."),
    "ledger": ("ledger", "Write the tables of results in documents anew."),
    "demo": ("demo", "Train on generated data: does it work here?"),
    "doctor": ("doctor", "Print what a bug report needs: versions, devices, runs."),
}

_RENAMED = {"--include-seen": "--exclude-known none"}
_COMPLETE = "_MMSSL_COMPLETE"  # the variable by which a shell asks, as click names it

_EPILOG = """\b
Exit codes:
  0    done
  1    data check: the data has errors
  2    wrong input, such as a flag, a config or a file; one line says which
  130  stopped by Ctrl-C, 143 by a system that ends programs
Completion, in ~/.bashrc (or zsh, fish alike):
  eval "$(_MMSSL_COMPLETE=bash_source mmssl)"
Example:
  mmssl demo
"""


class LazyGroup(click.Group):
    """A group whose commands are loaded when they are called, as each of them imports much."""

    def __init__(self, table: Mapping[str, tuple[str, str]], **attributes: Any):
        super().__init__(**attributes)
        self._table = table
        # What click looks through for a name that is like another, without loading any.
        self.commands = dict.fromkeys(table, click.Command(None))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        module = importlib.import_module(f"{__name__}.{self._table[cmd_name][0]}")
        command: click.Command = module.COMMAND
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # not by loading each
            formatter.write_dl([(name, about) for name, (_, about) in self._table.items()])

    def shell_complete(
        self, ctx: click.Context, incomplete: str
    ) -> list[shell_completion.CompletionItem]:
        found = [name for name in self._table if name.startswith(incomplete)]
        return [shell_completion.CompletionItem(name, help=self._table[name][1]) for name in found]


def call(arguments: Sequence[str]) -> None:
    """Runs `mmssl` with these arguments.

    Raises:
      InputError: for what the user can mend, wrong flags included.
      SystemExit: after --help, and where a command ends with a code of its own.
    """
    memory.require_addresses()
    try:
        with mmssl.make_context("mmssl", list(arguments)) as context:
            mmssl.invoke(context)
    except click.exceptions.Exit as exit_:
        sys.exit(exit_.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.message, file=sys.stderr)
        sys.exit(2)
    except click.ClickException as error:
        raise InputError(_one_line(error)) from error


def _one_line(error: click.ClickException) -> str:
    """What click has to say, and where more is said."""
    if isinstance(error, click.NoSuchOption) and error.option_name in _RENAMED:
        return f"{error.option_name} is {_RENAMED[error.option_name]} now"
    context = getattr(error, "ctx", None)
    path = f"{context.command_path} " if context else ""
    message = error.format_message().rstrip(".")
    joint = " " if message.endswith(("?", ")")) else "; "
    return f"{message}{joint}{path}--help lists what can be given"


def main(arguments: Sequence[str] | None = None) -> None:
    """The program `mmssl`: exit code 0, 2 with one line on stderr, or 130 after Ctrl-C."""
    if instruction := os.environ.get(_COMPLETE):
        sys.exit(shell_completion.shell_complete(mmssl, {}, "mmssl", _COMPLETE, instruction))
    given = sys.argv[1:] if arguments is None else arguments
    running.run(lambda: call(given))


mmssl = LazyGroup(
    COMMANDS,
    name="mmssl",
    help="Multi-modal recommendation in JAX: MMSSL and its baselines.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
