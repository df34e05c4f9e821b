"""Kill -9 at random moments of commands; the same command then ends as if nothing had been."""

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from faults.bench import ALONE, ONCE, QUICK, Bench, lacking
from faults.tally import Tally

PROMISE = (
    "A command that is killed at any moment, alone or with all its processes, and given again ends "
    "with the same results, bit for bit, as one that was not."
)
KILLS, MOST_IN_A_ROW, ATTEMPTS = 120, 4, 20
CLOCK, CALL, GROUP = KINDS = ("by the clock", "at a call on a file", "of a process group")
LATE = 0.03  # seconds, at most, that a command goes on after a call


class Series(NamedTuple):
    """Kills of one command, one after the other, and then its end."""

    errand: str
    kinds: Sequence[str]
    seed: int
    folder: Path


class Killed(NamedTuple):
    """What came of a series: the kind and the moment of each kill, and what was wrong at last."""

    kills: list[tuple[str, str]]
    wrong: Exception | None


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Kills commands in forks of warm processes, and lets each end."""
    if problem := lacking():
        tally.skip("kill", problem)
        return
    planned = _planned(max(len(KINDS), round(KILLS * share)), rng, folder)
    with Bench.open(folder, {series.errand for series in planned}) as bench:
        killed = bench.map(lambda series: _killed(bench, series), planned)
        for series, found in zip(planned, killed, strict=True):
            for kind, what in found.kills:
                with tally.fault(kind, f"{series.errand}, {what}"):
                    if found.wrong is not None:
                        raise found.wrong


def _planned(count: int, rng: np.random.Generator, folder: Path) -> list[Series]:
    """So many kills, of each kind equally many, in series of one command each."""
    kinds = [KINDS[place % len(KINDS)] for place in range(count)]
    names, longest = list(ALONE), MOST_IN_A_ROW
    if count == len(KINDS):  # each kind, and little else
        names, longest = list(rng.permutation(QUICK)), 1
    rng.shuffle(kinds)
    planned: list[Series] = []
    while kinds:
        length, number = int(rng.integers(1, longest + 1)), len(planned)
        seed, errand = int(rng.integers(2**31)), str(names[number % len(names)])
        planned.append(Series(errand, kinds[:length], seed, folder / f"killed-{number}"))
        del kinds[:length]
    return planned


def _killed(bench: Bench, series: Series) -> Killed:
    """Kills a command as a series says, and compares its end with that of an undisturbed one."""
    rng, kills = np.random.default_rng(series.seed), []
    wrong: Exception | None = None
    try:
        bench.prepare(series.errand, series.folder)
        for kind in series.kinds:
            kills.append((kind, _kill(bench, kind, series, rng)))
        bench.finish(series.errand, series.folder)
    except Exception as error:
        wrong = error
    shutil.rmtree(series.folder)
    return Killed(kills or [(series.kinds[0], "not killed")], wrong)


def _kill(bench: Bench, kind: str, series: Series, rng: np.random.Generator) -> str:
    """Lets a command run until it is killed; when, in words. One that ends first begins anew."""
    name, usual = series.errand, bench.whole(series.errand).outcome
    for _ in range(ATTEMPTS):
        moment: dict[str, Any] = {"group": kind == GROUP}
        if kind == CLOCK or (kind == GROUP and rng.random() < 0.5):
            moment["after"] = float(rng.uniform(0, usual.seconds))
        else:
            moment["call"] = int(rng.integers(1, usual.calls + 1))
            moment["late"] = float(rng.choice([0, rng.uniform(0, LATE)]))
        outcome = bench.run(name, series.folder, **moment)
        if outcome.code == -signal.SIGKILL:
            assert not outcome.left, "a process of the group lives on"
            return str(moment)
        assert outcome.code == 0 or (name in ONCE and outcome.code == 2), outcome
        bench.prepare(name, series.folder)
    raise AssertionError("it was never killed")
