"""Which runs there are below a folder, in a few words each."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder

_DEPTH = 5  # runs/compare/<study>/<model>/seed-1


def runs(root: pathlib.Path) -> list[dict[str, Any]]:
    """Every run below a folder, sorted by path, as JSON values.

    Model, data and best epoch are None where nothing says them, the test Recall@20 also where the
    run is not finished, was trained on all pairs, or is a trial of a search.
    """
    return [_described(RunFolder(folder)) for folder in _folders(root)]


def _folders(root: pathlib.Path) -> Iterator[pathlib.Path]:
    for name, below, files in os.walk(root):
        folder = pathlib.Path(name)
        below.sort()
        if "config.json" in files:
            yield folder
        if "config.json" in files or len(folder.relative_to(root).parts) == _DEPTH:
            below.clear()


def _described(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = {"folder": str(run.folder), "problem": None}
    try:
        config = run.stored()
        results = run.read_results() if run.results.exists() else {}
        found |= {
            "model": config["config"]["model.name"],
            "data": config["dataset"]["name"],
            "finished": bool(results),
            "best_epoch": results.get("best_epoch"),
            "test/recall@20": results.get("test/recall@20"),
        }
    except InputError as error:
        found["problem"] = str(error)
    except (LookupError, TypeError, AttributeError):
        found["problem"] = f"{run.folder} does not have the files of a run"
    return found
