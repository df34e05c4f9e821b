"""Where a search is kept between two calls: a database of Optuna, in the folder of the search."""

import contextlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import optuna
from optuna.distributions import distribution_to_json

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError, PlaceError
from mmssl_jax.runs.folder import describe

_STATES = optuna.trial.TrialState
PRUNED = _STATES.PRUNED
_ENDED = (_STATES.COMPLETE, PRUNED)


@contextlib.contextmanager
def database(path: pathlib.Path) -> Iterator[optuna.storages.RDBStorage]:
    """Where Optuna keeps a search, closed at the end.

    Raises InputError where it is no database, and PlaceError in the block where it cannot be
    written.
    """
    try:
        if path.is_file() and path.read_bytes()[:16] not in (b"SQLite format 3\0", b""):
            raise ValueError("no database of SQLite")  # Optuna would not close what it opened
        storage = optuna.storages.RDBStorage(f"sqlite:///{path.absolute()}")
    except Exception as error:
        raise _unusable(path, error) from error
    try:
        yield storage
    except optuna.exceptions.StorageInternalError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:200]
        raise PlaceError(
            f"{path}: cannot be read or written ({reason}); make room, and the same command goes on"
        ) from error
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _unusable(path: pathlib.Path, error: Exception) -> InputError:
    """Optuna, SQLAlchemy and SQLite all have kinds of errors of their own."""
    return InputError(
        f"{path}: cannot be used for a search ({type(error).__name__}); choose another --workdir, "
        "or remove it"
    )


def open_study(
    storage: optuna.storages.RDBStorage,
    folder: pathlib.Path,
    wanted: Mapping[str, Any],
    start: Mapping[str, Any],
) -> optuna.Study:
    """The search in a folder, new or continued; InputError where it is another one.

    Args:
      storage: of `database`.
      folder: of the search.
      wanted: its `identity`.
      start: the values of a new search's first trial.
    """
    try:
        study = optuna.create_study(
            storage=storage,
            study_name="tune",
            direction="maximize",
            # Settings of many layers or a low rate start slowly, and are not cut for it.
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=10),
            load_if_exists=True,
        )
        known: dict[str, Any] | None = study.user_attrs.get("identity")
        if known is None:
            study.set_user_attr("identity", wanted)
    except Exception as error:
        raise _unusable(folder / "tune.db", error) from error
    for part in wanted:
        if known is not None and known.get(part) != wanted[part]:
            raise InputError(
                f"{folder} holds another search, whose {part} differs; choose another --workdir"
            )
    for trial in study.get_trials(states=(_STATES.RUNNING,)):  # a kill stopped it
        study.tell(trial.number, state=_STATES.FAIL)
    if not study.get_trials(states=(*_ENDED, _STATES.WAITING)):
        study.enqueue_trial(dict(start))
    return study


def draw(study: optuna.Study, space: Mapping[str, Any], seed: int) -> optuna.Trial:
    """The next trial: the start, or values that follow from the seed and the trials that ended.

    So a trial that a kill has stopped is drawn again, and with it all that come after.
    """
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(ended(study)))
    return study.ask(dict(space))


def ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """The trials that have come to an end, but for those that a kill has stopped."""
    trials: list[optuna.trial.FrozenTrial] = study.get_trials(deepcopy=False, states=_ENDED)
    return trials


def known(study: optuna.Study, trial: optuna.Trial) -> float | None:
    """The value of an earlier trial of the same settings, whose attributes are taken as well."""
    for earlier in study.get_trials(deepcopy=False, states=(_STATES.COMPLETE,)):
        if earlier.params == trial.params:
            for name, attribute in earlier.user_attrs.items():
                trial.set_user_attr(name, attribute)
            value: float | None = earlier.value
            return value
    return None


def within(space: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The values that a config has for the fields of a search space, but for those outside it."""
    values = configs.flatten(models.resolve(config))

    def inside(value: Any, distribution: Any) -> bool:
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            return value in distribution.choices
        return bool(distribution.low <= value <= distribution.high)

    return {
        field: values[field]
        for field, distribution in space.items()
        if values.get(field) is not None and inside(values[field], distribution)
    }


def identity(
    config: Config, dataset: Dataset, space: Mapping[str, Any], seeds: int
) -> dict[str, Any]:
    """What a search must not change between two calls, as JSON reads it back."""
    fields = configs.flatten(models.resolve(config))
    fixed = {
        field: value
        for field, value in fields.items()
        if value is not None and field not in {*space, "data.path", "name"}
    }
    data = describe(dataset)
    known = {
        "config": fixed,
        "data set": [data["fingerprint"], data["features"]],
        "search space": {field: distribution_to_json(space[field]) for field in space},
        "number of seeds": seeds,
    }
    read_back: dict[str, Any] = json.loads(json.dumps(known))
    return read_back
