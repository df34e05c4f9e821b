"""The rows of metrics.jsonl, told to TensorBoard, Weights & Biases or MLflow as they come.

A run that goes on tells its earlier rows again, so each tracker finds out what it has already.
"""

import contextlib
import importlib
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, sealed
from mmssl_jax.runs import processes
from mmssl_jax.runs.folder import RunFolder

Row = Mapping[str, Any]  # of metrics.jsonl
Told = Callable[[Row], None]
PROJECT = "mmssl_jax"  # of the runs, in Weights & Biases and MLflow
# Deep enough that a folder of logs, which wandb calls 'wandb', is not taken for the package.
_NEEDED = {"tensorboard": "tensorboard.summary", "wandb": "wandb.sdk", "mlflow": "mlflow.tracking"}


def check_installed(kind: str) -> None:
    """Raises InputError where the extra of a tracker is not installed."""
    try:
        importlib.import_module(_NEEDED[kind])
    except ImportError as error:
        raise InputError(f'--track {kind} needs {kind}: pip install ".[{kind}]"') from error


@contextlib.contextmanager
def tracking(
    kind: str | None, run: RunFolder, config: Config, warn: Callable[[str], None]
) -> Iterator[Told]:
    """Gives what takes the rows of a run, for a tracker of `TRACKERS`; None is for no tracker.

    The tracker is opened at the first row, when the folder is surely that of the run. One that
    fails then or later is left alone, with a warning: training goes on, and metrics.jsonl has all.

    Raises:
      InputError: the tracker is not installed.
    """
    if kind is None or not processes.is_first():
        yield lambda row: None
        return
    check_installed(kind)
    stack = contextlib.ExitStack()
    tell: Told | None = None
    failed = False

    @contextlib.contextmanager
    def given_up() -> Iterator[None]:
        nonlocal failed
        try:
            yield
        except Exception as error:  # of a library, a server or a network: any kind
            failed = True
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            warn(f"--track {kind} is given up ({reason}); metrics.jsonl has every row")

    def told(row: Row) -> None:
        nonlocal tell
        if failed:
            return
        with given_up():
            tell = tell or stack.enter_context(TRACKERS[kind](run, config))
            tell(row)

    try:
        yield told
    finally:
        with given_up():
            stack.close()


@contextlib.contextmanager
def _tensorboard(run: RunFolder, config: Config) -> Iterator[Told]:
    """Event files in the run's folder, written anew by every process that trains the run."""
    from tensorboard.summary import Writer

    folder = run.folder / "tensorboard"
    shutil.rmtree(folder, ignore_errors=True)
    writer = Writer(str(folder))

    def tell(row: Row) -> None:
        for key, value in numbers(row).items():
            writer.add_scalar(key, value, row["epoch"])
        writer.flush()

    try:
        yield tell
    finally:
        writer.close()


@contextlib.contextmanager
def _wandb(run: RunFolder, config: Config) -> Iterator[Told]:
    """A run of Weights & Biases, online or offline as its own settings say.

    What was told is noted before it is told: a kill between may cost an epoch, and doubles none.
    """
    import wandb

    known = _known(run).get("wandb", {})
    name = known.get("id") or secrets.token_hex(4)
    opened = wandb.init(
        project=PROJECT,
        name=run.folder.name,
        id=name,
        resume="allow",
        dir=str(run.folder),
        config=configs.flatten(config),
    )
    last = known.get("epoch", 0)

    def tell(row: Row) -> None:
        if row["epoch"] > last:
            _note(run, "wandb", {"id": name, "epoch": row["epoch"]})
            opened.log(numbers(row), step=row["epoch"])

    try:
        yield tell
    finally:
        opened.finish()


@contextlib.contextmanager
def _mlflow(run: RunFolder, config: Config) -> Iterator[Told]:
    """A run in the store that MLflow's own settings name, which says which epochs it has."""
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient()
    name = _known(run).get("mlflow", {}).get("id")
    if name is None:
        found = client.get_experiment_by_name(PROJECT)
        place = found.experiment_id if found else client.create_experiment(PROJECT)
        name = client.create_run(place, run_name=run.folder.name).info.run_id
        _note(run, "mlflow", {"id": name})
        settings = configs.flatten(config).items()
        client.log_batch(name, params=[Param(key, str(value)) for key, value in settings])
    had: dict[str, set[int]] = {}

    def tell(row: Row) -> None:
        now, epoch = round(1000 * time.time()), row["epoch"]
        metrics = []
        for key, value in numbers(row).items():
            key = key.replace("@", "_at_")  # which MLflow takes in no name
            if key not in had:
                had[key] = {each.step for each in client.get_metric_history(name, key)}
            if epoch not in had[key]:
                metrics.append(Metric(key, value, now, epoch))
                had[key].add(epoch)
        client.log_batch(name, metrics=metrics)

    yield tell
    client.set_terminated(name)


TRACKERS = {"tensorboard": _tensorboard, "wandb": _wandb, "mlflow": _mlflow}


def numbers(row: Row) -> dict[str, float]:
    """What of a row is a number, by the same keys."""
    return {
        key: float(value)
        for key, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _known(run: RunFolder) -> dict[str, Any]:
    """What was noted of the run's trackers."""
    found = (
        sealed.read(run.tracked, "remove it, and the run is told as a new one")
        if run.tracked.exists()
        else {}
    )
    return found if isinstance(found, dict) else {}


def _note(run: RunFolder, kind: str, what: dict[str, Any]) -> None:
    atomic.write_json(run.tracked, sealed.sealed(_known(run) | {kind: what}))
