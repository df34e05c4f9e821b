"""One of several processes that train the models of a test: `python process_driver.py JSON`."""

import dataclasses
import json
import os
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np
from worlds import config_of, world

from mmssl_jax import training
from mmssl_jax.data import Dataset, load, mapped_pairs
from mmssl_jax.data.layouts import canonical
from mmssl_jax.graphs import host_graph
from mmssl_jax.runs import processes
from mmssl_jax.runs.folder import RunFolder

SETTINGS: dict[str, dict[str, Any]] = {  # a run's name -> its config
    "mmssl": {"critic.hidden": 16, "mmssl.feature_dropout": 0.2},
    "lattice": {"item_graph.neighbors": 5},
    "lightgcn": {},
    "ease": {"ease.l2": (10.0,), "train.steps_per_epoch": 1, "train.epochs": 1},
}
STEPS = {"train.steps_per_epoch": 5, "train.epochs": 4}  # 20 in all


def data() -> Dataset:
    """What they train on: 30 users, which no number of devices here divides."""
    return world()


def mapped() -> Dataset:
    """`data`, with its pairs in files that are mapped, as many pairs are."""
    mapped_pairs.MAPPED_FROM = 1
    canonical.MOST_IN_JSON = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        canonical.write(data(), pathlib.Path(folder) / "tiny", {})
        found = load(str(pathlib.Path(folder) / "tiny"))
    assert found.mapped_by_item is not None
    assert not found.train.indices.flags.writeable
    return dataclasses.replace(found, warnings=())


def train(name: str, folder: pathlib.Path, dataset: Dataset, **mesh: int) -> None:
    """Trains a model and scores it anew, in this process or with the others."""
    settings = STEPS | SETTINGS[name] | {f"mesh.{axis}": count for axis, count in mesh.items()}
    config = config_of(name, **settings)
    summary = training.train(config, dataset, folder / name)
    again = training.evaluate_run(config, dataset, RunFolder(folder / name))
    scores = [figure for figure in summary if figure.startswith(("val/", "test/"))]
    for figure in scores:
        np.testing.assert_allclose(again[figure], summary[figure], rtol=1e-6, err_msg=figure)
    assert scores


def whole(graph: host_graph.HostGraph) -> None:
    """Stands for what makes a graph on one device: no process may have to."""
    raise AssertionError(f"a whole graph of shape {graph.shape} is made")


def end(reason: str) -> None:
    """Ends this process from the thread that calls the roll."""
    print(reason, flush=True)
    os._exit(3)


def main() -> None:
    """Trains all models as the JSON says."""
    task = json.loads(sys.argv[1])
    host_graph.HostGraph.on_device = property(whole)
    processes.join(task["coordinator"], task["count"], task["process"])
    with processes.Roll(end):
        for name in task["models"]:
            train(name, pathlib.Path(task["folder"]), mapped(), **task["mesh"])
        processes.wait("end")


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
