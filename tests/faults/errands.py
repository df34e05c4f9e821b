"""Commands on a tiny data set, each with what it must leave: what the campaigns disturb."""

import contextlib
import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from stand_in_encoder import Fake
from worlds import ROOT, SECONDS, code_of

from faults import power_cut
from mmssl_jax.data.encoding import encoders
from mmssl_jax.files import caches

USERS, ITEMS, EPOCHS = 24, 36, 4
_CONFIG = """
from mmssl_jax.config import Config


def get_config():
    config = Config()
    config.data.path = {path!r}
    config.data.modalities = "none"
    config.model.name = "lightgcn"
    config.model.embedding_dim = 8
    config.model.layers = 1
    config.train.batch_size = 16
    config.train.epochs = {epochs}
    config.train.steps_per_epoch = 4
    config.train.steps_per_call = 4
    config.train.evaluate_every = 1
    config.evaluation.cutoffs = (5, 20)
    return config


def get_search_space():
    from optuna.distributions import FloatDistribution

    return {{"train.learning_rate": FloatDistribution(1e-3, 1e-1, log=True)}}
"""


class Errand(NamedTuple):
    """A command, where it writes below a folder, and what of that two calls have in common."""

    arguments: Callable[[Path], list[str]]
    output: str
    result: Callable[[Path], Any]


def prepare(folder: Path, *, parquet: bool = False) -> None:
    """Writes what the commands read: a table of ratings, one of items, a config."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows = np.random.default_rng(0), ["user,item"]
    for user in range(USERS):
        liked = rng.permutation(np.arange(user % 2, ITEMS, 2))[:12]
        rows += [f"u{user},i{item}" for item in liked]
    (folder / "ratings.csv").write_text("\n".join(rows) + "\n")
    if parquet:
        import polars

        polars.read_csv(folder / "ratings.csv").write_parquet(folder / "ratings.parquet")
    items = [f"i{item},{'' if item % 5 == 0 else f'title {item}'}" for item in range(ITEMS)]
    (folder / "items.csv").write_text("\n".join(["id,title", *items]) + "\n")
    config = _CONFIG.format(path=str(folder / "data"), epochs=EPOCHS)
    (folder / "tiny.py").write_text(config)


def environment() -> Mapping[str, str]:
    """Of a process of its own that runs commands: quick to compile, and seldom."""
    cache = caches.own_folder("tests")
    kept = {} if cache is None else {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    return (
        os.environ
        | kept
        | {
            "JAX_PLATFORMS": "cpu",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            "XLA_FLAGS": "",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests"))),
        }
    )


def run(errand: Errand, folder: Path) -> int:
    """Runs a command in this process, with an encoder that needs no weights; its exit code."""
    with mock.patch.object(encoders, "load", Fake().load):
        return code_of(errand.arguments(folder))


def run_quietly(errand: Errand, folder: Path) -> tuple[int, str]:
    """`run`, and what it prints."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        return run(errand, folder), said.getvalue()


def _trained(run: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "metrics": timeless(rows),
        "results": timeless(json.loads((run / "results.json").read_text())),
        "checkpoints": sorted(path.name for path in (run / "checkpoints").iterdir()),
        "vectors": _arrays(run),
    }


def _arrays(run: Path) -> dict[str, bytes]:
    """The values of the checkpoints."""
    import jax
    from orbax.checkpoint import v1 as ocp

    found = {}
    for path in sorted((run / "checkpoints").iterdir()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # orbax asks for shardings
            state = jax.tree.map(np.asarray, ocp.load(path))
        found |= {f"{path.name}{name}": array.tobytes() for name, array in state.items()}
    return found


def timeless(value: Any) -> Any:
    """JSON without what no two runs share: seconds, commands and places."""
    if isinstance(value, dict):
        left = {key: each for key, each in value.items() if not _passing(key)}
        return {key: timeless(each) for key, each in left.items()}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def _passing(key: str) -> bool:
    return key in SECONDS or "seconds" in key or key in ("command", "cores", "commit")


def _json(path: Path) -> Any:
    return timeless(json.loads(path.read_text()))


def _encoded(folder: Path) -> power_cut.Content:
    left = power_cut.read(folder)
    return {name: data for name, data in left.items() if not name.startswith(".")}


def _import(table: str, name: str, *flags: str) -> Callable[[Path], list[str]]:
    return lambda at: ["data", "import", str(at / table), "--to", str(at / name), *flags]


def _on_config(command: str, name: str, *flags: str) -> Callable[[Path], list[str]]:
    return lambda at: [command, f"--config={at / 'tiny.py'}", f"--workdir={at / name}", *flags]


ERRANDS = {
    "import": Errand(_import("ratings.csv", "data"), "data", power_cut.read),
    "replace": Errand(
        _import("ratings.csv", "data", "--overwrite", "--seed=7"), "data", power_cut.read
    ),
    "parquet": Errand(
        _import("ratings.parquet", "parquet", "--overwrite"), "parquet", power_cut.read
    ),
    "encode": Errand(
        lambda at: [
            *("encode", "--to", str(at / "encoded"), "--items", str(at / "items.csv")),
            *("--text", "title", "--batch-size", "2"),
        ],
        "encoded",
        _encoded,
    ),
    "train": Errand(_on_config("train", "run"), "run", _trained),
    "more": Errand(
        _on_config("train", "run", f"--config.train.epochs={EPOCHS + 2}"), "run", _trained
    ),
    "export": Errand(
        lambda at: _on_config("export", "run", "--to", str(at / "exported"))(at),
        "exported",
        power_cut.read,
    ),
    "long": Errand(
        _on_config("train", "run", "--config.train.epochs=30", "--config.train.patience=30"),
        "run",
        _trained,
    ),
    "beside": Errand(
        _on_config("train", "compared/lightgcn/seed-2022"), "compared/lightgcn/seed-2022", _trained
    ),
    "compare": Errand(
        _on_config("compare", "compared", "--models", "popularity,lightgcn", "--seeds", "1"),
        "compared",
        lambda at: _json(at / "compare.json"),
    ),
    "tune": Errand(
        _on_config("tune", "tuned", "--trials", "2"), "tuned", lambda at: _json(at / "tune.json")
    ),
}
