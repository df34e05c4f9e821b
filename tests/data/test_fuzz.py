"""Thousands of damaged and hostile files: every reader refuses them in one line, or reads them."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import fuzzing
import numpy as np
import pytest

TESTS = Path(__file__).parent
TARGETS = 76  # files, each of which gets as many inputs
AT_A_TIME = 5000  # inputs of a process: the fragments of its memory add up


def child(folder: Path, *arguments) -> dict:
    """Runs Python in a process of its own, as memory limits and watches last for a process."""
    paths = [str(TESTS), str(TESTS.parent), str(TESTS.parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    progress = [path.read_text() for path in folder.glob("progress")]
    assert done.returncode == 0, f"died at {progress}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def fuzz(folder: Path, seed: int, count: int) -> None:
    tally: Counter[str] = Counter()
    for first in range(0, count, AT_A_TIME):
        part = min(AT_A_TIME, count - first)
        report = child(folder, TESTS / "fuzzing.py", folder, seed, part, first)
        assert report["failures"] == []
        tally.update(report["tally"])
    assert sum(tally.values()) == count
    assert len({name.rpartition(": ")[0] for name in tally}) == TARGETS
    read = sum(number for name, number in tally.items() if name.endswith(": read"))
    assert 0.1 < read / count < 0.5  # neither harmless, nor refused before anything is looked at


def test_two_thousand_inputs(tmp_path):
    fuzz(tmp_path, seed=0, count=2000)


@pytest.mark.slow
def test_twenty_thousand_inputs(tmp_path):
    fuzz(tmp_path, seed=1, count=20_000)


def test_inputs_are_the_same_every_time(tmp_path):
    good = [b'{"0": [1, 2]}', b"a\tb\n1\t2\n", bytes(range(200))]

    def inputs():
        fuzzing.hostile.cache_clear()
        names = ["x/train.json", "x.inter", "trnMat.pkl"]
        return [
            fuzzing.spoil(np.random.default_rng([5, n]), names[n % 3], good[n % 3], good, tmp_path)
            for n in range(300)
        ]

    first = inputs()
    assert inputs() == first
    assert len(set(first)) > 200


WRONG = {
    "a command": "os.system('true')",
    "an unpickled object": "pickle.loads(pickle.dumps(os.getcwd))",
    "evaluated text": "eval('1')",
    "a written file": "(folder / 'new').write_text('')",
    "a removed file": "(folder / 'old').unlink()",
    "the canary": "canary.touch()",
    "a lot of memory": "bytearray(1 << 30)",
    "a lot of time": "time.sleep(60)",
    "another exception": "{}[0]",
    "a warning": "warnings.warn('x')",
    "two lines": "raise InputError('a\\nb')",
    "a control character": "raise InputError('\\x1b')",
}
CONTROL = """
import functools, json, os, pickle, sys, time, warnings
from pathlib import Path

import fuzzing
from mmssl_jax.errors import InputError

folder = Path(sys.argv[1])
canary = folder / "canary"
fuzzing.SECONDS = 1
acts = {name: compile(text, "act.py", "exec") for name, text in json.loads(sys.argv[2]).items()}
watch = fuzzing.guard()
outcomes = {}
for name, act in acts.items():
    target = fuzzing.Target(folder, functools.partial(exec, act, globals()))
    outcomes[name] = fuzzing.one(target, watch, canary)
print(json.dumps(outcomes))
"""


def test_the_watch_sees_what_it_must(tmp_path):
    (tmp_path / "old").touch()
    outcomes = child(tmp_path, "-c", CONTROL, tmp_path, json.dumps(WRONG))
    assert outcomes.keys() == WRONG.keys()
    assert not {"read", "refused"} & set(outcomes.values()), outcomes
    fine = {"memory": "bytearray(1 << 20)", "a line": "raise InputError('x')"}
    outcomes = child(tmp_path, "-c", CONTROL, tmp_path, json.dumps(fine))
    assert outcomes == {"memory": "read", "a line": "refused"}
