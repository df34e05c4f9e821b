"""What reading checkpoints leaves behind in the process."""

import sys
from types import SimpleNamespace

from mmssl_jax.runs import checkpoints


def test_reports_are_filtered_once_however_many_checkpoints_are_read(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    hooks = set()
    for _ in range(5):
        with checkpoints._abandoned_reads_unreported():
            sys.unraisablehook("while reading")
        hooks.add(sys.unraisablehook)
    assert len(hooks) == 1  # not one within the other
    sys.unraisablehook(SimpleNamespace(exc_value=RuntimeError("Event loop is closed")))
    other = SimpleNamespace(exc_value=ValueError("something else"))
    sys.unraisablehook(other)
    assert seen == [other]
