"""Reads hostile conditions, configs, images, runs and requests, in a process that is watched.

    PYTHONPATH=tests/data:tests:. python tests/faults/hostile_child.py RUN FOLDER SEED COUNTS FIRST

RUN is the folder of a run of ease on `uneven_world`; COUNTS is JSON, kind -> number of inputs.
Prints JSON: kind -> how many were read, refused and failed; and what failed. Input number i of a
kind and a seed is always the same.
"""

import json
import os
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fuzzing
import numpy as np
import polars as pl

from faults import hostile_images, hostile_requests, hostile_texts
from mmssl_jax import models
from mmssl_jax.config import named
from mmssl_jax.data.encoding import encoders
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving import where
from mmssl_jax.training import session

Rng = np.random.Generator
Read = Callable[[], None]
Make = Callable[[Rng], tuple[str, Read]]  # a hostile input in words, and what reads it


class Watch(fuzzing.Watch):
    """As of files, but event loops of orbax and of the service may have sockets of their own."""

    _NEVER = (
        *(event for event in fuzzing.Watch._NEVER if event != "socket."),
        *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname"),
        "socket.sendto",
    )


def conditions(folder: Path) -> Make:
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "id": [f"B{row:03}" for row in range(40)],
            "title": [f"Title {row}" if row % 5 else None for row in range(40)],
            "category": [("toys", "books", "games")[row % 3] for row in range(40)],
            "price": rng.random(40) * 40,
            "day": pl.Series(range(40), dtype=pl.Int32).cast(pl.Date),
            "tags": [["a", "b"][: row % 3] for row in range(40)],
        }
    )

    def make(rng: Rng) -> tuple[str, Read]:
        text, bad = hostile_texts.condition(rng)

        def read() -> None:
            found = where.matching(table, text)
            assert (found.dtype, found.shape) == (np.dtype(bool), (len(table),))
            assert not bad, "it was taken"

        return ascii(text), read

    return make


def configs(folder: Path) -> Make:
    def make(rng: Rng) -> tuple[str, Read]:
        suffix, content = hostile_texts.config(rng)
        path = folder / f"mine{suffix}"
        path.write_bytes(content)

        def read() -> None:
            config = named.config(named.config_file(str(path)))
            models.resolve(config)
            run = Path("runs") / (config.name or path.stem)
            assert Path(os.path.normpath(run)).parent == Path("runs"), run
            assert len(os.fsencode(run.name)) < 256

        return ascii(content[:200]), read

    return make


def images(folder: Path) -> Make:
    files = hostile_images.files()

    def make(rng: Rng) -> tuple[str, Read]:
        what, content = hostile_images.spoilt(rng, files)
        path = folder / "image.png"
        path.write_bytes(content)

        def read() -> None:
            image = encoders.read_image(path)
            if image is None:
                raise InputError("no image")
            assert max(image.size) <= encoders.LONGEST_SIDE
            assert image.mode == "RGB"

        return what, read

    return make


def runs(run: Path, folder: Path) -> Make:
    """Spoils a file of a run, or several values of its config, and opens it as commands do."""
    whole = {path.relative_to(run): path.read_bytes() for path in run.rglob("*") if path.is_file()}
    names = [name for name in sorted(whole) if whole[name] and name.name != "lock"]
    own = [name for name in names if "checkpoints" not in name.parts]
    canary = folder / "canary"

    def make(rng: Rng) -> tuple[str, Read]:
        copy = folder / "run"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        name = names[rng.integers(len(names))] if rng.integers(2) else own[rng.integers(len(own))]
        (copy / name).write_bytes(_spoilt(rng, name, whole[name], canary))

        def read() -> None:
            folder = RunFolder(copy)
            config, dataset = session.open_run(folder)
            folder.read_metrics(1 << 30)
            trained = session.best_of_run(config, dataset, folder)
            assert trained.epoch > 0

        return f"{name} of a run", read

    return make


def _spoilt(rng: Rng, name: Path, good: bytes, canary: Path) -> bytes:
    if name.name == "config.json" and rng.integers(3):
        content = json.loads(good)
        part = content[("config", "config", "dataset")[rng.integers(3)]]
        key = sorted(part)[rng.integers(len(part))]
        odd = hostile_texts._ODD_VALUES
        part[key if rng.integers(4) else hostile_texts._pick(rng, hostile_texts._ODD_KEYS)] = odd[
            rng.integers(len(odd))
        ]
        return json.dumps(content).encode()
    suffix = ".json" if good[:1] == b"{" and _is_json(good) else ".x"
    return fuzzing.spoil(rng, f"a{suffix}", good, [good, b"{}"], canary)


def _is_json(content: bytes) -> bool:
    try:
        return bool(json.loads(content))
    except ValueError:
        return False


def main(run: Path, folder: Path, seed: int, counts: dict[str, int], first: int) -> dict[str, Any]:
    makers: dict[str, Callable[[], Make]] = {
        "conditions": lambda: conditions(folder),
        "configs": lambda: configs(folder),
        "images": lambda: images(folder),
        "runs": lambda: runs(run, folder),
        "requests": lambda: hostile_requests.requests(run),
    }
    made = {kind: makers[kind]() for kind in counts}
    canary = folder / "canary"
    tempfile.gettempdir()
    fuzzing.hostile(str(canary))
    said = os.open(folder / "stderr", os.O_RDWR | os.O_CREAT)
    os.dup2(said, 2)
    for make in made.values():  # what is imported late, before anything is limited or watched
        for number in range(2):
            fuzzing.one(
                fuzzing.Target(folder, make(np.random.default_rng(number))[1]), _Nobody(), canary
            )
    watch = fuzzing.guard(Watch)
    # Of polars' for IN on a column of lists, which nobody is shown unless warnings are errors.
    warnings.filterwarnings("ignore", "`is_in` with a collection", DeprecationWarning)
    tally: dict[str, Counter[str]] = {kind: Counter() for kind in counts}
    failures = []
    for kind, count in counts.items():
        for number in range(first, first + count):
            rng = np.random.default_rng([seed, number, *kind.encode()])
            what, read = made[kind](rng)
            (folder / "progress").write_text(f"{kind} {number}: {what}"[:3000])
            before = os.path.getsize(folder / "stderr")
            outcome = fuzzing.one(fuzzing.Target(folder, read), watch, canary)
            if os.path.getsize(folder / "stderr") > before:
                outcome = f"wrote to stderr: {os.pread(said, 300, before)!r}"
            if outcome not in ("read", "refused"):
                failures.append((kind, f"input {number} of seed {seed}, {what[:150]}: {outcome}"))
            tally[kind][outcome if outcome in ("read", "refused") else "failed"] += 1
    return {"tally": tally, "failures": failures}


class _Nobody:
    """A watch that sees nothing."""

    on, seen = False, ()


if __name__ == "__main__":
    given = sys.argv[1:]
    at = Path(given[0]), Path(given[1]), int(given[2]), json.loads(given[3])
    print(json.dumps(main(*at, int(given[4]))))
