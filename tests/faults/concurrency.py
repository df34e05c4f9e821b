"""Two at once: commands on one folder, readers beside a writer, locks that nobody holds."""

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from faults.bench import Bench, lacking
from faults.disk import check_end
from faults.tally import Tally
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, new_folder
from mmssl_jax.runs import listing
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session

PROMISE = (
    "Of two commands that write the same folder at once, one writes and the other waits or is "
    "refused in one line; a reader beside a writer finds a whole state; and a lock that no living "
    "process holds stops nobody."
)
SAME, READER, STALE = "two that write one folder", "a reader beside a writer", "a lock of the dead"
COUNTS = {SAME: 60, READER: 5, STALE: 300}
PAIRS = (
    *(("train", "train"), ("import", "import"), ("encode", "encode"), ("replace", "replace")),
    *(("export", "export"), ("compare", "compare"), ("compare", "beside"), ("tune", "tune")),
    *(("more", "export"), ("more", "more")),
)
FIRST = 3  # of the pairs, for a small share
_NONE_YET = ("holds no checkpoint yet", "holds no run")


class Pair(NamedTuple):
    """Two commands, and how much later the second one starts."""

    one: str
    other: str
    later: float  # share of the time that the first one takes
    folder: Path


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Lets commands and readers meet at random moments."""
    _stale(tally, rng, max(1, round(COUNTS[STALE] * share)), folder / "stale")
    if problem := lacking():
        tally.skip(SAME, problem)
        return
    pairs = PAIRS if share > 0.05 else PAIRS[:FIRST]
    count = max(1, round(COUNTS[SAME] * share))
    planned = [
        Pair(*pairs[number % len(pairs)], float(rng.uniform(0, 0.9)), folder / f"pair-{number}")
        for number in rng.permutation(count)
    ]
    writer = "long" if share > 0.05 else "train"
    names = {name for pair in planned for name in (pair.one, pair.other)} | {writer}
    with Bench.open(folder, names) as bench:
        for pair in planned:
            with tally.fault(SAME, f"{pair.one}, and after {pair.later:.2f} of it {pair.other}"):
                _meet(bench, pair)
        for number in range(max(1, round(COUNTS[READER] * share))):
            _read(tally, bench, writer, folder / f"read-{number}")


def _meet(bench: Bench, pair: Pair) -> None:
    """Starts both, looks at how they end, and gives both again."""
    bench.prepare(pair.one, pair.folder)
    later = pair.later * bench.whole(pair.one).outcome.seconds
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(bench.run, pair.one, pair.folder, after=120.0)
        time.sleep(later)
        second = bench.run(pair.other, pair.folder, after=120.0)
    outcomes = (first.result(), second)
    for outcome in outcomes:
        check_end(outcome, may_end=True)
    assert any(outcome.code == 0 for outcome in outcomes), outcomes
    for name in {pair.one, pair.other} - {"export" if pair.one == "more" else ""}:
        bench.finish(name, pair.folder)
    shutil.rmtree(pair.folder)


def _read(tally: Tally, bench: Bench, writer: str, folder: Path) -> None:
    """Reads a run again and again while it is trained."""
    bench.prepare(writer, folder)
    run, path = RunFolder(folder / "run"), str(folder / "data")
    ended, states = threading.Event(), {}

    def train() -> Any:
        try:
            return bench.run(writer, folder)
        finally:
            ended.set()

    found = 0
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(train)
        while not ended.is_set():
            if not found and not run.checkpoints.exists():
                time.sleep(0.01)  # nothing to read yet
                continue
            with tally.fault(READER, f"after {found} reads"):
                found += bool(_best(run, path, states, found))
    assert training.result().code == 0, training.result().said
    assert found, "nothing was read while it was trained"
    with tally.fault(READER, "at the end"):
        bench.finish(writer, folder)


def _best(run: RunFolder, path: str, states: dict[int, bytes], found: int) -> int:
    """The best epoch of a run that is being trained, 0 for none yet; raises for a half state."""
    problems = [each["problem"] for each in listing.runs(run.folder)]
    assert not any(problems), problems
    try:
        config, dataset = session.open_run(run, path=path)
        trained = session.best_of_run(config, dataset, run)
    except InputError as error:
        if found or not any(said in str(error) for said in _NONE_YET):
            raise
        return 0
    leaves = jax.tree.leaves(trained.state)
    state = b"".join(np.asarray(leaf).tobytes() for leaf in leaves)
    assert states.setdefault(trained.epoch, state) == state, "another state of the same epoch"
    assert run.read_metrics(trained.epoch)[-1]["epoch"] == trained.epoch
    return trained.epoch


def _stale(tally: Tally, rng: np.random.Generator, count: int, folder: Path) -> None:
    """Leaves what a process that died, here or on another host, leaves; then takes the folder."""
    for number in range(count):
        here = folder / str(number)
        here.mkdir(parents=True)
        content = rng.choice(["", "4242\n", '{"host": "elsewhere", "pid": 1}', "\0" * 512])
        with tally.fault(STALE, f"with {content[:20]!r} in it"):
            run, target = here / "run", here / "target"
            run.mkdir()
            (run / "lock").write_text(content)
            if rng.random() < 0.3:
                (run / "lock").chmod(0o444)
            with atomic.locked(run, "training"):
                pass
            left = here / f".target.{int(rng.integers(16**8)):08x}.partial"
            left.mkdir()
            (left / "train.json").write_text(content)
            left.with_name(f"{left.name}.lock").write_text(content)
            with new_folder.new_folder(target) as partial:
                (partial / "file").write_text("whole")
            assert (target / "file").read_text() == "whole"
            assert not left.exists()
        shutil.rmtree(here)
