"""How every command of this project runs and ends."""

import io
import signal
import sys
from collections.abc import Callable

from absl import logging

from mmssl_jax.errors import InputError


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
    except InputError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted" + (f"; {on_interrupt}" if on_interrupt else ""), file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


def printable(text: str) -> str:
    """Text of a stranger's files, without what steers a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
