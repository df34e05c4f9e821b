"""How every command of this project runs and ends."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator

from mmssl_jax.errors import InputError, printable
from mmssl_jax.files import memory, signals

_MORE_MEMORY = "give it more, or see 'Too little memory?' in docs/commands.md"


def run(command: Callable[[], None]) -> None:
    """Runs a command: exit code 2 and one line for what the user can mend, 130 for Ctrl-C.

    What a disk refuses, where no code expects it, is such a line too.

    The text of a KeyboardInterrupt, such as how to go on, is printed as well.
    """
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax reports every save, and damage
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
    except Exception as error:
        if not (memory.ran_out(error) or isinstance(error, OSError)):
            raise
        print(last_words(error), file=sys.stderr)
        sys.exit(code_of(error))


def _of_the_disk(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or type(error).__name__
    return (
        f"{where}cannot be read or written ({reason}); once the disk can be used, give the same "
        "command again"
    )


def last_words(error: BaseException) -> str:
    """The line with which a command ends."""
    if isinstance(error, KeyboardInterrupt):
        return "; ".join(filter(None, ("interrupted", str(error))))
    if not isinstance(error, InputError) and memory.ran_out(error):
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        return f"error: there is not enough memory ({printable(reason)}); {_MORE_MEMORY}"
    said = _of_the_disk(error) if isinstance(error, OSError) else str(error)
    return f"error: {printable(' '.join(said.splitlines()))}"


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
