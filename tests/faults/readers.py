"""Every kind of folder that is read back, and the numbers that its reader makes of it."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import numpy as np
from scipy.sparse import csr_array
from worlds import COLD, ITEMS, USERS, config_of, world

from mmssl_jax import data, training
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset, mapped_pairs
from mmssl_jax.data.layouts import canonical
from mmssl_jax.data.tables import ranked_lists
from mmssl_jax.files import atomic, sealed
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving import export, vector_index
from mmssl_jax.studies import compare
from mmssl_jax.training import session, stopping
from mmssl_jax.training.epochs import Outside

EPOCHS = 3
_VECTORS = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)


class Reader(NamedTuple):
    """Files, of which one is damaged at a time, and what is read of them.

    Attributes:
      name: in the table.
      files: below the folder.
      read: the numbers; InputError where the damage is noticed.
      faults: of a whole campaign.
    """

    name: str
    files: list[Path]
    read: Callable[[], dict[str, Any]]
    faults: int


def all_readers(folder: Path) -> list[Reader]:
    """One of each kind, in folders of their own."""
    return [
        *_data(folder / "data"),
        *_run(folder / "runs"),
        _index(folder / "caches"),
        _pairs(folder / "more caches"),
    ]


def files_of(folder: Path) -> list[Path]:
    """All that are not empty."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]


# Data


def _dataset() -> Dataset:
    """Everything that a folder can hold."""
    rng = np.random.default_rng(1)
    present = np.ones(ITEMS, bool)
    present[COLD] = False
    whole = world()
    features = dict(whole.features) | {
        "text": np.where(present[:, None], whole.features["text"], 0)
    }
    return dataclasses.replace(
        whole,
        features=features,
        present={"text": present},
        user_ids=tuple(f"user {user}" for user in range(USERS)),
        item_ids=tuple(f"B{item:03}" for item in range(ITEMS)),
        item_titles=tuple(f"Title {item}" for item in range(ITEMS)),
        user_features={"profile": rng.normal(size=(USERS, 4)).astype(np.float32)},
        attributes={"title": rng.normal(size=(ITEMS, 3)).astype(np.float32)},
        augmented=np.array([[3, 1, 2], [5, 7, 9]]),
    )


def _data(folder: Path) -> list[Reader]:
    dataset = _dataset()
    canonical.write(dataset, folder / "json", {"layout": "tests"})
    with mock.patch.object(canonical, "MOST_IN_JSON", 0):
        canonical.write(dataset, folder / "parquet", {"layout": "tests"})
    return [
        Reader(f"data folder ({kind})", files_of(folder / kind), _reads_data(folder / kind), faults)
        for kind, faults in (("json", 3000), ("parquet", 1500))
    ]


def _reads_data(folder: Path) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        dataset = data.load(str(folder))
        arrays = {**dataset.features, **dataset.side_information}
        arrays |= {f"present {name}": mask for name, mask in dataset.present.items()}
        found = {
            "pairs": dataset.fingerprint,
            "name": dataset.name,
            "synthetic": dataset.synthetic,
            "users": dataset.user_ids,
            "items": dataset.item_ids,
            "titles": dataset.item_titles,
        }
        return found | {name: bits(array) for name, array in arrays.items()}

    return read


def bits(array: Any) -> tuple[str, tuple[int, ...], bytes]:
    """An array's type, shape and bytes."""
    array = np.asarray(array)
    return str(array.dtype), array.shape, array.tobytes()


# Runs


def _run(folder: Path) -> list[Reader]:
    """A run that was finished, and stopped again on its way to another epoch."""
    dataset, run = world(), RunFolder(folder / "run")
    config = _config(EPOCHS)
    training.train(config, dataset, run.folder, outside=Outside(quiet=True))
    compare._per_user(config, dataset, run, run.read_results())
    _export(config, dataset, run, folder)
    _stop(dataset, run)
    of_checkpoints = [*files_of(run.checkpoints), *files_of(run.stopped)]
    small = [run.config, run.metrics, run.results, run.tracked, run.folder / "per_user.npz"]
    with session.checkpoints_of(run) as checkpoints:
        assert checkpoints.best_epoch != checkpoints.latest_epoch  # so that each can be lost
    return [
        Reader("run: its small files", small, _reads_small_files(run), 3500),
        Reader("run: checkpoints", of_checkpoints, _reads_states(config, dataset, run), 900),
        *(_lists(folder / kind, kind) for kind in ("tsv", "parquet")),
    ]


def _config(epochs: int) -> Config:
    """Of a model whose best epoch is not the last: with such steps it gets worse."""
    return config_of("mf", train__epochs=epochs, train__learning_rate=5.0, train__patience=9)


def _stop(dataset: Dataset, run: RunFolder) -> None:
    """Lets the run go on, and asks it to end between two validations."""
    run.tracked.write_text("")
    try:
        outside = Outside(asked=lambda: True, quiet=True)
        training.train(_config(EPOCHS + 1), dataset, run.folder, outside=outside)
    except training.Stopped:
        atomic.write_json(run.tracked, sealed.sealed({"wandb": {"id": "abcdef12", "epoch": 3}}))
        return
    raise AssertionError("it did not stop")


def _reads_small_files(run: RunFolder) -> Callable[[], dict[str, Any]]:
    def read() -> dict[str, Any]:
        content = run.stored()
        fields = {name: value for name, value in content["config"].items() if name != "data.path"}
        summary = run.read_results()
        kept = compare._kept_per_user(run.folder / "per_user.npz", RESULTS_OF[run.folder])
        found = {"config": fields, "dataset": content["dataset"], "results": summary}
        found["metrics"] = run.read_metrics(EPOCHS, has=EPOCHS)
        found["tracked"] = sealed.read(run.tracked, "remove it")
        if kept is not None:  # else it is made anew
            found |= {f"per user: {name}": bits(array) for name, array in kept.items()}
        return found

    RESULTS_OF[run.folder] = run.read_results()
    return read


RESULTS_OF: dict[Path, dict[str, Any]] = {}


def _reads_states(config: Config, dataset: Dataset, run: RunFolder) -> Callable[[], dict[str, Any]]:
    like = session.prepare(config, dataset).shape_of_state()

    def read() -> dict[str, Any]:
        with session.checkpoints_of(run, clean=False) as checkpoints:
            latest, best = checkpoints.latest_epoch, checkpoints.best_epoch
            checkpoints.restore(latest, like)
            part = stopping.load(run, like, latest * 4)
            session.check_best(part.state, best, run)
            of_best = checkpoints.restore(best, like)
            session.check_best(of_best, best, run)
        terms = {name: values.tolist() for name, values in part.terms.items()}
        found = {"latest": latest, "best": best, "terms": terms, "seconds": part.seconds}
        for name, state in (("best", of_best), ("stopped", part.state)):
            leaves = jax.tree.leaves_with_path(state)
            found |= {f"{name}{jax.tree_util.keystr(path)}": bits(leaf) for path, leaf in leaves}
        return found

    return read


# Exports and caches


def _export(config: Config, dataset: Dataset, run: RunFolder, folder: Path) -> None:
    trained = session.best_of_run(config, dataset, run)
    for kind in ("tsv", "parquet"):
        export.export(trained, folder / kind, kind=kind, top=5)


def _lists(folder: Path, kind: str) -> Reader:
    path = folder / f"lists.{kind}"

    def read() -> dict[str, Any]:
        lists = ranked_lists.read(path, dict.fromkeys(("user", "item", "rank", "score")))
        arrays = (lists.users, lists.items, lists.worth)
        found = {name: bits(each) for name, each in zip("uiw", arrays, strict=True)}
        return found | {"users": lists.user_ids, "items": lists.item_ids, "by": lists.by}

    files = [path, folder / "files.sha256"]
    return Reader(f"exported lists ({kind})", files, read, 300)


def _index(folder: Path) -> Reader:
    """The kept index of vectors: what is damaged is made anew."""
    order = np.arange(len(_VECTORS))

    def read() -> dict[str, Any]:
        with (
            mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}),
            mock.patch.object(vector_index, "_MANY", 100),
        ):
            found, scores = vector_index.VectorIndex(_VECTORS, order, "hnsw").search(_VECTORS, 5)
        return {"items": bits(found), "scores": bits(scores)}

    read()
    return Reader("kept index of vectors", files_of(folder), read, 500)


def _pairs(folder: Path) -> Reader:
    """The sorted pairs that processes map: what is damaged is made anew."""
    matrices = {"train": world().train, "test": world().test}

    def source(matrix: csr_array) -> mapped_pairs.Source:
        users, items = matrix.nonzero()
        return mapped_pairs.Source(lambda: iter([(users, items)]), len(users), *matrix.shape)

    def read() -> dict[str, Any]:
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder)}):
            sources = {split: source(matrix) for split, matrix in matrices.items()}
            splits = mapped_pairs.splits("tests", sources)
        return {
            f"{split} {number} {name}": bits(getattr(matrix, name))
            for split, mapped in (splits or {}).items()
            for number, matrix in enumerate((mapped.matrix, mapped.by_item))
            for name in ("indptr", "indices", "data")
            if matrix is not None
        }

    assert read()
    return Reader("kept pairs", files_of(folder), read, 500)
