"""The folder of a run: config.json, metrics.jsonl, checkpoints/ and results.json."""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, sealed
from mmssl_jax.runs import metric_rows, processes

# Of a run's folder. Version 0 has no number, and the config fields of all models. A change that an
# older program could not read gets the next number; what this one wrote before stays readable.
VERSION = 1

_LONGEST = 3800  # bytes of a path: systems take 4096, and orbax's files are up to 200 further down

# Fields that may differ when a run is continued: they do not change the steps already taken.
_MAY_CHANGE = {
    "name",
    "data.path",
    "train.epochs",
    "train.steps_per_call",
    "evaluation.user_block",
    "mesh.data",
    "mesh.model",
}


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.config = folder / "config.json"
        self.metrics = folder / "metrics.jsonl"
        self.checkpoints = folder / "checkpoints"
        self.stopped = folder / "stopped"  # a checkpoint between two validations
        self.results = folder / "results.json"
        self.tracked = folder / "tracked.json"  # what trackers call the run

    @contextlib.contextmanager
    def open(
        self, config: Config, dataset: Dataset, resolve: Callable[[Config], Config]
    ) -> Iterator[None]:
        """Takes the folder for a run of this config on this data set, new or continued.

        Of several processes the first takes it, and the others wait for that.

        Args:
          config: resolved.
          dataset: the data.
          resolve: gives the config that is stored here the fields that came later.

        Raises:
          InputError: the folder holds another run, is in use, or cannot be written.
        """
        if not processes.is_first():
            processes.wait("folder")
            yield
            return
        self._check_path()
        stored = self.read() if self.config.exists() else None
        kept = self.checkpoints.is_dir() and any(self.checkpoints.iterdir())
        if stored and (kept or self.results.exists()):  # a start that failed binds nobody
            self._check_same_run((resolve(stored[0]), stored[1]), config, dataset)
        elif stored is None and self.checkpoints.exists():
            raise InputError(
                f"{self.folder} holds checkpoints but no config.json; choose another --workdir"
            )
        if self.checkpoints.is_file() or self.metrics.is_dir():
            raise InputError(
                f"{self.folder} holds no run of this program; choose another --workdir"
            )
        with atomic.locked(self.folder, "training"):
            content = {"version": VERSION, "config": configs.flatten(config)}
            content["dataset"] = describe(dataset)
            atomic.write_json(self.config, sealed.sealed(content, _that_counts))
            processes.wait("folder")
            yield

    def _check_path(self) -> None:
        """Raises InputError for a path that no file can have, or that orbax cannot take."""
        path = str(self.folder.absolute())
        try:
            length = len(path.encode())
        except UnicodeEncodeError as error:  # bytes of a name that are no text
            raise InputError(f"{path}: a run's path must be UTF-8; rename the folder") from error
        if length > _LONGEST:
            raise InputError(
                f"{path[:60]}... has {length} bytes, and with more than {_LONGEST} there is no "
                "room for the names of checkpoints; name another folder for the run"
            )
        if set(path) & (set("[]*?\\") - {os.sep}):
            raise InputError(
                f"{path} has one of the characters [ ] * ? \\, which checkpoints cannot be found "
                "under; name another folder for the run"
            )
        try:
            self.config.exists()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot use {path}: {reason}; name another folder") from error

    def read(self) -> tuple[Config, dict[str, Any]]:
        """The config of the run in the folder, and the description of its data set."""
        content = self.stored()
        try:
            return configs.unflatten(content["config"]), dict(content["dataset"])
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{self.config} is not the config of a run: {error}") from error

    def stored(self) -> dict[str, Any]:
        """The content of config.json: its `config`, and what describes its `dataset`."""
        self._check_path()
        if not self.config.exists():
            raise InputError(
                f"{self.folder} holds no run (no config.json); run mmssl train, or name the folder "
                "of a run"
            )
        content = atomic.read_json(self.config)
        if not isinstance(content, dict) or {"config", "dataset"} - content.keys():
            raise InputError(f"{self.config} is not the config of a run; name another folder")
        version = content.get("version", 0)
        if not isinstance(version, int) or version > VERSION:
            raise InputError(
                f"{self.config} was written by a newer mmssl_jax (its format is {version!r}, this "
                f"one reads up to {VERSION}); upgrade, or name another run"
            )
        remedy = f"get it from a copy, or name another run{sealed.IF_MEANT}"
        return sealed.opened(content, str(self.config), remedy, _that_counts)

    def _check_same_run(
        self, stored: tuple[Config, dict[str, Any]], config: Config, dataset: Dataset
    ) -> None:
        if changed := changed_fields(stored[0], config):
            path, (was, now) = next(iter(changed.items()))
            raise InputError(
                f"{self.folder} holds another run: its {path} is {was!r}, not {now!r}; "
                f"choose another --workdir"
            )
        check_dataset(stored[1], dataset, self.folder)

    def read_metrics(self, up_to_epoch: int, has: int = 0) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl up to an epoch; later ones are of a run that was killed.

        Args:
          up_to_epoch: of the last row.
          has: an epoch that is among those of the rows, where there is a file of them at all.

        Raises:
          InputError: a line is no row or was damaged, or the file is cut short.
        """
        return metric_rows.read(self.metrics, up_to_epoch, has)

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Writes metrics.jsonl, one row an evaluated epoch; the first process does."""
        if processes.is_first():
            metric_rows.write(self.metrics, rows)

    def read_results(self) -> Any:
        """The content of results.json; InputError where it is missing or damaged."""
        return sealed.read(self.results, "the same mmssl train writes it anew")

    def write_results(self, summary: dict[str, Any]) -> None:
        """Writes results.json."""
        atomic.write_json(self.results, sealed.sealed(summary))


def _that_counts(content: Mapping[str, Any]) -> dict[str, Any]:
    """Of a config.json, all but where the data is, which may move."""
    fields = content["config"]
    if isinstance(fields, dict):
        fields = {path: value for path, value in fields.items() if path != "data.path"}
    return {**content, "config": fields}


def changed_fields(stored: Config, config: Config) -> dict[str, tuple[Any, Any]]:
    """Field -> what it was and is, of those for which a run of `stored` is none of `config`.

    Both are resolved, so that a field that a run of earlier code lacks has its default.
    """
    was, now = configs.flatten(stored), configs.flatten(config)
    return {
        path: (was.get(path), now[path])
        for path in now
        # What the model does not read, such as another's variant, is None.
        if now[path] is not None and now[path] != was.get(path) and path not in _MAY_CHANGE
    }


def describe(dataset: Dataset) -> dict[str, Any]:
    """What identifies a data set in a run's files."""
    return {
        "name": dataset.name,
        "synthetic": dataset.synthetic,
        "fingerprint": dataset.fingerprint,
        "final": dataset.final,
        "users": dataset.num_users,
        "items": dataset.num_items,
        "modalities": {name: array.shape[1] for name, array in dataset.features.items()},
        "features": {name: _feature_sha256(dataset, name) for name in dataset.features},
        "side": {name: _sha256(array) for name, array in dataset.side_information.items()},
        "ids": _ids_sha256(dataset),
        "warnings": list(dataset.warnings),
    }


def _sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _ids_sha256(dataset: Dataset) -> str:
    """Of the raw ids: with others, what is recommended would be called by wrong names."""
    return hashlib.sha256(json.dumps([dataset.user_ids, dataset.item_ids]).encode()).hexdigest()


def _feature_sha256(dataset: Dataset, modality: str) -> str:
    """Of the features, and of which items lack them: a zero row is another thing if it is real."""
    digest = hashlib.sha256(np.ascontiguousarray(dataset.features[modality]).data)
    if modality in dataset.present:
        digest.update(np.ascontiguousarray(dataset.present[modality]).data)
    return digest.hexdigest()


def check_dataset(known: dict[str, Any], dataset: Dataset, folder: pathlib.Path) -> None:
    """Raises InputError where a run in `folder` was trained on other data."""
    now = describe(dataset)
    if bool(known.get("final")) != dataset.final:
        how = "without" if dataset.final else "with"
        raise InputError(
            f"{folder} holds a run that was trained {how} --final; choose another --workdir"
        )
    known = {"side": {}} | known  # a run of earlier code
    for key in ("fingerprint", "modalities", "features", "side", "ids"):
        if known.get(key) != now[key]:
            raise InputError(
                f"the run in {folder} is of another data set: its {key} is {known.get(key)}, that "
                f"of '{dataset.name}' is {now[key]}; give the same data or name another run"
            )
