"""The folder of a run: config.json, metrics.jsonl, checkpoints/ and results.json."""

import contextlib
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.runs import processes

# Of a run's folder. Version 0 has no number, and the config fields of all models. A change that an
# older program could not read gets the next number; what this one wrote before stays readable.
VERSION = 1

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
            atomic.write_json(self.config, content | {"dataset": describe(dataset)})
            processes.wait("folder")
            yield

    def _check_path(self) -> None:
        """Raises InputError for a path that no file can have, or that orbax cannot take."""
        path = str(self.folder.absolute())
        try:
            path.encode()
        except UnicodeEncodeError as error:  # bytes of a name that are no text
            raise InputError(f"{path}: a run's path must be UTF-8; rename the folder") from error
        if set(path) & set("[]*?"):
            raise InputError(
                f"{path} has one of the characters [ ] * ?, which checkpoints cannot be found "
                "under; name another folder for the run"
            )
        try:
            self.config.exists()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot use {path}: {reason}; name another folder") from error

    def read(self) -> tuple[Config, dict[str, Any]]:
        """The config of the run in the folder, and the description of its data set."""
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
                f"{self.folder} was written by a newer mmssl_jax (its format is {version!r}, this "
                f"one reads up to {VERSION}); upgrade, or name another run"
            )
        try:
            return configs.unflatten(content["config"]), dict(content["dataset"])
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{self.config} is not the config of a run: {error}") from error

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

    def read_metrics(self, up_to_epoch: int) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl up to an epoch; later ones are of a run that was killed.

        Raises:
          InputError: a line is no row.
        """
        if not self.metrics.exists():
            return []
        rows = []
        lines = self.metrics.read_bytes().splitlines()
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                if type(row["epoch"]) is not int:
                    raise TypeError
                rows += [row] if row["epoch"] <= up_to_epoch and row["seconds"] >= 0 else []
            except (ValueError, TypeError, LookupError) as error:
                raise InputError(
                    f"{self.metrics}, line {number}: is not a row of metrics; correct or remove "
                    "the line"
                ) from error
        return rows

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Writes metrics.jsonl, one row an evaluated epoch; the first process does."""
        if processes.is_first():
            atomic.write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))


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
