"""Hostile inputs for every parser, and attacks on the service."""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from serving.uneven import ITEM_IDS, uneven_world
from worlds import ITEMS, Place

from faults import hostile_guided, hostile_service
from faults.tally import Kind, Tally

PROMISE = (
    "Nothing in data, lists, images, TOML or JSON configs, runs or requests is run, writes "
    "elsewhere, takes memory or time without bound, or ends in anything but an answer or one line."
)
FILES = 8000  # hostile files of data
OTHERS = {"conditions": 4000, "configs": 3500, "images": 800, "runs": 300, "requests": 1500}
AT_A_TIME = 2500  # inputs of a process: the fragments of its memory add up
_TESTS = Path(__file__).parents[1]
_KINDS = {  # of files of data by their suffix; all others are tables
    "pickles": (".pkl", "train_mat"),
    "arrays and archives": (".npy", ".npz", ".pt"),
    "Parquet": (".parquet",),
    "JSON": (".json", ".jsonl"),
}


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Puts in files, texts, images, runs and requests by grammar and by coverage; then attacks."""
    seed = int(rng.integers(2**31))
    run = _run(folder / "place")
    jobs = [*_files(share), *_others(run, share), *hostile_guided.jobs(share)]
    with ThreadPoolExecutor(2) as pool:
        found = [
            pool.submit(_child, folder / str(number), seed, *job) for number, job in enumerate(jobs)
        ]
        with hostile_service.serving(run, folder) as service:
            hostile_service.attack(service, tally, rng, share)
        for each in found:
            _count(tally, each.result())


def _run(folder: Path) -> Path:
    """A run of ease on data with raw ids, and a table of items."""
    folder.mkdir()
    place = Place(folder, uneven_world())
    rows = [
        f'"{ITEM_IDS[i]}"' if '"' not in ITEM_IDS[i] else '"quoted ""x"""' for i in range(ITEMS)
    ]
    lines = [f"{row},{('toys', 'books')[index % 2]}" for index, row in enumerate(rows)]
    (place.data / "items.csv").write_text("\n".join(["id,category", *lines]) + "\n")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        place.train("--config.model.name=ease", "--config.train.epochs=1", "--quiet")
    return place.run


def _files(share: float) -> Iterator[tuple[str, list[str]]]:
    count = max(60, round(FILES * share))
    for first in range(0, count, AT_A_TIME):
        part = str(min(AT_A_TIME, count - first))
        yield "data/fuzzing.py", ["FOLDER", "SEED", part, str(first)]


def _others(run: Path, share: float) -> Iterator[tuple[str, list[str]]]:
    counts = {kind: max(6, round(count * share)) for kind, count in OTHERS.items()}
    for first in range(0, max(counts.values()), AT_A_TIME):
        part = {kind: min(AT_A_TIME, count - first) for kind, count in counts.items()}
        part = {kind: count for kind, count in part.items() if count > 0}
        given = [str(run), "FOLDER", "SEED", json.dumps(part), str(first)]
        yield "faults/hostile_child.py", given


def _child(folder: Path, seed: int, script: str, arguments: list[str]) -> Any:
    """What a script prints, in a process of its own, as memory limits and watches last for one."""
    folder.mkdir()
    known = {"FOLDER": str(folder), "SEED": str(seed)}
    paths = [*(str(_TESTS / name) for name in ("", "data")), *sys.path]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "POLARS_MAX_THREADS": "1",
        "JAX_PLATFORMS": "cpu",
        "JAX_ENABLE_COMPILATION_CACHE": "0",  # whatever is written counts as an attack that worked
    }
    line = [sys.executable, str(_TESTS / script), *(known.get(word, word) for word in arguments)]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        at = [path.read_text() for path in folder.glob("progress")]
        return {"died": f"{script} ended with {done.returncode} at {at}: {done.stderr[-900:]}"}
    return json.loads(done.stdout.splitlines()[-1])


def _count(tally: Tally, report: dict[str, Any]) -> None:
    """Adds what a child counted."""
    if "died" in report:
        with tally.fault("processes", "a process of hostile inputs"):
            raise AssertionError(report["died"])
    if "kinds" in report:  # of files of data
        for name, number in report["tally"].items():
            target, _, outcome = name.rpartition(": ")
            if outcome != "failed":
                _passed(tally, _kind(target), number)
        for line in report["failures"]:
            with tally.fault(_kind(line.split(", ")[1].partition(":")[0]), line):
                raise AssertionError("see there")
        return
    for kind, outcomes in report["tally"].items():
        _passed(tally, kind, sum(outcomes.values()) - outcomes.get("failed", 0))
    for kind, line in report["failures"]:
        with tally.fault(kind, line):
            raise AssertionError("see there")


def _kind(target: str) -> str:
    return next(
        (kind for kind, ends in _KINDS.items() if target.endswith(ends)), "tables and lists"
    )


def _passed(tally: Tally, kind: str, count: int) -> None:
    tally.kinds.setdefault(kind, Kind()).passed += count
