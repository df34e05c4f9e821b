"""How every command of this project runs and ends."""

import argparse
import io
import os
import pathlib
import signal
import sys
import typing
from collections.abc import Callable

from absl import logging

from mmssl_jax.errors import InputError, printable


def run(main: Callable[[list[str]], None], on_interrupt: str = "") -> None:
    """Runs a command: exit code 2 and one line for what the user can mend, 130 for Ctrl-C.

    Args:
      main: takes `sys.argv`.
      on_interrupt: what Ctrl-C adds to the line it prints, such as how to go on.
    """
    logging.set_verbosity(logging.ERROR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a table must not fail for want of a character
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that files are closed
    try:
        main(sys.argv)
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {printable(' '.join(str(error).splitlines()))}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        print("interrupted" + (f"; {on_interrupt}" if on_interrupt else ""), file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


class Parser(argparse.ArgumentParser):
    """A parser of arguments that refuses in one line."""

    def error(self, message: str) -> typing.NoReturn:
        raise InputError(f"{message}; {self.prog} --help lists what can be given")


def path(text: str) -> pathlib.Path:
    """The `type` of an argument that is a path, with ~ for a home."""
    try:
        found = pathlib.Path(text).expanduser()
        found.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, no such home, a null byte
        raise argparse.ArgumentTypeError(f"{text[:60]!a} is no usable path") from error
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text[:60]!a} is no usable path")
    return found
