"""How every command of this project runs and ends."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator

from mmssl_jax.errors import InputError, printable
from mmssl_jax.files import signals


def run(command: Callable[[], None]) -> None:
    """Runs a command: exit code 2 and one line for what the user can mend, 130 for Ctrl-C.

    The text of a KeyboardInterrupt, such as how to go on, is printed as well.
    """
    logging.getLogger("absl").setLevel(logging.ERROR)  # orbax reports every save
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a table must not fail for want of a character
    try:
        with signals.raised():
            command()
            sys.stdout.flush()
    except (InputError, KeyboardInterrupt) as error:
        print(last_words(error), file=sys.stderr)
        sys.exit(code_of(error))
    except BrokenPipeError:  # whoever read the output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def last_words(error: BaseException) -> str:
    """The line with which a command ends."""
    if isinstance(error, KeyboardInterrupt):
        return "; ".join(filter(None, ("interrupted", str(error))))
    return f"error: {printable(' '.join(str(error).splitlines()))}"


def code_of(error: BaseException) -> int:
    """The exit code of a command that ends so."""
    return 130 if isinstance(error, KeyboardInterrupt) else 2


def say(line: str) -> None:
    """Prints a line of what is being done; it may have text of a stranger's files."""
    print(printable(line), file=sys.stderr, flush=True)


def warn(line: str) -> None:
    """`say` for what a user ought to know but need not mend."""
    say(f"warning: {line}")


@contextlib.contextmanager
def goes_on(where: str = "from the last validation") -> Iterator[None]:
    """Around what Ctrl-C may stop: then how to go on is said."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"the same command goes on {where}") from None
