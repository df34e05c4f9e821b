"""The models, each one file. A new model is its file and one line here."""

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError
from mmssl_jax.models import ease, lattice, lightgcn, mf, micro, mmssl, ngcf, popularity, vbpr
from mmssl_jax.models.model import Model

MODELS = {
    "mmssl": mmssl,
    "lattice": lattice,
    "micro": micro,
    "lightgcn": lightgcn,
    "ngcf": ngcf,
    "mf": mf,
    "vbpr": vbpr,
    "ease": ease,
    "popularity": popularity,
}

__all__ = ["MODELS", "Model", "has_schedule", "resolve", "up_to"]


def resolve(config: Config) -> Config:
    """The config with its model's defaults, checked and frozen.

    A model that is solved has a `schedule`, config -> fields, and what these say of epochs and
    validations holds whatever the config says. Raises InputError for an unknown model, and as
    `config.resolve` does.
    """
    if config.model.name not in MODELS:
        raise InputError(
            f"config field 'model.name' is {config.model.name!r}; it must be one of "
            f"{', '.join(MODELS)}"
        )
    module = MODELS[config.model.name]
    resolved = configs.resolve(config, module.DEFAULTS)
    if not has_schedule(config):
        return resolved
    fixed = configs.unflatten(configs.flatten(resolved) | module.schedule(resolved))
    return configs.resolve(fixed, {})


def has_schedule(config: Config) -> bool:
    """Whether the config's model says itself for how many epochs it trains."""
    return hasattr(MODELS[config.model.name], "schedule")


def up_to(config: Config, epoch: int) -> Config:
    """The config, resolved, of a run that ends where one of this config is after an epoch."""
    module = MODELS[config.model.name]
    changes = {"train.epochs": epoch}
    if hasattr(module, "at_epoch"):  # a model whose epochs do not build on each other
        changes = module.at_epoch(config, epoch)
    return resolve(configs.unflatten(configs.flatten(config) | changes))
