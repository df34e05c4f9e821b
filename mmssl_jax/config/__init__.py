"""The whole configuration as typed dataclasses: read once, checked once, frozen before use.

A config file returns a `Config` in which only what differs from these defaults is set. A field
whose default is None takes the model's own default (`DEFAULTS` in the model's file) unless a config
file or a flag says otherwise.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from mmssl_jax.config import checks
from mmssl_jax.errors import InputError

# Every place in which MMSSL's public release and its paper differ, as the values of fields that
# nobody set; design choices that neither makes, such as a symmetric norm, are fields as well.
# The release builds modality graphs from the critic's rows, but with its own defaults they are
# empty from the third step on and at every evaluation. With those it gives for TikTok, Sports and
# Allrecipes it keeps a graph of one batch's users for a few steps; that is not ported.
VARIANTS = {
    "released": {
        "mmssl.modality_graph": "none",
        "mmssl.attention": False,
        "mmssl.last_softmax": True,
        "mmssl.contrast_fused": False,
        "mmssl.temper_all": False,
        "critic.slope": 1.0,
    },
    "paper": {
        "mmssl.modality_graph": "top_k",
        "mmssl.attention": True,
        "mmssl.last_softmax": False,
        "mmssl.contrast_fused": True,
        "mmssl.temper_all": True,
        "critic.slope": 0.2,
    },
}


# What only some models read, by the start of its path; everything else is read by all.
_READ_BY = {
    "model.variant": ("mmssl",),
    "mmssl.": ("mmssl",),
    "critic.": ("mmssl",),
    "item_graph.": ("lattice", "micro"),
    "ngcf.": ("ngcf", "lattice", "micro"),
    "ease.": ("ease",),
}


class _Section:
    """A dataclass that refuses fields it does not have, and any change once it is frozen."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dataclass_fields__:
            raise AttributeError(f"unknown config field '{name}' in {type(self).__name__}")
        if self.__dict__.get("_frozen", False):
            raise dataclasses.FrozenInstanceError(f"cannot change '{name}': the config is frozen")
        object.__setattr__(self, name, value)

    def _freeze(self) -> None:
        for section in vars(self).values():
            if isinstance(section, _Section):
                section._freeze()
        object.__setattr__(self, "_frozen", True)


_section = dataclasses.dataclass(unsafe_hash=True)


@_section
class Data(_Section):
    path: str = ""  # folder of the data set, or ':demo:' for generated data
    modalities: str = ""  # comma-separated; '' takes every modality found, 'none' takes no content
    demo_seed: int = 0
    repeats: str = "error"  # pairs of train that are in val or test: also 'drop' there, or 'keep'
    missing: str = "mean"  # for items without a modality: 'mean', 'propagate' or 'learned'
    zeros_missing: bool = False  # feature rows that are all zero are missing as well
    standardize: bool | None = None  # feature columns to mean 0 and variance 1


@_section
class Model(_Section):
    name: str = "mmssl"
    variant: str = "released"  # of MMSSL: 'released' (the public code, exactly) or 'paper'
    embedding_dim: int = 64
    layers: int | None = None  # propagation layers over the interaction graph


@_section
class MMSSL(_Section):
    learning_rate: float = 5.5e-4  # of the generator, where train.learning_rate is not set
    feature_dropout: float = 0.2
    id_weight: float = 0.36  # eta: the fused modality view added to the ID embeddings
    modality_weight: float = 0.55  # omega: the propagated features added to the final embeddings
    heads: int = 4  # of the cross-modal attention
    normalization: str = "one_sided"  # of the graphs: by a row's own sum, or 'symmetric'
    modality_graph: str | None = None  # 'none', 'observed' (interactions) or 'top_k' (relations)
    graph_items: int = 10  # top_k: k
    graph_refresh: int = 0  # top_k: steps between rebuilds of the graphs; 0: once an epoch
    attention: bool | None = None  # across modalities; the release's softmax runs over constants
    last_softmax: bool | None = None  # over the embedding axis in the last propagation layer
    contrast_fused: bool | None = None  # contrast with the fused users, not with the final ones
    temperature: float = 0.5  # tau of the contrastive loss
    contrastive_weight: float = 0.03
    adversarial_weight: float = 1e-4  # of -mean D(fake) in the generator's loss
    feature_l2: float = 1e-5
    real_temperature: float = 0.005  # of the Gumbel softmax in the critic's real rows
    real_relation_weight: float = 100.0  # zeta: the relation term of the real rows
    temper_all: bool | None = None  # the temperature divides the real rows' logit, not its noise


@_section
class Critic(_Section):
    enabled: bool = True
    hidden: int = 0  # width of the first layer; 0 is a quarter of the items
    slope: float | None = None  # of the leaky ReLU; 1 is the identity, which the release passes
    precision: str = "float32"  # or 'bfloat16': of the factors of the large products
    item_block: int = 0  # items of real rows made at a time, to save memory; 0 makes all at once
    penalty_weight: float = 0.3
    learning_rate: float = 3e-4
    beta1: float = 0.5
    beta2: float = 0.9


@_section
class ItemGraph(_Section):
    """The learned item graphs of LATTICE and MICRO."""

    backbone: str = "lightgcn"  # 'lightgcn', 'ngcf' or 'mf'
    neighbors: int = 10  # k: of every item, in each modality
    raw_weight: float = 0.9  # lambda: of the raw features' graphs; the rest is the learned ones'
    contrastive_weight: float = 0.03  # MICRO
    temperature: float = 0.5  # MICRO: tau of the contrastive loss


@_section
class NGCF(_Section):
    message_dropout: float = 0.1


@_section
class EASE(_Section):
    l2: tuple[float, ...] = (1.0, 10.0, 50.0, 200.0)  # lambdas; an epoch each


@_section
class Train(_Section):
    seed: int = 2022
    epochs: int | None = None
    steps_per_epoch: int | None = None  # 0: training pairs // batch_size + 1
    steps_per_call: int = 10  # steps in one call to the device; no effect on results
    batch_size: int = 1024
    learning_rate: float | None = None
    lr_decay: float | None = None  # factor per epoch
    weight_decay: float | None = None  # decoupled, as in AdamW
    embedding_l2: float = 1e-5
    evaluate_every: int | None = None  # epochs between validations
    patience: int | None = None  # validations in a row without a new best, before it stops


@_section
class Evaluation(_Section):
    cutoffs: tuple[int, ...] = (10, 20, 50)
    user_block: int = 1024  # users ranked at a time


@_section
class Mesh(_Section):
    data: int = 1  # devices over which a batch is split
    model: int = 1  # devices over which embedding tables and the critic's first layer are split


@_section
class Config(_Section):
    name: str = ""  # of the run; empty takes the name of the config file
    data: Data = dataclasses.field(default_factory=Data)
    model: Model = dataclasses.field(default_factory=Model)
    mmssl: MMSSL = dataclasses.field(default_factory=MMSSL)
    critic: Critic = dataclasses.field(default_factory=Critic)
    item_graph: ItemGraph = dataclasses.field(default_factory=ItemGraph)
    ngcf: NGCF = dataclasses.field(default_factory=NGCF)
    ease: EASE = dataclasses.field(default_factory=EASE)
    train: Train = dataclasses.field(default_factory=Train)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    mesh: Mesh = dataclasses.field(default_factory=Mesh)


def resolve(config: Config, defaults: Mapping[str, Any]) -> Config:
    """A frozen, complete and valid copy of a config.

    Args:
      config: as a config file and flags left it.
      defaults: dotted path -> value for the fields that nobody set (the model's `DEFAULTS`); the
        path of another field stands for that field's value.

    Raises:
      InputError: a field has the wrong type, is out of range, or has no value at all.
    """
    values = flatten(config)
    defaults = {**VARIANTS.get(values["model.variant"], {}), **defaults}
    for path, value in values.items():
        if value is None:
            default = defaults.get(path)
            values[path] = values.get(default, default) if isinstance(default, str) else default
    resolved = unflatten(values)
    checks.check_ranges(flatten(resolved), VARIANTS)
    resolved._freeze()
    return resolved


def flatten(config: _Section) -> dict[str, Any]:
    """Dotted path -> value, in the order of definition."""
    flat = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, _Section):
            flat |= {f"{field.name}.{key}": inner for key, inner in flatten(value).items()}
        else:
            flat[field.name] = value
    return flat


def read_by_model(config: Config) -> dict[str, Any]:
    """`flatten` without the fields that the config's model does not read.

    Two configs that agree in these train the same model.
    """
    others = tuple(start for start, models in _READ_BY.items() if config.model.name not in models)
    return {path: value for path, value in flatten(config).items() if not path.startswith(others)}


def unflatten(values: Mapping[str, Any]) -> Config:
    """The Config with these values, as `flatten` (or a run's config.json) gives them.

    Raises:
      InputError: an unknown field, or a value of the wrong type.
    """
    config = Config()
    for path, value in values.items():
        *sections, name = path.split(".")
        section: Any = config
        for part in sections:
            section = getattr(section, part, None)
        hints = typing.get_type_hints(type(section)) if isinstance(section, _Section) else {}
        if name not in hints or isinstance(getattr(section, name), _Section):
            raise InputError(f"unknown config field '{path}'; mmssl_jax/config.py has all fields")
        setattr(section, name, _typed(path, value, hints[name]))
    return config


def _typed(path: str, value: Any, hint: Any) -> Any:
    """The value as the type its field declares; ints serve as floats, lists as tuples."""
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        if isinstance(value, list | tuple):
            return tuple(_typed(path, part, typing.get_args(hint)[0]) for part in value)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    elif isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    kind = getattr(hint, "__name__", str(hint))
    raise InputError(f"config field '{path}' is {value!r}, which is not of type {kind}")
