"""The flags of a command that several processes run as one, and how these begin and end."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import click
import jax

from mmssl_jax.commands import flags, running
from mmssl_jax.errors import InputError
from mmssl_jax.runs import processes

GOES_ON = "the same command goes on from the last checkpoint, on as many processes as it is given"
_TOGETHER = 3  # seconds in which processes fail that fail for the same reason
_ALONE = processes.ANSWER + processes.CALL + 2  # after which the others have noticed

Flags = dict[str, Any]


def options(function: Callable[..., None]) -> Callable[..., None]:
    """The flags; the function gets what `together` takes."""
    add = (
        click.option(
            "--distributed",
            is_flag=True,
            help="Be one of several processes, found under SLURM, Open MPI or Kubernetes, else by:",
        ),
        click.option("--coordinator", type=flags.TEXT, metavar="HOST:PORT", help="of process 0,"),
        click.option(
            "--processes",
            "count",
            type=flags.Number(1, 2**20),
            metavar="N",
            help="how many there are,",
        ),
        click.option(
            "--process", type=flags.Number(0, 2**20), metavar="I", help="and which this is, from 0."
        ),
    )
    for each in reversed(add):
        function = each(function)
    return function


@contextlib.contextmanager
def together(
    distributed: bool, coordinator: str | None, count: int | None, process: int | None
) -> Iterator[Callable[[], None]]:
    """Around what several processes do as one, if `distributed`; the first alone prints.

    If one fails or is lost, all end, each with a line. It gives a function to be called whenever a
    part of the work is done, so that work that stands still is noticed.
    """
    given = {"coordinator": coordinator, "processes": count, "process": process}
    if not distributed:
        if named := [name for name, value in given.items() if value is not None]:
            raise InputError(f"--{named[0]} is for --distributed; give that too")
        yield lambda: None
        return
    processes.join(coordinator, count, process)
    with contextlib.ExitStack() as stack:
        words = sys.stderr
        own = os.devnull if not processes.is_first() else os.dup(1)
        out = stack.enter_context(open(own, "w", encoding=sys.stdout.encoding, errors="replace"))
        stack.enter_context(contextlib.redirect_stdout(out))
        os.dup2(2 if processes.is_first() else out.fileno(), 1)  # where gloo writes of itself
        if not processes.is_first():
            stack.enter_context(contextlib.redirect_stderr(out))

        def end(line: str, code: int = 2, wait: float = _TOGETHER) -> None:
            print(line, file=words, flush=True)
            if processes.is_first():  # jax's others end in many lines without the first
                time.sleep(wait)
            os._exit(code)

        with processes.Roll(lambda reason: end(_lost(reason))) as roll:
            try:
                yield roll.moved
                processes.wait("end")
            except BaseException as error:
                _fail(error, end)


def _lost(reason: str) -> str:
    return f"error: process {jax.process_index()}: {reason}; {GOES_ON}"


def _fail(error: BaseException, end: Callable[[str, int, float], None]) -> None:
    """Ends this process by an error; the first waits for the others to notice, if it is alone."""
    known = isinstance(error, InputError | KeyboardInterrupt)
    if not known or isinstance(error.__cause__, jax.errors.JaxRuntimeError):
        time.sleep(_ALONE)  # what a lost process breaks is of many kinds; the roll says what it is
    shared = processes.meet("failed", _TOGETHER)
    code = running.code_of(error) if known else 1
    if shared and not processes.is_first():
        os._exit(code)
    line = running.last_words(error) if known else "".join(traceback.format_exception(error))
    end(
        line if shared else f"{line} (process {jax.process_index()})", code, 0 if shared else _ALONE
    )
