"""A slice of every campaign, with faults drawn anew each time; and the published table."""

import secrets

import numpy as np
import pytest

from faults import PROMISES, load, table
from faults.tally import Tally

SHARE = 0.01


@pytest.mark.parametrize("promise", PROMISES)
def test_a_slice_of_a_campaign(promise, tmp_path):
    seed = secrets.randbelow(2**31)
    print(f"PYTHONPATH=tests python -m faults {promise} --seed {seed} --share {SHARE}")
    tally = Tally()
    load(promise).campaign(tally, np.random.default_rng(seed), SHARE, tmp_path)
    assert not tally.failures, f"seed {seed}\n" + "\n".join(tally.failures)
    assert all(kind.passed for kind in tally.kinds.values())
    assert tally.kinds or tally.skipped


def test_the_tally_counts_what_raises_as_failed():
    tally = Tally()
    for value in (1, 2, 0):
        with tally.fault("a division", f"by {value}"):
            assert 1 / value
    assert tally.row() == {"a division": {"injected": 3, "passed": 2, "failed": 1}}
    assert tally.failures[0].startswith("a division: by 0: ZeroDivisionError")


def test_the_published_table_is_that_of_the_counts():
    document = table.DOCUMENT.read_text("utf-8")
    assert table.written(document) == document
    assert all(load(promise).PROMISE in " ".join(document.split()) for promise in PROMISES)
