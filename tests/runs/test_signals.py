"""What must not be cut in two: a signal waits for its end."""

import gc
import signal
import threading
import time

import pytest

from mmssl_jax.files import signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_effect_at_the_end(number):
    done, got = [], []
    before = signal.signal(number, lambda *_: got.append(number))
    try:
        with signals.held_back():
            signal.raise_signal(number)
            assert not got
            done.append(True)
        assert done
        assert got == [number]
        signal.raise_signal(number)
        assert got == [number] * 2  # the handler is back
    finally:
        signal.signal(number, before)


def test_ctrl_c_is_raised_after_the_block():
    finished = []

    def save():
        with signals.held_back():
            signal.raise_signal(signal.SIGINT)
            finished.append(True)

    # A shell that starts the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            save()
    finally:
        signal.signal(signal.SIGINT, before)
    assert finished


def test_other_threads_are_left_alone():
    results = []

    def work():
        with signals.held_back():
            results.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [signal.getsignal(signal.SIGINT)]


class _Ended:
    """Sends the signal from where Python only reports what is raised."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
@pytest.mark.parametrize("where", ["del", "collector", "plain"])
def test_a_signal_is_never_swallowed(number, error, where):
    def callback(phase, _):
        if phase == "start":
            signal.raise_signal(number)

    def send():
        with signals.raised():
            if where == "del":
                _Ended(number)
            elif where == "collector":
                gc.callbacks.append(callback)
                gc.collect()
                gc.callbacks.remove(callback)
            else:
                signal.raise_signal(number)
            time.sleep(5)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    try:
        with pytest.raises(error):
            send()
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 3
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_an_ignored_ctrl_c_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals.raised():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
