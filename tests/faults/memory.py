"""Too little memory: foreseen, said in one line, or an end that leaves nothing half-written."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from worlds import ROOT, Place, config_of, world

from faults.tally import Tally
from mmssl_jax import data
from mmssl_jax.errors import InputError
from mmssl_jax.files import checksums, memory
from mmssl_jax.planning import foresight
from mmssl_jax.planning.hardware import DEVICES
from mmssl_jax.planning.plan import plan
from mmssl_jax.planning.sizes import Sizes
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session

PROMISE = (
    "A run of MMSSL or LightGCN whose steps do not fit is refused before anything is set up, and "
    "any other before its first step; a command that runs out of memory on its way ends with one "
    "line and code 2, or is ended by a library or the system, and leaves no half-written output."
)
COMMANDS = ("import", "train", "evaluate", "export")
ADDRESSES, GROUP = "a limit of addresses", "a limit of its control group"
EXTRA = {ADDRESSES: (1 << 29, 1 << 32), GROUP: (1 << 20, 1 << 30)}  # bytes more than at the start
ROWS = 60_000  # of the table that is imported


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Lets runs be foreseen in little room, then limits commands."""
    for _ in range(max(round(share * 400), 4)):
        _foreseen(tally, rng)
    count = max(round(share * 120), 1)
    place, table = Place(folder), _table(folder)
    with _driver(folder / "errors") as run:
        for flags in (
            _train(place),
            _export(place, folder / "sound"),
            _import(table, folder / "s"),
        ):
            code, errors = run(None, flags)
            assert code == 0, errors
        kinds = [ADDRESSES, GROUP]
        with _control_group(1 << 20) as group:
            if group is None:
                tally.skip(kinds.pop(), "no control group for memory can be made (root can)")
        for number in range(count):
            command = COMMANDS[(number + int(rng.integers(4)) * (count < 4)) % len(COMMANDS)]
            for kind in kinds:
                extra = int(np.exp(rng.uniform(*np.log(EXTRA[kind]))))
                _limited(
                    tally, run, command, kind, extra, place, table, folder / f"{number} {kind}"
                )


def _foreseen(tally: Tally, rng: np.random.Generator) -> None:
    """With less room than the formulas say, a run is refused; with more it is not."""
    name = ("mmssl", "lightgcn")[int(rng.integers(2))]
    width = int(rng.integers(4, 64))
    config, dataset = config_of(name, model__embedding_dim=width), world()
    widths = {key: values.shape[1] for key, values in dataset.features.items()}
    sizes = Sizes(*dataset.train.shape, int(dataset.train.nnz), widths, 1, 1)
    need = plan(config, sizes, DEVICES["cpu"]).needs.memory
    room = int(need * rng.uniform(0.01, 0.99))
    with tally.fault("run that is foreseen not to fit", f"{name}, {room} of {need:.0f} bytes"):
        with (
            mock.patch.object(memory, "available", return_value=room),
            pytest.raises(InputError, match="the steps of this run need") as caught,
        ):
            foresight.check(config, dataset)
        assert str(caught.value).isprintable()
        with mock.patch.object(memory, "available", return_value=int(need * 1.01)):
            foresight.check(config, dataset)


def _limited(
    tally: Tally,
    run: Any,
    command: str,
    kind: str,
    extra: int,
    place: Place,
    table: Path,
    folder: Path,
) -> None:
    folder.mkdir()
    own = Place(folder / "place") if command == "train" else place
    to = folder / "to"
    arguments = {
        "import": _import(table, to),
        "train": _train(own),
        "evaluate": ["evaluate", *place.argv()],
        "export": _export(place, to),
    }[command]
    if kind == GROUP:
        with _control_group(extra) as group:
            code, errors = run(group, arguments)
    else:
        code, errors = run(extra, arguments)
    end = {0: "it was enough", 2: "ended in a line"}.get(code, "ended by a library or the system")
    with tally.fault(f"command under {kind}: {end}", f"{command}, {extra >> 20} MB more"):
        assert code != -signal.SIGALRM, "it waits for ever"
        lines = errors.splitlines()
        if code == 2:
            assert lines
            assert lines[-1].startswith("error: "), lines[-1]
            assert "Traceback" not in errors
        else:
            # 127 is of the C library, where a thread gets no memory.
            assert code <= 0 or code > 126, f"code {code}: {errors[-300:]}"
        _whole(command, to, own, must_be=code == 0)


def _whole(command: str, to: Path, place: Place, must_be: bool) -> None:
    """What was written is whole, or not there."""
    if command == "import":
        assert to.exists() or not must_be
        if to.exists():
            data.load(str(to), "none")
    elif command == "export":
        assert to.exists() or not must_be
        assert not checksums.problems(to, "") if to.exists() else True
        assert not to.exists() or (to / checksums.FILE).exists()
    elif command == "train":
        run = RunFolder(place.run)
        if run.config.exists():
            run.read()
            run.read_metrics(10**6)
        if run.results.exists():
            assert run.read_results()["epochs"] == 1
        if run.checkpoints.exists():
            with session.checkpoints_of(run, clean=False) as checkpoints:
                assert checkpoints.latest_epoch in (None, 1)


def _table(folder: Path) -> Path:
    """Ratings, with times."""
    path, rng = folder / "ratings.csv", np.random.default_rng(0)
    users, items = rng.integers(2000, size=ROWS), rng.integers(500, size=ROWS)
    pairs = enumerate(zip(users, items, strict=True))
    lines = [f"u{user},i{item},{row}" for row, (user, item) in pairs]
    path.write_text("user_id,item_id,timestamp\n" + "\n".join(lines) + "\n")
    return path


def _import(table: Path, to: Path) -> list[str]:
    return ["data", "import", str(table), f"--to={to}", "--split=leave-last"]


def _train(place: Place) -> list[str]:
    flags = ("--config.train.epochs=1", "--config.model.name=lightgcn", "--quiet")
    return ["train", *place.argv(*flags)]


def _export(place: Place, to: Path) -> list[str]:
    return ["export", *place.argv(f"--to={to}", "--format=parquet")]


@contextmanager
def _control_group(size: int) -> Iterator[str | None]:
    """The folder of a new control group of so many bytes; None where none can be made."""
    group = _made(Path("/sys/fs/cgroup"), "memory.max", size)  # version 2
    group = group or _made(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", size)
    try:
        yield str(group) if group else None
    finally:
        if group:
            group.rmdir()


def _made(above: Path, limit: str, size: int) -> Path | None:
    group = above / f"faults-{os.getpid()}"
    with suppress(OSError):
        group.mkdir()
        if (group / limit).exists():  # else it is a plain folder, or not for memory
            (group / limit).write_text(str(size))
            return group
        group.rmdir()
    return None


@contextmanager
def _driver(errors: Path) -> Iterator[Any]:
    """Gives what runs a command with so many bytes more: its exit code, and what it said."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = os.environ | {"PYTHONPATH": paths, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("memory_driver.py"))]
    with subprocess.Popen(
        command,
        env=environment | {"POLARS_MAX_THREADS": "2"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        given, said = process.stdin, process.stdout

        def run(limit: int | str | None, arguments: list[str]) -> tuple[int, str]:
            given.write(json.dumps([limit, arguments, str(errors)]) + "\n")
            given.flush()
            code = int(said.readline())
            return code, errors.read_text(errors="replace")

        yield run
        given.close()
