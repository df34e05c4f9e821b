"""How import, set-up, steps and evaluation grow with the data, on RANDOM interactions.

python -m benchmarks.growth [--json FILE] [--workdir FOLDER] [--most 2e7] [--import-most 1e8]

Every figure is of a process of its own, with the memory that it and its children had at most.
Each pair count comes with a twentieth as many users and a hundredth as many items. The exponents
are those of a power of the pairs, fitted in logarithms.
"""

import argparse
import dataclasses
import json
import pathlib
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from mmssl_jax.runs import provenance

PAIRS = (2_000_000, 6_000_000, 20_000_000)
IMPORTED = 100_000_000  # of the import alone
RANKED = 10_000  # users of an evaluation; the time of all is computed from theirs
MODELS: dict[str, dict[str, Any]] = {
    "lightgcn": {"model.name": "lightgcn", "model.layers": 3, "data.modalities": "none"},
    "lightgcn sampled": {
        "model.name": "lightgcn",
        "model.layers": 3,
        "data.modalities": "none",
        "train.fanout": (5, 3, 2),
        "train.batch_size": 8192,
    },
    "mmssl": {"model.name": "mmssl", "critic.hidden": 256, "critic.item_block": 8192},
}
WIDTH = 64  # of the features


def make(pairs: int, folder: pathlib.Path) -> None:
    """A table of interactions, with the spread of real activity and popularity, and features."""
    rng, users, items = np.random.default_rng(0), pairs // 20, pairs // 100

    def drawn(count: int, sigma: float) -> np.ndarray:
        ends = np.cumsum(rng.lognormal(0.0, sigma, count))
        return np.searchsorted(ends, rng.random(pairs, np.float32) * ends[-1]).clip(0, count - 1)

    folder.mkdir(parents=True, exist_ok=True)
    columns = {"user_id": drawn(users, 0.6).astype(np.int32)}
    columns |= {"item_id": drawn(items, 1.0).astype(np.int32)}
    columns |= {"timestamp": rng.integers(0, 10**9, pairs, np.int32)}
    pl.DataFrame(columns).write_parquet(folder / "interactions.parquet")


def measured(command: list[str]) -> tuple[dict[str, float], str]:
    """Seconds and peak bytes of a command with its children, and its output."""
    started, peak = time.perf_counter(), [0]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        while process.poll() is None:
            peak[0] = max(peak[0], sum(map(_resident, _family(process.pid))))
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    output, _ = process.communicate()
    thread.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return {"seconds": time.perf_counter() - started, "peak_bytes": peak[0]}, output


def _family(process: int) -> list[int]:
    """A process, its children and theirs; Linux alone tells."""
    try:
        tasks = pathlib.Path(f"/proc/{process}/task")
        children = [
            each for task in tasks.iterdir() for each in (task / "children").read_text().split()
        ]
    except OSError:
        return []
    return [process, *(one for child in children for one in _family(int(child)))]


def _resident(process: int) -> int:
    try:
        return int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def figures(data: str, model: str) -> dict[str, Any]:
    """Of a model on a data folder, in this process: seconds of its parts."""
    import jax

    from benchmarks.step import Evaluation, Step, once, step_seconds
    from mmssl_jax import config as configs
    from mmssl_jax import models
    from mmssl_jax.training import session

    values = {"data.path": data, "train.steps_per_epoch": 20} | MODELS[model]
    config = models.resolve(configs.unflatten(configs.flatten(configs.Config()) | values))
    started = time.perf_counter()
    dataset = session.load_data(config)
    loaded = time.perf_counter() - started
    step = Step(config, dataset)
    seconds = step_seconds(step, 1)
    few = dataset.test.copy()
    few.data[few.indptr[min(RANKED, dataset.num_users)] :] = 0
    few.eliminate_zeros()
    evaluate = Evaluation(config, dataclasses.replace(dataset, test=few))
    share = np.count_nonzero(np.diff(few.indptr)) / np.count_nonzero(np.diff(dataset.test.indptr))
    epoch = int(dataset.train.nnz) // config.train.batch_size + 1
    whole = {}
    if config.train.fanout:
        whole["whole_epoch_min"] = once(lambda: _epoch(step, epoch)) / 60
    return whole | {
        "load_s": loaded,
        "set_up_s": step.compile_seconds,
        "step_s": seconds,
        "epoch_min": seconds * epoch / 60,
        "evaluation_s": once(evaluate.of(step)) / share,
        "device": jax.devices()[0].device_kind,
    }


def _epoch(step: Any, steps: int) -> Any:
    """The last losses of an epoch, whose steps are taken in calls as training does."""
    losses = None
    for first in range(0, steps, 20):
        losses = step.run(min(20, steps - first))
    return losses


def one_size(pairs: int, folder: pathlib.Path, models: list[str]) -> list[dict[str, Any]]:
    """The rows of a size: of its import, and of every model."""
    about = {"pairs": pairs, "users": pairs // 20, "items": pairs // 100}
    raw, data = folder / f"raw-{pairs}", folder / f"data-{pairs}"
    own = [sys.executable, "-m", "benchmarks.growth"]
    if not (raw / "interactions.parquet").exists():
        measured([*own, "--make", str(pairs), "--workdir", str(raw)])
    command = [sys.executable, "-m", "mmssl_jax", "data", "import"]
    command += [str(raw / "interactions.parquet"), "--to", str(data), "--split", "leave-last"]
    rows = [about | {"what": "import"} | measured([*command, "--k-core", "0", "--overwrite"])[0]]
    features = np.random.default_rng(0).standard_normal((_items(data), WIDTH), np.float32)
    np.save(data / "image_feat.npy", features)
    for model in models:
        costs, output = measured([*own, "--point", model, "--workdir", str(data)])
        found = json.loads(output.splitlines()[-1])
        rows.append(about | {"what": model, "peak_bytes": costs["peak_bytes"]} | found)
    return rows


def _items(data: pathlib.Path) -> int:
    return int(json.loads((data / "dataset.json").read_text())["items"])


def exponents(rows: list[dict[str, Any]]) -> dict[str, float]:
    """'what/figure' -> the power of the pairs with which it grows."""
    found = {}
    for what in dict.fromkeys(row["what"] for row in rows):
        own = [row for row in rows if row["what"] == what]
        for figure in own[0]:
            values = [row[figure] for row in own]
            if len(own) > 1 and figure.endswith(("_s", "seconds", "_bytes")):
                sizes = np.log([row["pairs"] for row in own])
                found[f"{what}/{figure}"] = float(np.polyfit(sizes, np.log(values), 1)[0])
    return found


def main() -> None:
    """The command line; --make and --point are for the processes that it starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures to a file")
    parser.add_argument("--workdir", type=pathlib.Path, default=pathlib.Path("runs/growth"))
    parser.add_argument("--most", type=float, default=PAIRS[-1], help="pairs of the largest size")
    parser.add_argument("--least", type=float, default=PAIRS[0], help="pairs of the smallest size")
    parser.add_argument("--model", choices=list(MODELS), help="by default all")
    parser.add_argument("--import-most", type=float, default=IMPORTED, help="0 leaves it out")
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--point", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        make(options.make, options.workdir)
        return
    if options.point:
        print(json.dumps(figures(str(options.workdir), options.point)))
        return
    rows: list[dict[str, Any]] = []
    models = [options.model] if options.model else list(MODELS)
    for pairs in (each for each in PAIRS if options.least <= each <= options.most):
        rows += one_size(pairs, options.workdir, models)
    powers = exponents(rows)
    if options.import_most:
        rows += one_size(int(options.import_most), options.workdir, [])
    Console(width=120).print(table(rows, powers))
    if options.json:
        content = {"data": "RANDOM", "cores": provenance.cores(), "commit": provenance.commit()}
        content |= {"rows": rows, "exponents": powers}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def table(rows: list[dict[str, Any]], powers: dict[str, float]) -> Table:
    """The figures, and below them the exponents."""
    names = (
        "seconds",
        "load_s",
        "set_up_s",
        "step_s",
        "epoch_min",
        "whole_epoch_min",
        "evaluation_s",
    )
    result = Table("pairs", "what", *names, "peak, GB", title="RANDOM data")
    for row in rows:
        cells = [f"{row[name]:.3g}" if name in row else "" for name in names]
        result.add_row(f"{row['pairs']:.0e}", row["what"], *cells, f"{row['peak_bytes'] / 1e9:.2f}")
    for what in dict.fromkeys(row["what"] for row in rows):
        keys = [f"{what}/{name}" for name in (*names, "peak_bytes")]
        cells = [f"{powers[key]:.2f}" if key in powers else "" for key in keys]
        result.add_row("exponent", what, *cells)
    return result


if __name__ == "__main__":
    main()
