"""Commands that were not disturbed, and warm processes in which to disturb others like them."""

import contextlib
import os
import queue
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from faults import errands
from faults.errands import ERRANDS
from faults.warm import Outcome, Warm

CORES = 2
NEEDS: dict[str, tuple[str, ...]] = {  # command -> those whose output it reads, or goes on with
    "import": (),
    "encode": (),
    "train": ("import",),
    "parquet": (),
    "replace": ("import",),
    "export": ("import", "train"),
    "more": ("import", "train"),
    "long": ("import",),
    "beside": ("import",),
    "compare": ("import",),
    "tune": ("import",),
}
ALONE = ("import", "encode", "train", "parquet", "replace", "export", "more", "compare", "tune")
QUICK = ("import", "encode", "train")  # for a small share of a campaign
ONCE = ("import", "export")  # write nothing where something is
_Item, _Made = TypeVar("_Item"), TypeVar("_Made")


class Undisturbed(NamedTuple):
    """A command that nothing disturbed."""

    folder: Path
    outcome: Outcome
    result: Any


class Bench:
    """Runs commands, as many at once as there are cores."""

    def __init__(self, folder: Path, free: "queue.Queue[Warm]"):
        self._folder, self._free = folder, free
        self._whole: dict[str, Undisturbed] = {}

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path, names: Iterable[str]) -> Iterator["Bench"]:
        """Runs these commands, and those that they need, undisturbed in folders below one."""
        asked = {each for name in names for each in (*NEEDS[name], name)}
        with contextlib.ExitStack() as stack:
            free: queue.Queue[Warm] = queue.Queue()
            for _ in range(CORES):
                free.put(stack.enter_context(Warm()))
            bench = cls(folder, free)
            for name in NEEDS:
                if name in asked:
                    bench._run_whole(name)
            yield bench

    def map(self, function: Callable[[_Item], _Made], items: Sequence[_Item]) -> Iterator[_Made]:
        """The results in order; the function may be in as many threads as there are cores."""
        with ThreadPoolExecutor(CORES) as pool:
            yield from pool.map(function, items)

    def whole(self, name: str) -> Undisturbed:
        """How a command ended that was not disturbed."""
        return self._whole[name]

    def prepare(self, name: str, folder: Path) -> None:
        """Makes a folder, or empties it, and puts what a command reads there."""
        needs = NEEDS[name]
        if folder.exists():
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        errands.prepare(folder, parquet=name == "parquet")
        for need in needs:
            output = ERRANDS[need].output
            shutil.copytree(self._whole[need].folder / output, folder / output)

    def run(self, name: str, folder: Path, **disturbed: Any) -> Outcome:
        """Runs a command as `Warm.run` does."""
        warm = self._free.get()
        try:
            return warm.run(name, folder, **disturbed)
        finally:
            self._free.put(warm)

    def finish(self, name: str, folder: Path) -> None:
        """Gives a command again; raises where it does not end as one that was not disturbed."""
        outcome = self.run(name, folder)
        there = outcome.code == 2 and name in ONCE and "error: " in outcome.said
        assert outcome.code == 0 or there, f"given again, it ends with {outcome}"
        assert self._result(name, folder) == self._whole[name].result, "the result is another"

    def _run_whole(self, name: str) -> None:
        folder = self._folder / name
        self.prepare(name, folder)
        outcome = self.run(name, folder)
        assert outcome.code == 0, outcome.said
        self._whole[name] = Undisturbed(folder, outcome, self._result(name, folder))

    def _result(self, name: str, folder: Path) -> Any:
        return ERRANDS[name].result(folder / ERRANDS[name].output)


def lacking() -> str:
    """What this system lacks for commands to be forked; '' for nothing."""
    there = hasattr(os, "fork") and sys.platform == "linux"
    return "" if there else "commands are forked on Linux alone"
