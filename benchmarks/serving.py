"""Requests per second, latency and memory of `mmssl serve`, over this machine's loopback alone.

    mmssl train --config tiktok_lightgcn
    python -m benchmarks.serving --run runs/tiktok_lightgcn

The load generator is wrk (apt-get install wrk), on the same cores as the service. The catalogue of
a million items is RANDOM: pairs and vectors are drawn, and nothing was learned. Writes
docs/results/serving.json.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import mmssl_jax as mj
from mmssl_jax.data.dataset import assemble
from mmssl_jax.data.layouts import canonical
from mmssl_jax.runs import provenance

ROOT = Path(__file__).parents[1]
USERS, HELD = 50_000, 100  # of the random catalogue, and how many have a pair in val and test
CONNECTIONS = (1, 8, 64)
_SCRIPT = """
local next_user = {start}
request = function()
  next_user = (next_user + 7919) % {users}
  return wrk.format("GET", "/recommend?user=" .. next_user .. "&top=10")
end
"""


def random_run(folder: Path, items: int) -> Path:
    """A run of matrix factorisation after one step, on items that have one training pair each."""
    rng = np.random.default_rng(0)
    users = np.arange(items) % USERS
    held = np.arange(HELD)
    pairs = {
        "train": (users, rng.permutation(items)),
        "val": (held, (held * 31 + 1) % items),
        "test": (held, (held * 37 + 2) % items),
    }
    have = set(zip(*map(np.ndarray.tolist, pairs["train"]), strict=True))
    have |= set(zip(*map(np.ndarray.tolist, pairs["val"]), strict=True))
    for split in ("val", "test"):
        own, theirs = pairs[split]
        pairs[split] = (
            own,
            np.array(
                [
                    i if (u, i) not in have or split == "val" else (i + 7) % items
                    for u, i in zip(own.tolist(), theirs.tolist(), strict=True)
                ]
            ),
        )
    dataset = assemble("random", "random", (USERS, items), pairs, {}, synthetic=True)
    canonical.write(dataset, folder / "data", {"from": "benchmarks/serving.py"}, overwrite=True)
    config = mj.Config()
    config.train.epochs = config.train.steps_per_epoch = 1
    config.model.embedding_dim = 64
    data = mj.load_data(folder / "data", modalities="none")
    return mj.train(data, model="mf", workdir=folder / "run", config=config).folder


@contextlib.contextmanager
def service(run: Path, kind: str) -> Iterator[tuple[str, int, float]]:
    """The address of a service, its process, and the seconds until it answered."""
    line = [sys.executable, "-m", "mmssl_jax", "serve", str(run), "--port=0", f"--index={kind}"]
    start = time.perf_counter()
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        try:
            found = (re.search(r"http://[\d.:]+", said) for said in process.stderr or ())
            address = next(match[0] for match in found if match)
            yield address, process.pid, time.perf_counter() - start
        finally:
            process.terminate()
            process.wait(30)


def load(address: str, connections: int, seconds: float, users: int, start: int = 0) -> dict:
    """What wrk says of so many connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT.format(users=users, start=start))
        script.flush()
        line = [*("wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--timeout=20s")]
        line += ["--latency", "-s", script.name, address]
        said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    sockets = re.search(r"Socket errors: (.*)", said)
    return {
        "connections": connections,
        "requests": int(re.search(r"(\d+) requests in", said)[1]),
        "requests_per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        "p50_ms": _milliseconds(re.search(r"(?m)^\s+50%\s+(\S+)", said)[1]),
        "p99_ms": _milliseconds(re.search(r"(?m)^\s+99%\s+(\S+)", said)[1]),
        "failed": int(bad[1]) if bad else 0,
        "socket_errors": sockets[1] if sockets else "",
    }


def _milliseconds(text: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return round(float(value) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit], 3)


def memory(process: int) -> int:
    """MiB that a process has in memory."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) // 1024


def soak(run: Path, users: int, seconds: float) -> dict:
    """Memory before and after as many requests as there is time for."""
    with service(run, "exact") as (address, process, _):
        load(address, 64, 3, users)
        done, failed, seen = 0, 0, [memory(process)]
        for part in range(6):
            found = load(address, 64, seconds / 6, users, start=part)
            done, failed = done + found["requests"], failed + found["failed"]
            seen.append(memory(process))
    return {"requests": done, "failed": failed, "memory_mib": seen}


def measured(name: str, run: Path, kind: str, users: int, seconds: float) -> dict:
    with service(run, kind) as (address, process, ready):
        load(address, 8, 1, users)
        rows = [load(address, connections, seconds, users) for connections in CONNECTIONS]
        found = {"catalogue": name, "index": kind, "seconds_to_start": round(ready, 1)}
        found |= {"memory_mib": memory(process), "load": rows}
    with service(run, kind) as (_, _, ready):  # with what the first start has kept
        found["seconds_to_start_again"] = round(ready, 1)
    print(json.dumps(found), flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--items", type=int, default=1_000_000, help="RANDOM ones; 0: no such run")
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--soak", type=float, default=180, help="seconds of the one for memory")
    parser.add_argument(
        "--folder", type=Path, help="keeps the random run; default: a temporary one"
    )
    parser.add_argument("--to", type=Path, default=ROOT / "docs/results/serving.json")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("error: there is no wrk; apt-get install wrk")
    users = mj.open_run(given.run).data.num_users
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        about = provenance.about() | {
            "command": f"python -m benchmarks.serving --run runs/{given.run.name} --seconds "
            f"{given.seconds:g} --soak {given.soak:g} --items {given.items}",
            "load_average_at_start": round(os.getloadavg()[0], 1),
            "random_items": given.items,
        }
        rows = [
            measured("tiktok", given.run, kind, users, given.seconds) for kind in ("exact", "hnsw")
        ]
        if given.items:
            random = random_run(folder, given.items)
            rows += [
                measured("RANDOM", random, kind, USERS, given.seconds) for kind in ("exact", "hnsw")
            ]
    long = soak(given.run, users, given.soak)
    print(json.dumps(long), flush=True)
    result = {"about": about, "services": rows, "memory": long}
    given.to.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
