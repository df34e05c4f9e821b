"""Power cuts: commands are recorded call by call, and every moment of them is replayed."""

import hashlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from faults import errands, power_cut, recording
from faults.errands import EPOCHS, ERRANDS
from faults.power_cut import Content, Disk
from faults.tally import Tally
from faults.warm import Warm
from mmssl_jax import data
from mmssl_jax.data.features import folder as features
from mmssl_jax.files import atomic
from mmssl_jax.runs import listing
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session
from mmssl_jax.training.session import checkpoints_of

PROMISE = (
    "After a power cut at any moment every file is the last one that a command has told of, or a "
    "later one, and never a half one; the same command goes on from there."
)
NAMES = ("import", "train", "encode", "export", "compare", "replace")
TORN, UNNAMED, GOING_ON = 2, 3, 25  # draws at each moment; commands that are given again, in all
_EPOCH = re.compile(r"epoch (\d+)/")


@dataclass
class Promised:
    """What the commands have told so far."""

    ended: set[str] = field(default_factory=set)
    epoch: int = 0

    def hear(self, line: str) -> None:
        if "train" not in self.ended:
            self.epoch = max([self.epoch, *map(int, _EPOCH.findall(line))])
        self.ended |= set(re.findall(r"ended: (\w+)", line))


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Replays every moment of commands that write, with what a power cut may leave."""
    if problem := recording.problem():
        tally.skip("power cut", problem)
        return
    folder = folder.resolve()
    source, notes, plain = folder / "source", folder / "notes", folder / "plain"
    for each in (source, plain):
        errands.prepare(each)
    assert errands.run_quietly(ERRANDS["import"], plain)[0] == 0
    disk = Disk(source)
    command = [sys.executable, "-m", "faults.recorded", str(source), *NAMES]
    calls = recording.record(command, source, notes, errands.environment())
    notes.unlink()
    reader = _Reader(source, plain / "data", folder / "left")
    again: list[tuple[int, Content, set[str]]] = []
    moments = [place for place, call in enumerate(calls) if _changes(call)]
    last, promised = max(moments), Promised()
    going_on = set(rng.choice(moments, min(len(moments), max(1, round(GOING_ON * share)))))
    for place, call in enumerate(calls):
        if call.kind == "say":
            promised.hear(call.arguments[0])
            continue
        getattr(disk, call.kind)(*call.arguments)
        if place in going_on:
            again.append((place, disk.unnamed(rng), set(promised.ended)))
        if not _changes(call) or not (place == last or rng.random() < share):
            continue
        for kind, content in _left(disk, rng):
            with tally.fault(kind, f"call {place} of {len(calls)}: {call.kind}"):
                reader.check(content, promised)
    with Warm() as warm:
        for place, content, ended in again:
            with tally.fault("the same commands again", f"call {place}"):
                reader.go_on(warm, content, ended, folder / f"again-{place}")
    assert disk.kept() == power_cut.read(source), "the recording is not what was done"
    assert (promised.ended, promised.epoch) == (set(NAMES), EPOCHS)


def _changes(call: recording.Call) -> bool:
    """Whether a call may leave something else on the disk."""
    if call.kind == "open":
        _, _, create, cut, _ = call.arguments
        return bool(create or cut)
    return call.kind not in ("say", "seek")


def _left(disk: Disk, rng: np.random.Generator) -> Iterator[tuple[str, Content]]:
    yield "killed", disk.kept()
    yield "data not synced: lost", disk.dropped()
    for _ in range(TORN):
        yield "data not synced: torn", disk.torn(rng)
    for _ in range(UNNAMED):
        yield "names not synced: lost", disk.unnamed(rng)


class _Reader:
    """Reads what was left, as the commands do, and compares it with what has to be there."""

    def __init__(self, source: Path, imported: Path, scratch: Path):
        """Reads the finished commands.

        Args:
          source: where they have written.
          imported: the data as they were before they were replaced.
          scratch: where to write what was left.
        """
        self._scratch = scratch
        self._final = {name: ERRANDS[name].result(_output(source, name)) for name in NAMES}
        self._final["import"] = power_cut.read(imported)
        config, dataset = session.open_run(RunFolder(source / "run"), path=str(imported))
        self._like = session.prepare(config, dataset).shape_of_state()
        self._states: dict[int, str] = {}  # epoch -> digest of its state
        self._known: dict[tuple[str, str], Any] = {}  # (part, digest) -> what was found
        self._parts: dict[str, Callable[[Path], Any]] = {
            "data": self._data,
            "run": self._run,
            "encoded": self._encoded,
            "exported": self._exported,
            "compared": self._compared,
        }

    def check(self, content: Content, promised: Promised) -> None:
        """Raises where a part is half, or less than was promised."""
        found = {part: self._part(part, content) for part in self._parts}
        ended = promised.ended
        epoch, results = found["run"]
        assert epoch >= promised.epoch, f"epoch {promised.epoch} was told, {epoch} is there"
        assert results or "train" not in ended, "the results are lost"
        for name in {"encode", "export", "compare"} & ended:
            assert found[ERRANDS[name].output] == "whole", f"what {name} wrote is lost"
        if "replace" in ended:
            assert found["data"] == "replaced", "the replaced data are lost"
        assert found["data"] != "none" or "import" not in ended, "the imported data are lost"

    def go_on(self, warm: Warm, content: Content, ended: set[str], folder: Path) -> None:
        """Gives all commands again that have not ended, and compares what comes of them."""
        power_cut.write(content, folder)
        errands.prepare(folder)
        for name in NAMES:
            errand, there = ERRANDS[name], folder / ERRANDS[name].output
            if name in ended and name != "train":
                continue
            kept = name in ("import", "export") and there.exists() and any(there.iterdir())
            outcome = warm.run(name, folder)
            assert outcome.code == (2 if kept else 0), f"{name} ends with {outcome}"
            if not kept:
                assert errand.result(there) == self._final[name], f"{name} gives another result"
        shutil.rmtree(folder)

    def _part(self, part: str, content: Content) -> Any:
        """What is found of a part; the same content is read once."""
        inside = {name: each for name, each in content.items() if name.split("/")[0] == part}
        key = part, _digest(inside)
        if key not in self._known:
            shutil.rmtree(self._scratch, ignore_errors=True)
            power_cut.write(inside, self._scratch)
            try:
                self._known[key] = self._parts[part](self._scratch / part)
            except Exception as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, Exception):
            raise AssertionError(f"{part}: {type(found).__name__}: {found}") from found
        return found

    def _data(self, folder: Path) -> str:
        if not folder.exists():
            return "none"
        data.load(str(folder), "none")
        left = power_cut.read(folder)
        if left == self._final["replace"]:
            return "replaced"
        assert left == self._final["import"], "the data folder is half"
        return "whole"

    def _run(self, folder: Path) -> tuple[int, bool]:
        run, epoch = RunFolder(folder), 0
        problems = [each["problem"] for each in listing.runs(folder)] if folder.exists() else []
        assert not any(problems), problems
        if run.checkpoints.is_dir():
            with checkpoints_of(run, clean=False) as checkpoints:
                epoch = checkpoints.latest_epoch or 0
                for each in {epoch, checkpoints.best_epoch or 0} - {0}:
                    state = _digest_of(checkpoints.restore(each, self._like))
                    assert state == self._states.setdefault(each, state), f"epoch {each} differs"
        if not run.config.exists():
            assert not epoch, "checkpoints without a config"
            return 0, False
        run.read()
        rows = errands.timeless(run.read_metrics(epoch))
        assert rows == self._final["train"]["metrics"][:epoch], "metrics are lost"
        if not run.results.exists():
            return epoch, False
        results = errands.timeless(atomic.read_json(run.results))
        assert results == self._final["train"]["results"], "the results differ"
        return epoch, True

    def _encoded(self, folder: Path) -> str:
        if f"text{features.SUFFIX}" not in {path.name for path in folder.glob("*")}:
            return "none"
        assert ERRANDS["encode"].result(folder) == self._final["encode"], "the features are half"
        return "whole"

    def _exported(self, folder: Path) -> str:
        if not folder.exists():
            return "none"
        assert power_cut.read(folder) == self._final["export"], "the export is half"
        return "whole"

    def _compared(self, folder: Path) -> str:
        problems = [each["problem"] for each in listing.runs(folder)] if folder.exists() else []
        assert not any(problems), problems
        if not (folder / "compare.json").exists():
            return "none"
        assert ERRANDS["compare"].result(folder) == self._final["compare"], "the table is half"
        return "whole"


def _output(folder: Path, name: str) -> Path:
    return folder / ERRANDS[name].output


def _digest(content: Content) -> str:
    digest = hashlib.sha256()
    for name, inside in content.items():
        size = -1 if inside is None else len(inside)
        digest.update(f"{name}\0{size}\0".encode() + (inside or b""))
    return digest.hexdigest()


def _digest_of(state: Any) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(state):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()
