"""make faults: every campaign, or those that are named, and the table in docs/reliability.md.

    PYTHONPATH=tests python -m faults [PROMISE ...] [--seed N] [--share S] [--to FILE]
    PYTHONPATH=tests python -m faults --table

Several campaigns run two at a time, each in a process of its own. Results are kept by promise in
docs/results/faults.json: a campaign that is run again replaces its own. What a campaign found
before the program was mended is in docs/results/faults-before.json.
"""

import argparse
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from faults import PROMISES, load, table
from faults.tally import Tally
from mmssl_jax.files import atomic
from mmssl_jax.runs import provenance


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__.partition("\n")[0])
    parser.add_argument("promises", nargs="*", metavar="PROMISE", help=", ".join(PROMISES))
    parser.add_argument(
        "--seed", type=int, help="of what is random; drawn and printed if not given"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the faults; 1: all of them")
    parser.add_argument("--to", type=Path, default=table.AFTER, help="the JSON file")
    parser.add_argument("--table", action="store_true", help="only writes the table anew")
    given = parser.parse_args()
    if given.table:
        table.write()
        return 0
    unknown = set(given.promises) - set(PROMISES)
    if unknown:
        parser.error(f"no promise {', '.join(sorted(unknown))}; there are {', '.join(PROMISES)}")
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    names = given.promises or PROMISES
    if len(names) == 1:
        kept = _run(names[0], seed, given.share, given.to)
    else:
        kept = _each_in_a_process(names, seed, given.share, given.to)
    if given.to == table.AFTER:
        table.write()
    return int(not kept)


def _each_in_a_process(names: Sequence[str], seed: int, share: float, to: Path) -> bool:
    """Whether all promises were kept."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:

        def run(name: str) -> bool:
            own = Path(folder) / f"{name}.json"
            line = [sys.executable, "-m", "faults", name, f"--seed={seed}", f"--share={share}"]
            done = subprocess.run([*line, f"--to={own}"], stdout=subprocess.PIPE, text=True)
            print(done.stdout, end="", flush=True)
            _keep(to, json.loads(own.read_text("utf-8")))
            return done.returncode == 0

        kept = list(pool.map(run, names))
    return all(kept)


def _run(name: str, seed: int, share: float, to: Path) -> bool:
    """Runs a campaign, writes its counts and says its failures; whether there were none."""
    print(f"{name}, seed {seed}, share {share:g}", flush=True)
    tally, began = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        load(name).campaign(tally, np.random.default_rng(seed), share, Path(folder))
    seconds = round(time.monotonic() - began)
    for kind, row in tally.row().items():
        print(f"  {kind}: {row['injected']} injected, {row['failed']} failed")
    for line in tally.failures:
        print(f"  failed: {line}", file=sys.stderr, flush=True)
    found = {"seed": seed, "share": share, "seconds": seconds, "commit": provenance.commit()}
    _keep(to, {name: found | {"cores": provenance.cores(), "kinds": tally.row()}})
    return not tally.failures


_KEEPING = threading.Lock()


def _keep(to: Path, found: dict[str, Any]) -> None:
    """Adds the counts of promises to those in a file."""
    with _KEEPING:
        kept = (json.loads(to.read_text("utf-8")) if to.exists() else {}) | found
        atomic.write_json(to, {name: kept[name] for name in PROMISES if name in kept})


if __name__ == "__main__":
    sys.exit(main())
