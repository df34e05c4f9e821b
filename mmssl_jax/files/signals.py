"""Ctrl-C and the system's request to end, held back while something must not be cut in two."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_MOMENT = 0.05  # seconds


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Around what must not be stopped halfway: a signal takes effect at its end.

    Outside the main thread, which alone gets signals, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    before = {number: signal.signal(number, wait) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])


@contextlib.contextmanager
def noted(number: int) -> Iterator[threading.Event]:
    """Around what ends by itself, at a place of its own choice, once a signal has set the event.

    Outside the main thread, which alone gets signals, none comes.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(_: int, frame: FrameType | None) -> None:
        asked.set()

    before = signal.signal(number, note)
    try:
        yield asked
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Around a command: Ctrl-C raises KeyboardInterrupt, SIGTERM SystemExit, so files are closed.

    Python swallows what is raised in `__del__`, in callbacks of weak references, and in what its
    garbage collector calls; from there the signal comes again a moment later. An ignored Ctrl-C
    stays ignored.
    """
    errors: dict[int, BaseException] = {signal.SIGTERM: SystemExit(143)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        errors[signal.SIGINT] = KeyboardInterrupt()

    def end(number: int, frame: FrameType | None) -> None:
        raise errors[number].with_traceback(None)

    def swallowed(report: "sys.UnraisableHookArgs") -> None:
        number = next((one for one, error in errors.items() if error is report.exc_value), None)
        if number is None:
            reported(report)
        else:
            again = threading.Timer(_MOMENT, _to_main_thread, (number,))
            again.daemon = True
            again.start()

    before = {number: signal.signal(number, end) for number in errors}
    reported, sys.unraisablehook = sys.unraisablehook, swallowed
    try:
        yield
    finally:
        sys.unraisablehook = reported
        for number, handler in before.items():
            signal.signal(number, handler)


def _to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)
