"""Disks that are full, read-only, broken or gone: one line, and the same command goes on later."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faults import power_cut
from faults.bench import ALONE, ONCE, QUICK, Bench, lacking
from faults.errands import ERRANDS
from faults.tally import Tally
from faults.warm import Outcome

PROMISE = (
    "A command that cannot write or read its files ends with one line and exit code 2, leaves what "
    "was there before, and goes on when it is given again on a disk with room."
)
FULL, INODES, READ_ONLY, BROKEN, GONE = KINDS = (
    *("full disk", "no inode left", "read-only disk", "error of a call", "folder removed"),
)
COUNTS = {FULL: 60, INODES: 24, READ_ONLY: 9, BROKEN: 90, GONE: 24}
ERRORS = (errno.EIO, errno.ESTALE, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
_LARGE, _TIMEOUT, _LINE = 1 << 28, 60.0, 500


class Fault(NamedTuple):
    """A command, and what is done to it."""

    kind: str
    errand: str
    seed: int
    folder: Path


class Found(NamedTuple):
    """What was done, in words, and what was wrong."""

    what: str
    wrong: Exception | None


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Puts faults of disks into commands, each in a fork, and gives the commands again."""
    if problem := lacking():
        tally.skip("disk", problem)
        return
    kinds = list(KINDS)
    if problem := _no_small_disk(folder / "tried"):
        for kind in (FULL, INODES, READ_ONLY):
            tally.skip(kind, problem)
            kinds.remove(kind)
    planned = _planned(kinds, share, rng, folder)
    with Bench.open(folder, {fault.errand for fault in planned}) as bench:
        found = bench.map(lambda fault: _tried(bench, fault), planned)
        for fault, (what, wrong) in zip(planned, found, strict=True):
            with tally.fault(fault.kind, f"{fault.errand}, {what}"):
                if wrong is not None:
                    raise wrong


def _planned(kinds: list[str], share: float, rng: np.random.Generator, folder: Path) -> list[Fault]:
    names = list(ALONE) if share > 0.05 else list(QUICK)
    planned: list[Fault] = []
    for kind in kinds:
        for number in range(max(1, round(COUNTS[kind] * share))):
            errand = names[(number + len(kind)) % len(names)]
            place = folder / f"fault-{len(planned)}"
            planned.append(Fault(kind, errand, int(rng.integers(2**31)), place))
    return planned


def _tried(bench: Bench, fault: Fault) -> Found:
    """Puts a fault in, looks at how the command ends, and gives it again."""
    rng, what = np.random.default_rng(fault.seed), ["not tried"]
    try:
        ways: dict[str, Callable[..., None]] = {BROKEN: _broken, GONE: _gone}
        ways.get(fault.kind, _small)(bench, fault, rng, what)
    except Exception as error:
        return Found(what[0], error)
    finally:
        shutil.rmtree(fault.folder, ignore_errors=True)
    return Found(what[0], None)


def _small(bench: Bench, fault: Fault, rng: np.random.Generator, what: list[str]) -> None:
    """On a disk of its own: with little room, few inodes, or none to write to."""
    name, folder = fault.errand, fault.folder
    with _disk(folder, f"size={_LARGE}"):
        bench.prepare(name, folder)
        before = power_cut.read(folder)
        output = bench.whole(name).folder / ERRANDS[name].output
        sizes = [path.lstat().st_blocks * 512 + 4096 for path in output.rglob("*")]
        usage = os.statvfs(folder)
        if fault.kind == FULL:
            taken = (usage.f_blocks - usage.f_bfree) * usage.f_bsize
            free = int(rng.uniform(0, sum(sizes)))
            limit, words = f"size={taken + free}", f"{free} bytes left"
        elif fault.kind == INODES:
            free = int(rng.integers(0, len(sizes) + 2))
            limit = f"nr_inodes={usage.f_files - usage.f_ffree + free}"
            words = f"{free} inodes left"
        else:
            limit, words = "ro", "read-only"
        what[0] = words
        _mount(folder, f"remount,{limit}")
        outcome = bench.run(name, folder, after=_TIMEOUT)
        check_end(outcome, may_end=fault.kind != READ_ONLY)
        more = "remount,rw" if fault.kind == READ_ONLY else f"remount,size={_LARGE},nr_inodes=100k"
        _mount(folder, more)
        if outcome.code:
            _check_kept(name, before, folder, bench)
        bench.finish(name, folder)


def _broken(bench: Bench, fault: Fault, rng: np.random.Generator, what: list[str]) -> None:
    """A call fails, once or from then on, as on a disk or a network that breaks."""
    name, folder = fault.errand, fault.folder
    bench.prepare(name, folder)
    before = power_cut.read(folder)
    number = int(rng.choice(ERRORS))
    call, lasting = int(rng.integers(1, bench.whole(name).outcome.calls + 1)), rng.random() < 0.5
    what[0] = f"{errno.errorcode[number]} at call {call}{' and after' if lasting else ''}"
    outcome = bench.run(name, folder, call=call, error=number, lasting=lasting, after=_TIMEOUT)
    check_end(outcome, may_end=True)
    if outcome.code:
        _check_kept(name, before, folder, bench)
    bench.finish(name, folder)


def _gone(bench: Bench, fault: Fault, rng: np.random.Generator, what: list[str]) -> None:
    """The folder that a command writes is removed while it runs."""
    name, folder = fault.errand, fault.folder
    bench.prepare(name, folder)
    call, output = int(rng.integers(1, bench.whole(name).outcome.calls + 1)), ERRANDS[name].output
    what[0] = f"removed at call {call}"
    outcome = bench.run(name, folder, call=call, vanish=output, after=_TIMEOUT)
    check_end(outcome, may_end=True)
    if not (folder / output).exists():
        bench.prepare(name, folder)
    bench.finish(name, folder)


def check_end(outcome: Outcome, *, may_end: bool) -> None:
    """Raises unless a command ended with one line; or as ever, where the fault may not bite."""
    if may_end and outcome.code == 0:
        return
    words = outcome.said[-700:]
    assert outcome.code == 2, f"exit code {outcome.code}: {words}"
    lines = [line for line in outcome.said.splitlines() if "error: " in line]
    assert len(lines) == 1, f"{len(lines)} lines of errors: {words}"
    assert "Traceback" not in outcome.said, words
    assert len(lines[0]) < _LINE, lines[0]


def _check_kept(name: str, before: power_cut.Content, folder: Path, bench: Bench) -> None:
    """Raises where a command that failed has changed what was there, or left a part of its own."""
    output, whole = ERRANDS[name].output, bench.whole(name).result
    after = power_cut.read(folder)
    for path, content in before.items():
        if path.split("/")[0] != output:
            assert after.get(path, b"") == content, f"{path} has changed"
    if name in (*ONCE, "parquet", "replace") and (folder / output).exists():
        inside = power_cut.read(folder / output)
        old = {
            path.removeprefix(f"{output}/"): content
            for path, content in before.items()
            if path.startswith(f"{output}/")
        }
        assert inside in (old, whole), f"{output} is half"


def _no_small_disk(folder: Path) -> str:
    """Why no disk of its own can be had here; '' where it can."""
    try:
        with _disk(folder, "size=1m"):
            return ""
    except (OSError, subprocess.CalledProcessError):
        return "a small disk (tmpfs) can be mounted by root alone"


@contextmanager
def _disk(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    _mount(folder, options)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
