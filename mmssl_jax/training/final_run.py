"""The config of a run on all pairs, for serving.

As nothing is held out, the number of epochs is given, or taken from the best epoch of another run.
"""

from typing import Any

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder, describe


def config_for(given: Config, overrides: dict[str, Any]) -> Config:
    """The config, resolved, of a final run by a config file and flags.

    Raises:
      InputError: no flag gives train.epochs, and the model has no schedule of its own.
    """
    config = models.resolve(given)
    if "train.epochs" not in overrides and not models.defined(config).schedule:
        raise InputError(
            "--final trains on all pairs, so no validation says when to stop: give "
            "--config.train.epochs=N, or --final-from RUN for the best epoch of a finished run"
        )
    return config


def check_data(run: RunFolder, dataset: Dataset) -> str:
    """Returns a warning if the data differs from that of the run whose epochs are used, else ''.

    Raises:
      InputError: it has other modalities.
    """
    _, known = run.read()
    now = describe(dataset)
    if known.get("modalities") != now["modalities"]:
        raise InputError(
            f"the run in {run.folder} has the modalities {known.get('modalities')}, not those of "
            f"'{dataset.name}', {now['modalities']}; give the same data, or --final with epochs of "
            "its own"
        )
    differ = [key for key in ("users", "items", "ids", "features") if known.get(key) != now[key]]
    if not differ:
        return ""
    return (
        f"'{dataset.name}' is not as in the run in {run.folder} (its {', '.join(differ)} differ), "
        "whose epochs are taken all the same"
    )


def config_from(run: RunFolder, overrides: dict[str, Any]) -> tuple[Config, str]:
    """The resolved config of a final run that stops at another run's best epoch; that in words.

    Raises:
      InputError: there is no finished run, or a field besides data.path is given.
    """
    if others := overrides.keys() - {"data.path"}:
        raise InputError(
            f"--config.{min(others)} cannot be given with --final-from, which takes that run's own "
            "config; only --config.data.path can"
        )
    stored, _ = run.read()
    if not run.results.exists():
        raise InputError(f"{run.folder} has no results.json: finish it with mmssl train first")
    summary = run.read_results()
    try:
        best, epochs = summary["best_epoch"], summary["epochs"]
        if not (type(best) is type(epochs) is int and 1 <= best <= epochs):
            raise ValueError
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(f"{run.results} does not have the results of a run") from error
    stored.data.path = overrides.get("data.path", stored.data.path)
    before = models.resolve(stored)
    config = models.up_to(before, best)
    was, now = configs.flatten(before), configs.flatten(config)
    changed = [f"{path}={now[path]}" for path in now if now[path] != was[path]]
    return config, (
        f"by the config of {run.folder}, whose best epoch was {best} of {epochs}"
        + (f": {', '.join(changed)}" if changed else "")
    )
