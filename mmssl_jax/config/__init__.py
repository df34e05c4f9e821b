"""The configuration as typed dataclasses: read once, checked once, frozen before use.

A config file returns a `Config` in which only what differs from the defaults is set. The sections
here are those that every model reads. What a model alone reads is declared in its own file, and set
as `config.<section>.<field>` like the rest: such values are kept as they are given until
`mmssl_jax.models.resolve` knows the model. A field whose default is None takes the model's own
default unless a config file or a flag says otherwise.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from mmssl_jax.config.sections import (
    ALL_POSITIVE,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    Rule,
    Section,
    filled,
    one_of,
    section,
    setting,
    typed,
    unknown,
    values_of,
)

__all__ = ["Config", "Data", "Evaluation", "Mesh", "Model", "Train", "flatten", "unflatten"]

_DISTINCT = Rule("distinct", lambda values: len(set(values)) == len(values))
_POSITIVE_IF_ANY = Rule("positive numbers, or none", lambda values: min(values, default=1) > 0)
_WITH_20 = Rule("a list with 20, as Recall@20 selects the epoch", lambda values: 20 in values)


@section
class Data(Section):
    """Which data, and how features that are missing or unscaled are made good."""

    path: str = setting("", Rule("a folder, or ':demo:' for generated data", bool))
    modalities: str = ""  # comma-separated; '' takes every modality found, 'none' takes no content
    demo_seed: int = setting(0, NOT_NEGATIVE, SEED)
    # What becomes of training pairs that are in val or test as well.
    repeats: str = setting("error", one_of("error", "drop", "keep"))
    # What stands for the features of items without a modality.
    missing: str = setting("mean", one_of("mean", "propagate", "learned"))
    zeros_missing: bool = False  # feature rows that are all zero are missing as well
    standardize: bool = setting(None)  # feature columns to mean 0 and variance 1


@section
class Model(Section):
    """Which model, and how large it is."""

    name: str = "mmssl"
    variant: str | None = dataclasses.field(default=None, metadata={"optional": True})
    embedding_dim: int = setting(None, POSITIVE)
    layers: int = setting(None, NOT_NEGATIVE)  # propagation over the interaction graph


@section
class Train(Section):
    """How long and how fast a model is trained."""

    seed: int = setting(2022, NOT_NEGATIVE, SEED)
    epochs: int = setting(None, POSITIVE)
    steps_per_epoch: int = setting(None, NOT_NEGATIVE)  # 0: training pairs // batch_size + 1
    steps_per_call: int = setting(10, POSITIVE)  # in one call to the device; no effect on results
    batch_size: int = setting(1024, POSITIVE)
    # Neighbours that a node gathers from, at most, in each hop; () is all of them in every step.
    fanout: tuple[int, ...] = setting((), _POSITIVE_IF_ANY)
    augmented_share: float = setting(0.0, FRACTION)  # of a batch, taken from the augmented pairs
    learning_rate: float = setting(None, POSITIVE)
    lr_decay: float = setting(None, POSITIVE)  # factor per epoch
    weight_decay: float = setting(None, NOT_NEGATIVE)  # decoupled, as in AdamW
    embedding_l2: float = setting(None, NOT_NEGATIVE)
    evaluate_every: int = setting(None, POSITIVE)  # epochs between validations
    patience: int = setting(None, NOT_NEGATIVE)  # validations without a new best, at most


@section
class Evaluation(Section):
    """What is ranked, and at which lengths lists are judged."""

    cutoffs: tuple[int, ...] = setting((10, 20, 50), ALL_POSITIVE, _DISTINCT, _WITH_20)
    # Which items are ranked, and may be right: all, or those without a training pair alone.
    candidates: str = setting("all", one_of("all", "cold"))
    user_block: int = setting(1024, POSITIVE)  # users ranked at a time


@section
class Mesh(Section):
    """How many devices share the work."""

    data: int = setting(1, POSITIVE)  # devices over which a batch is split
    model: int = setting(1, POSITIVE)  # devices over which tables of users and items are split


class Given:
    """Values of a section that is not known yet: whatever is set, to be checked by `resolve`."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'{name}' is not set; the model's default is known after resolve")


@section
class Config(Section):
    """All settings of a run; a model's own sections are set as the shared ones are."""

    name: str = ""  # of the run; empty takes the name of the config file
    data: Data = dataclasses.field(default_factory=Data)
    model: Model = dataclasses.field(default_factory=Model)
    train: Train = dataclasses.field(default_factory=Train)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    mesh: Mesh = dataclasses.field(default_factory=Mesh)
    own: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)  # of the model

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__.get("own")
        if name.startswith("_") or own is None:
            raise AttributeError(name)
        if name not in own:
            if self.__dict__.get("_frozen", False):
                raise AttributeError(f"model '{self.model.name}' reads no config section '{name}'")
            own[name] = Given()
        return own[name]

    def freeze(self) -> None:
        """Refuses every change from now on, in all sections."""
        for part in (*vars(self).values(), *self.own.values()):
            if isinstance(part, Section):
                part.freeze()
        super().freeze()


def _can_be_section(name: str) -> bool:
    """Whether a section may have this name, which is that of nothing else of a Config."""
    own = name == "own" or name.startswith("_") or hasattr(Config, name)
    return name.isidentifier() and not own


def shared_sections() -> dict[str, type[Section]]:
    """Name -> class of the sections that every model reads."""
    hints = typing.get_type_hints(Config)
    names = [field.name for field in dataclasses.fields(Config)]
    return {name: hints[name] for name in names if name not in ("name", "own")}


def flatten(config: Config) -> dict[str, Any]:
    """Dotted path -> value: the shared fields in their order, then the model's own."""
    flat: dict[str, Any] = {}
    parts = values_of(config)
    for name, part in [*parts.items(), *parts["own"].items()]:
        if isinstance(part, Section | Given):
            inner = values_of(part) if isinstance(part, Section) else vars(part)
            flat |= {f"{name}.{key}": value for key, value in inner.items()}
        elif name != "own":
            flat[name] = part
    return flat


def unflatten(values: Mapping[str, Any]) -> Config:
    """The Config with these values, as `flatten` (or a run's config.json) gives them.

    Values of sections that are a model's own are kept as they are given.

    Raises:
      InputError: an unknown field of a shared section, or a value of the wrong type.
    """
    config, shared = Config(), shared_sections()
    parts: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        name, dot, field = path.partition(".")
        if path == "name":
            config.name = typed(path, value, str)
        elif not (dot and field.isidentifier() and _can_be_section(name)):
            raise unknown(path)
        else:
            value = tuple(value) if isinstance(value, list) else value  # as JSON has it
            parts.setdefault(name, {})[field] = value
    for name, fields in parts.items():
        if name in shared:
            setattr(config, name, filled(shared[name], fields, name))
        else:
            vars(getattr(config, name)).update(fields)
    return config
