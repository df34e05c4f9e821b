"""The models, each one file. A new model is its file and one line here."""

import dataclasses
import typing
from typing import Any

from mmssl_jax import config as configs
from mmssl_jax.config import Config
from mmssl_jax.config.sections import Section, check, filled, one_of, unknown, values_of
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.models import (
    ease,
    hybrid,
    lattice,
    lightgcn,
    llmrec,
    mf,
    micro,
    mmssl,
    ngcf,
    popularity,
    vbpr,
)
from mmssl_jax.models.model import Definition, Model

MODELS = {
    "mmssl": mmssl.MODEL,
    "hybrid": hybrid.MODEL,
    "llmrec": llmrec.MODEL,
    "lattice": lattice.MODEL,
    "micro": micro.MODEL,
    "lightgcn": lightgcn.MODEL,
    "ngcf": ngcf.MODEL,
    "mf": mf.MODEL,
    "vbpr": vbpr.MODEL,
    "ease": ease.MODEL,
    "popularity": popularity.MODEL,
}

__all__ = [
    "MODELS",
    "Definition",
    "Model",
    "as_read",
    "defined",
    "fields",
    "lacks",
    "resolve",
    "up_to",
]


def defined(config: Config) -> Definition:
    """What the file of the config's model says of it; InputError for an unknown model."""
    if config.model.name not in MODELS:
        raise InputError(
            f"config field 'model.name' is {config.model.name!r}; it must be one of "
            f"{', '.join(MODELS)}"
        )
    return MODELS[config.model.name]


def sections() -> dict[str, type[Section]]:
    """Every section that is a model's own: its name in the config -> its class."""
    return {
        name: kind for definition in MODELS.values() for name, kind in definition.settings.items()
    }


def fields() -> dict[str, Any]:
    """Dotted path of every field of a config, those of all models too -> its declared type."""
    shared = configs.shared_sections()
    return {"name": str} | {
        f"{name}.{field}": hint
        for name, kind in (shared | sections()).items()
        for field, hint in typing.get_type_hints(kind).items()
        if field in kind.__dataclass_fields__
    }


def resolve(config: Config) -> Config:
    """A frozen, complete and valid copy of a config, with the defaults of its model.

    It has the sections that the model reads, and no others: what is set for another model is
    checked and left out. What a model's `schedule` says of epochs and validations holds whatever
    the config says.

    Raises:
      InputError: an unknown model or field, or a value of the wrong type or out of range.
    """
    definition = defined(config)
    result = _complete(config, definition)
    if definition.schedule is not None:
        fixed = configs.flatten(result) | definition.schedule(result)
        result = _complete(configs.unflatten(fixed), definition)
    _check_fanout(result, definition)
    result.freeze()
    return result


def _check_fanout(config: Config, definition: Definition) -> None:
    """Raises InputError if neighbours are to be sampled, and the model cannot train so."""
    fanout, name = config.train.fanout, config.model.name
    if not fanout:
        return
    if definition.hops is None:
        sampling = [name for name, each in MODELS.items() if each.hops is not None]
        raise InputError(
            f"config field 'train.fanout' is {fanout}, but model '{name}' cannot train on sampled "
            f"neighbours; leave it out, or choose {', '.join(sampling)}"
        )
    if len(fanout) != (hops := definition.hops(config)):
        raise InputError(
            f"config field 'train.fanout' is {fanout}; {name} with model.layers = "
            f"{config.model.layers} needs {hops} numbers, one for each hop"
        )


def _complete(config: Config, definition: Definition) -> Config:
    """`resolve` without the schedule."""
    own, known = {}, sections()
    for name, given in config.own.items():
        values = values_of(given) if isinstance(given, Section) else vars(given)
        if name not in known and not values:
            continue  # looked at, and nothing set
        if name not in known:
            raise unknown(f"{name}.{next(iter(values))}")
        own[name] = filled(known[name], values, name)
        check(own[name], name, complete=False)
    shared = configs.flatten(config)
    result = configs.unflatten(
        {path: value for path, value in shared.items() if path.partition(".")[0] not in own}
    )
    for name, kind in definition.settings.items():
        result.own[name] = own.get(name) or kind()
    defaults = dict(definition.defaults)
    result.model.variant = _variant(config.model.variant, definition)
    if result.model.variant is not None:
        defaults |= definition.variants[result.model.variant]
    values = configs.flatten(result)
    for path, default in defaults.items():
        if values[path] is None:
            name, _, field = path.partition(".")
            value = values[default] if isinstance(default, str) and default in values else default
            setattr(getattr(result, name), field, value)
    for name, part in [("", result), *values_of(result).items(), *result.own.items()]:
        if isinstance(part, Section):
            check(part, name)
    return result


def _variant(given: str | None, definition: Definition) -> str | None:
    """The variant of a model that has variants, by default its first; None for the others."""
    known = {name: None for each in MODELS.values() for name in each.variants}
    if given is not None and not one_of(*known).holds(given):
        raise InputError(
            f"config field 'model.variant' is {given!r}; it must be {one_of(*known).words}"
        )
    if not definition.variants:
        return None
    return given or next(iter(definition.variants))


def as_read(config: Config, dataset: Dataset) -> Dataset:
    """The data set without side information that a run of the config does not read.

    Such files may come, change and go without making the data another one for it.
    """
    if defined(config).reads_side:
        return dataset
    augmented = dataset.augmented if config.train.augmented_share else None
    return dataclasses.replace(dataset, user_features={}, attributes={}, augmented=augmented)


def lacks(config: Config, dataset: Dataset) -> str:
    """The side information that a run of the config would read and the data has not, in words."""
    if not defined(config).reads_side:
        return ""
    parts = {
        "users' features": dataset.user_features,
        "attributes of items": dataset.attributes,
        "augmented pairs": dataset.augmented is not None and len(dataset.augmented),
    }
    return " and no ".join(name for name, there in parts.items() if not there)


def chosen(config: Config, epoch: int) -> dict[str, Any]:
    """Field -> the value that an epoch tried, for a model whose epochs try values of a setting."""
    at_epoch = defined(config).at_epoch
    changes = {} if at_epoch is None else at_epoch(config, epoch)
    return {path: value for path, value in changes.items() if not path.startswith("train.")}


def up_to(config: Config, epoch: int) -> Config:
    """The config, resolved, of a run that ends where one of this config is after an epoch."""
    definition = defined(config)
    changes: dict[str, Any] = {"train.epochs": epoch}
    if definition.at_epoch is not None:  # a model whose epochs try values of a setting
        changes = definition.at_epoch(config, epoch)
    return resolve(configs.unflatten(configs.flatten(config) | changes))
