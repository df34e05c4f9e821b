"""What the rest of the package knows of a model: data and functions, no class tree."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.config.sections import Section
from mmssl_jax.data import Dataset


class Batch(NamedTuple):
    """Per row one user, one item of the user's training pairs, and one item outside them."""

    users: Int[Array, "batch"]
    positives: Int[Array, "batch"]
    negatives: Int[Array, "batch"]


Params = dict[str, Any]  # player -> its parameters
Terms = dict[str, Array]  # name -> scalar, for the log
LossFn = Callable[[Params, Any, Any, Batch, PRNGKeyArray], tuple[Array, Terms]]


def hold_nothing(params: Params, inputs: Any, held: Any, step: Int[Array, ""]) -> Any:
    """The `refresh` of a model that holds nothing between steps."""
    del params, inputs, step
    return held


def collect_nothing(
    params: Params, inputs: Any, held: Any, batch: Batch, keys: Mapping[str, PRNGKeyArray]
) -> Any:
    """The `collect` of a model that keeps nothing of its batches."""
    del params, inputs, batch, keys
    return held


def to_place(arrays: Any) -> Any:
    """A pytree of numpy arrays on the device; of several processes as it is, for each its share.

    `Session.inputs` then places it.
    """
    return arrays if jax.process_count() > 1 else jax.tree.map(jnp.asarray, arrays)


def dot_scores(embeddings: tuple[Array, Array], users: Int[Array, "block"]) -> Array:
    """Scores [block, items] as inner products of (user [U, d], item [I, d]) embeddings."""
    user, item = embeddings
    return user[users] @ item.T


def cosines(embeddings: tuple[Array, Array], items: Int[Array, "n"]) -> Array:
    """How alike these items are to all [n, items]: cosines of the embeddings of items."""
    _, item = embeddings
    lengths = jnp.linalg.norm(item, axis=1, keepdims=True)
    unit = item / jnp.where(lengths > 0, lengths, 1.0)
    return unit[items] @ unit.T


class Adam(NamedTuple):
    """A player's own optimiser."""

    learning_rate: float
    beta1: float
    beta2: float


class Model(NamedTuple):
    """A model as the functions that the training loop calls; all are pure and jit-compatible.

    Attributes:
      inputs: constant arrays on the device (graphs, features), an argument of every function.
      init: key -> parameters of every player.
      losses: player -> loss(params, inputs, held, batch, key) -> (scalar, terms). Players are
        updated in this order within a step, each against the others' current parameters.
      embed: (params, inputs, held) -> the representation that is ranked.
      score: (representation, users [b]) -> scores [b, items].
      held: what the model keeps between steps besides parameters, such as learned graphs.
      refresh: (params, inputs, held, step) -> held, called at the start of every step.
      collect: (params, inputs, held, batch, keys) -> held, called at every step after `refresh`,
        with the batch and the keys that the players' losses then get.
      optimisers: player -> its own optimiser; the others share the one of the config's `train`.
      scores_cold_items: True if features give an item without a training pair a meaningful score;
        otherwise its score is random.
      score_history: (representation, items [n], each once) -> scores [items] for a new user who has
        these items; None if the model cannot do that. A number that is no item's is padding.
      similar: (representation, items [n]) -> how alike they are to all items [n, items]; None if
        the model cannot say.
      batches: of `train.batch_size` rows each, one after the other in the batch of a step.
      with_items: the data set with items that came after training behind its own, features prepared
        -> the model whose `embed`, of its own `inputs` and the parameters of training, knows them
        too; None if the model has nothing to say of such items.
    """

    inputs: Any
    init: Callable[[PRNGKeyArray], Params]
    losses: Mapping[str, LossFn]
    embed: Callable[[Params, Any, Any], Any]
    score: Callable[[Any, Array], Array] = dot_scores
    held: Any = ()
    refresh: Callable[[Params, Any, Any, Array], Any] = hold_nothing
    collect: Callable[[Params, Any, Any, Batch, Mapping[str, PRNGKeyArray]], Any] = collect_nothing
    optimisers: Mapping[str, Adam] = MappingProxyType({})
    scores_cold_items: bool = False
    score_history: Callable[[Any, Array], Array] | None = None
    similar: Callable[[Any, Array], Array] | None = cosines
    batches: int = 1
    with_items: Callable[[Dataset], "Model"] | None = None


class Definition(NamedTuple):
    """What a model's file says of itself, as its `MODEL`.

    Attributes:
      build: (config, dataset, steps of an epoch) -> the model.
      defaults: dotted path -> value for the shared fields that nobody set; the path of another
        field stands for that field's value.
      settings: name of a config section -> its class, for what this model reads besides the shared
        sections. A section that two models read is declared once.
      variants: name -> values for fields that nobody set, by `model.variant`; the first is the
        default.
      schedule: config -> epochs and validations, where the model decides on them itself.
      at_epoch: (config, epoch) -> the fields of a run that makes what an epoch made, for a model
        whose epochs try values of a setting in turn.
      reads_side: whether it reads users' features, attributes and augmented pairs.
      hops: config -> how many hops away a node's embedding still depends on other nodes, for a
        model that can train on sampled neighbours (`train.fanout`); it raises InputError where
        these settings cannot.
    """

    build: Callable[[Config, Dataset, int], Model]
    defaults: Mapping[str, Any]
    settings: Mapping[str, type[Section]] = MappingProxyType({})
    variants: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    schedule: Callable[[Config], dict[str, Any]] | None = None
    at_epoch: Callable[[Config, int], dict[str, Any]] | None = None
    reads_side: bool = False
    hops: Callable[[Config], int] | None = None
