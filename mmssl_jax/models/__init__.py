"""The models, each one file. A new model is its file and one line here."""

from mmssl_jax import config as configs
from mmssl_jax.config import Config
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

__all__ = ["MODELS", "Model", "resolve"]


def resolve(config: Config) -> Config:
    """The config with its model's defaults, checked and frozen.

    A model that is solved has a `schedule`, config -> fields, and what these say of epochs and
    validations holds whatever the config says. Raises InputError as `config.resolve` does.
    """
    module = MODELS[config.model.name]
    resolved = configs.resolve(config, module.DEFAULTS)
    if not hasattr(module, "schedule"):
        return resolved
    fixed = configs.unflatten(configs.flatten(resolved) | module.schedule(resolved))
    return configs.resolve(fixed, {})
