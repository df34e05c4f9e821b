"""Ctrl-C and the system's request to end, held back while something must not be cut in two."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


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
