"""What a process of several holds of many pairs on the host, held and mapped, on RANDOM pairs.

python -m benchmarks.host_memory [--pairs 1e8] [--devices 8] [--json FILE] [--workdir FOLDER]

Each row is a process of its own that loads the data and makes the first of `--devices` shares of
LightGCN's graph and of the training pairs. Memory is what the system cannot take back (RssAnon).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

HOW = ("held", "mapped", "mapped again")  # the second time the pairs are sorted already
_CHUNK = 10_000_000  # pairs that are drawn at a time


def make(pairs: int, folder: Path) -> None:
    """A data folder in Parquet: a twentieth as many users, a hundredth as many items."""
    rng, users, items = np.random.default_rng(0), pairs // 20, pairs // 100
    for split, count in (("train", pairs), ("val", pairs // 100), ("test", pairs // 100)):
        (folder / split).mkdir(parents=True)
        for part in range(-(-count // _CHUNK)):
            drawn = {"user": rng.integers(0, users, min(_CHUNK, count), np.int32)}
            drawn |= {"item": rng.integers(0, items, min(_CHUNK, count), np.int32)}
            pl.DataFrame(drawn).write_parquet(folder / split / f"part-{part:05}.parquet")


def anonymous() -> float:
    """GB of this process that are no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024 / 1e9


def figures(data: str, how: str, devices: int) -> dict[str, Any]:
    """Seconds and GB of one process."""
    from mmssl_jax.data import load, mapped_pairs
    from mmssl_jax.graphs import interaction_graph, split_graph, training_pairs

    if how == "held":
        mapped_pairs.MAPPED_FROM = sys.maxsize
    peak, ended, before = [0.0], threading.Event(), anonymous()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], anonymous())

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.perf_counter()
    dataset = load(data, "none", repeats="keep")  # as random pairs return in another split
    loaded, after_load = time.perf_counter(), anonymous()
    rows = interaction_graph.symmetric_joint_graph(dataset.train, dataset.by_item).rows
    first = rows.block(0, int(split_graph.cuts(rows.starts, devices)[1]))
    tables = training_pairs.host_tables(dataset.train)
    own = np.array(tables.items[: len(tables.items) // devices])
    made, kept = time.perf_counter(), anonymous()
    ended.set()
    watching.join()
    return {
        "how": how,
        "pairs": int(dataset.train.nnz),
        "load_s": round(loaded - started, 1),
        "share_s": round(made - loaded, 1),
        "share_gb": round((first.nnz * 8 + own.nbytes) / 1e9, 3),
        "loaded_gb": round(after_load - before, 3),
        "kept_gb": round(kept - before, 3),
        "peak_gb": round(peak[0] - before, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=float, default=1e8)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--workdir", type=Path, help="keeps the data; default: a temporary folder")
    parser.add_argument("--only", help=argparse.SUPPRESS)  # of a process that is measured
    given = parser.parse_args()
    if given.only:
        print(json.dumps(figures(str(given.workdir), given.only, given.devices)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.workdir or Path(temporary) / "data"
        if not folder.exists():
            make(int(given.pairs), folder)
        rows = []
        for how in HOW:
            line = [sys.executable, "-m", "benchmarks.host_memory", f"--only={how}"]
            line += [f"--workdir={folder}", f"--devices={given.devices}"]
            rows.append(json.loads(subprocess.check_output(line, text=True).splitlines()[-1]))
            print(rows[-1], flush=True)
    if given.json:
        from mmssl_jax.runs import provenance

        command = f"python -m benchmarks.host_memory --pairs {given.pairs:g}"
        about = provenance.about() | {"command": f"{command} --devices {given.devices}"}
        given.json.write_text(json.dumps({"about": about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
