"""What must not be cut in two: a signal waits for its end."""

import signal
import threading

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
