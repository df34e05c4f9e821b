"""The constant arrays of the hybrid: graphs and tables of a data set."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import content_graph, host_graph, interaction_graph
from mmssl_jax.graphs.nearest import Neighbors, join
from mmssl_jax.graphs.sparse import Graph
from mmssl_jax.graphs.training_pairs import PairTables, pair_tables

ROUNDED = 1 - 1e-5  # of a weight: what rounding may leave of it


class Content(NamedTuple):
    """What the content's scores are made of.

    How much is known of an item without its content is how often training draws it as a positive:
    its users are drawn alike, each with one of his n items, so it is `k = sum over its users of
    1 / n`. Its content counts by `1 / (1 + k)**hybrid.content_exponent`.

    An item without a training pair inherits the vectors of its neighbours among the others: with
    edges w, `sum of w k v / (hybrid.shrinkage + sum of w k)`, less the mean vector. What has few
    that are like it stays near that mean.
    """

    neighbors: Neighbors  # of `content_graph`
    item_scale: Float[Array, "items"]  # that number; in a `Representation` by the content's weight
    cold: Int[Array, "cold"]  # the items without a training pair
    inherited: Neighbors  # theirs, with those shares as weights


class NewItems(NamedTuple):
    """What is known of items that came after training: their content, beside that of the others.

    Between items of training nothing changes. A new item is near an item of training where it is
    as like it as the last of its neighbours. Of new items none is near another.
    """

    neighbors: Neighbors  # of every item: those of training, and then the new ones that are near
    inherited: Neighbors  # of the new ones, as in `Content`


class Inputs(NamedTuple):
    """On the device."""

    user_items: Graph  # [users, items]: 1 / n**user_exponent for each of a user's n items
    share: Float[Array, "users"]  # that number
    single: Bool[Array, "users"]  # who has one item only
    joint: Graph | None  # of LightGCN; None without a graph
    trained: Bool[Array, "items"]  # has a training pair
    root_degrees: Float[Array, "items"]  # square root of an item's number of pairs, at least 1
    pairs: PairTables
    content: Content | None  # None without content
    new: NewItems | None = None


def make_inputs(config: Config, dataset: Dataset) -> Inputs:
    """The inputs of a data set whose features are prepared.

    Raises:
      InputError: features that are missing are to be learned, which content in closed form cannot.
    """
    own, train = config.hybrid, dataset.train
    degrees = np.diff(train.indptr)
    share = np.maximum(degrees, 1) ** -own.user_exponent
    item_degrees = dataset.item_degrees
    joint = interaction_graph.symmetric_joint_graph(train, dataset.by_item)  # made when it is read
    return Inputs(
        user_items=host_graph.of(scipy.sparse.diags_array(share) @ train),
        share=jnp.asarray(share, jnp.float32),
        single=jnp.asarray(degrees == 1),
        joint=joint if own.graph else None,
        trained=jnp.asarray(item_degrees > 0),
        root_degrees=jnp.asarray(np.sqrt(np.maximum(item_degrees, 1)), jnp.float32),
        pairs=pair_tables(train),
        content=_content(config, dataset),
    )


def _content(config: Config, dataset: Dataset) -> Content | None:
    own = config.hybrid
    if not (dataset.features and any(own.content)):
        return None
    if config.data.missing == "learned":
        raise InputError(
            "config field 'data.missing' is 'learned', but model 'hybrid' learns nothing of the "
            "features; choose mean or propagate"
        )
    known = _known(dataset)
    similar = _similarity(config, dataset, known)
    cold, count = np.flatnonzero(known == 0), min(own.neighbors, dataset.num_items - 1)
    warm = content_graph.nearest(
        similar, min(count, dataset.num_items - len(cold)), of=cold, among=known > 0
    )
    return Content(
        content_graph.nearest(similar, count),
        jnp.asarray((1 + known) ** -own.content_exponent, jnp.float32),
        jnp.asarray(cold, jnp.int32),
        _inherited(warm, jnp.asarray(known, jnp.float32), own.shrinkage),
    )


def _known(dataset: Dataset) -> np.ndarray:
    """k of every item, as `Content` has it."""
    train = dataset.train
    of_pairs = np.repeat(1 / np.maximum(np.diff(train.indptr), 1), np.diff(train.indptr))
    found: np.ndarray = np.bincount(train.indices, of_pairs, minlength=dataset.num_items)
    return found


def _similarity(
    config: Config, dataset: Dataset, known: np.ndarray, first: int | None = None
) -> content_graph.Similarity:
    present = dict(dataset.present)
    if config.data.missing == "propagate":  # it has reached the items with a training pair
        present = {name: has | (known > 0) for name, has in present.items()}
    return content_graph.similarity(
        dataset.features,
        present,
        sharpness=config.hybrid.sharpness,
        rank=config.hybrid.rank,
        tie_order=dataset.tie_order,
        first=first,
    )


def new_items(config: Config, content: Content, more: Dataset) -> NewItems:
    """The new items of a data set, behind those of training.

    Args:
      config: of the run.
      content: of the items of training.
      more: with features prepared.
    """
    first, count = content.neighbors.items.shape
    known = _known(more)
    similar = _similarity(config, more, known, first)
    old, new = np.arange(first), np.arange(first, more.num_items)
    trained = known > 0
    later = np.arange(more.num_items) >= first

    def near(of: np.ndarray, among: np.ndarray) -> Neighbors:
        found = content_graph.nearest(similar, min(count, int(among.sum())), of=of, among=among)
        # Weights go by the number of items, which is that of training.
        return found._replace(weights=found.weights * (first / more.num_items))

    to_new, to_old = near(old, later), near(new, ~later)
    near_enough = to_new.weights >= ROUNDED * content.neighbors.weights[:, -1:]
    to_new = to_new._replace(weights=jnp.where(near_enough, to_new.weights, 0.0))
    of_old = join([content.neighbors, to_new])
    filled = [(0, 0), (0, of_old.items.shape[1] - to_old.items.shape[1])]
    of_new = Neighbors(*(jnp.pad(array, filled) for array in to_old))
    return NewItems(
        Neighbors(*(jnp.concatenate(pair) for pair in zip(of_old, of_new, strict=True))),
        _inherited(near(new, trained), jnp.asarray(known, jnp.float32), config.hybrid.shrinkage),
    )


def _inherited(warm: Neighbors, known: Float[Array, "items"], shrinkage: float) -> Neighbors:
    """`Content.inherited` of the neighbours with training pairs; `known` is k of every item."""
    weights = warm.weights * known[warm.items]
    return warm._replace(weights=weights / (shrinkage + jnp.sum(weights, axis=1, keepdims=True)))
