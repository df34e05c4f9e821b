"""The scores of the hybrid: those of its learned parts, standardised, and those of content."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mmssl_jax.config import Config
from mmssl_jax.graphs.item_graph import neighbor_sums
from mmssl_jax.graphs.training_pairs import (
    PairTables,
    TrainingPairs,
    pairs_of_history,
    training_pairs_of,
)
from mmssl_jax.models.hybrid.inputs import Content, Inputs, NewItems
from mmssl_jax.models.hybrid.losses import graph_layers, product
from mmssl_jax.models.model import Params

PAIRS_AT_A_TIME = 4096


class Representation(NamedTuple):
    """What is ranked. A part is the item vectors, or the graph, of one member.

    The scores that a part gives a user have mean 0 over the items with training pairs, and as
    deviation its weight.
    """

    users: Float[Array, "parts users d"]
    items: Float[Array, "parts items d"]
    passed: Float[Array, "parts items d"]  # what an item passes on to a user who has it
    spread: Float[Array, "parts d d"]  # covariance of the items
    weights: Float[Array, "parts"]
    pairs: PairTables
    content: Content | None


class Held(NamedTuple):
    """What is ranked after a step."""

    average: Params  # of the parameters before this step and those before, moving
    content: Float[Array, ""]  # weight of the content's scores


def represent(held: Held, inputs: Inputs, *, config: Config) -> Representation:
    """The representation of the parameters' average."""
    own, params = config.hybrid, held.average
    items = passed = params["items"]["item_embedding"]
    users = product(inputs.user_items, items)
    weights = [1.0] * own.members
    if inputs.joint is not None:
        num_users, weights = len(inputs.share), weights + [own.graph] * own.members
        layers = jnp.stack(graph_layers(params["graph"], inputs.joint, config.model.layers))
        final = jnp.mean(layers, axis=0)
        users = jnp.concatenate([users, final[:, :num_users]])
        items = jnp.concatenate([items, final[:, num_users:]])
        # A new user has no embedding of his own, only what comes from his items.
        from_layers = jnp.sum(layers[:-1, :, num_users:], axis=0)
        passed = jnp.concatenate([passed, from_layers / inputs.root_degrees[None, :, None]])
    items, mean, spread = _centred(items, inputs)
    # What a new user takes from an item: its vector in the first parts, in those of the graph what
    # it passes on, which is nothing if it has no training pair.
    passed = jnp.where(inputs.trained[None, :, None], passed, 0.0)
    if (new := inputs.new) is not None:
        inherited = jax.lax.map(partial(neighbor_sums, new.inherited), items)
        items = jnp.concatenate([items, inherited], axis=1)
        passed = jnp.pad(passed, ((0, 0), (0, inherited.shape[1]), (0, 0)))
    passed = passed.at[: own.members].set((items + mean)[: own.members])
    of_parts = jnp.asarray(weights) / own.members
    users, content = standardised(users, spread, of_parts), inputs.content
    if content is not None:
        content = _weighed(content, new, held.content)
    return Representation(users, items, passed, spread, of_parts, inputs.pairs, content)


def _weighed(content: Content, new: NewItems | None, weight: Float[Array, ""]) -> Content:
    """The content by its weight, and with that of new items."""
    scale = content.item_scale
    if new is not None:
        scale = jnp.pad(scale, (0, len(new.inherited.items)), constant_values=1.0)  # with k = 0
        content = content._replace(neighbors=new.neighbors)
    return content._replace(item_scale=weight * scale)


def _centred(
    items: Float[Array, "parts items d"], inputs: Inputs
) -> tuple[Float[Array, "parts items d"], Float[Array, "parts 1 d"], Float[Array, "parts d d"]]:
    """The items less the mean of those with training pairs, that mean, and their covariance.

    An item without a training pair has learned nothing but to be no one's. It gets what it inherits
    of its content's neighbours, without content the mean.
    """
    trained = inputs.trained[None, :, None]
    count = jnp.maximum(jnp.sum(inputs.trained), 1)
    mean = jnp.sum(jnp.where(trained, items, 0.0), axis=1, keepdims=True) / count
    items = jnp.where(trained, items - mean, 0.0)
    spread = jnp.einsum("pid,pie->pde", items, items) / count
    if inputs.content is not None:
        inherited = jax.lax.map(partial(neighbor_sums, inputs.content.inherited), items)
        items = items.at[:, inputs.content.cold].set(inherited)
    return items, mean, spread


def standardised(
    users: Float[Array, "parts n d"], spread: Float[Array, "parts d d"], weights: Array
) -> Float[Array, "parts n d"]:
    """The users' vectors, over the deviation of the scores they give, times the part's weight."""
    variance = jnp.sum(jnp.einsum("pud,pde->pue", users, spread) * users, axis=2)
    positive = variance > 0
    scale = jnp.where(positive, jnp.where(positive, variance, 1.0) ** -0.5, 0.0)
    return users * (weights[:, None] * scale)[:, :, None]


def content_scores(
    content: Content, pairs: TrainingPairs, num_users: int
) -> Float[Array, "users items"]:
    """`log(1 + C)` by the scale of each item; C is the mean over a user's items of their edges."""
    counts = jnp.zeros(num_users).at[pairs.rows].add(1.0, mode="drop")
    padding = -len(pairs.rows) % PAIRS_AT_A_TIME
    rows = jnp.pad(pairs.rows, (0, padding), constant_values=num_users)
    items = jnp.pad(pairs.items, (0, padding))

    def add(sums: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        rows, items = chunk
        near, weights = (table[items] for table in content.neighbors)
        return sums.at[rows[:, None], near].add(weights, mode="drop"), None

    chunks = rows.reshape(-1, PAIRS_AT_A_TIME), items.reshape(-1, PAIRS_AT_A_TIME)
    sums, _ = jax.lax.scan(add, jnp.zeros((num_users, len(content.item_scale))), chunks)
    scores = jnp.log1p(sums / jnp.maximum(counts, 1.0)[:, None])
    return scores * content.item_scale[None, :]


def _scores(
    representation: Representation, users: Float[Array, "parts n d"], pairs: TrainingPairs
) -> Float[Array, "n items"]:
    scores = jnp.einsum("pud,pid->ui", users, representation.items)
    if representation.content is not None:
        scores = scores + content_scores(representation.content, pairs, users.shape[1])
    return scores


def score(
    representation: Representation, users: Int[Array, "block"], *, most_pairs: int
) -> Float[Array, "block items"]:
    """The scores of users; `most_pairs` is of `max_training_pairs` for so many."""
    pairs = training_pairs_of(representation.pairs, users, most_pairs)
    return _scores(representation, representation.users[:, users], pairs)


def score_history(representation: Representation, items: Int[Array, "n"]) -> Float[Array, "items"]:
    """The scores of a new user who has these items."""
    pairs = pairs_of_history(items, representation.items.shape[1])
    passed = representation.passed.at[:, items].get(mode="fill", fill_value=0)
    user = jnp.sum(passed, axis=1, keepdims=True)
    user = standardised(user, representation.spread, representation.weights)
    return _scores(representation, user, pairs)[0]


def similar(representation: Representation, items: Int[Array, "n"]) -> Float[Array, "n items"]:
    """The scores of new users who have one of these items each."""
    alone: Array = jax.lax.map(lambda item: score_history(representation, item[None]), items)
    return alone


def held_at(
    step: Int[Array, ""], held: Held, params: Params, *, config: Config, steps: int
) -> Held:
    """What is held from a step on. The steps so far count `hybrid.average**age`, over their sum.

    Each validation ranks by the next of `hybrid.content`; `steps` are those of a validation.
    """
    decay, done = config.hybrid.average, step.astype(jnp.float32)
    kept = decay * (1 - decay**done) / (1 - decay ** (done + 1))
    average = jax.tree.map(lambda old, new: kept * old + (1 - kept) * new, held.average, params)
    weights = jnp.asarray(config.hybrid.content, jnp.float32)
    return Held(average, weights[step // steps % len(weights)])
