"""What the training loop and the evaluation know of a model: data and functions, no class tree."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Int, PRNGKeyArray

from mmssl_jax.graphs.training_pairs import Batch

Params = dict[str, Any]  # player -> its parameters
Terms = dict[str, Array]  # name -> scalar, for the log
LossFn = Callable[[Params, Any, Any, Batch, PRNGKeyArray], tuple[Array, Terms]]


def hold_nothing(params: Params, inputs: Any, held: Any, step: Int[Array, ""]) -> Any:
    """The `refresh` of a model that holds nothing between steps."""
    del params, inputs, step
    return held


def dot_scores(embeddings: tuple[Array, Array], users: Int[Array, "block"]) -> Array:
    """Scores [block, items] as inner products of (user [U, d], item [I, d]) embeddings."""
    user, item = embeddings
    return user[users] @ item.T


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
      scores_cold_items: whether an item's features give it a score where it has no training pair;
        otherwise such a score is an accident of the random start.
      score_history: (representation, items [n], each once) -> scores [items] of a user who was not
        trained on and has these items; None where a model has no such scores.
    """

    inputs: Any
    init: Callable[[PRNGKeyArray], Params]
    losses: Mapping[str, LossFn]
    embed: Callable[[Params, Any, Any], Any]
    score: Callable[[Any, Array], Array] = dot_scores
    held: Any = ()
    refresh: Callable[[Params, Any, Any, Array], Any] = hold_nothing
    scores_cold_items: bool = False
    score_history: Callable[[Any, Array], Array] | None = None
