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
from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.graphs.sparse import Graph
from mmssl_jax.graphs.training_pairs import PairTables, pair_tables


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


def make_inputs(config: Config, dataset: Dataset) -> Inputs:
    """The inputs of a data set whose features are prepared.

    Raises:
      InputError: features that are missing are to be learned, which content in closed form cannot.
    """
    own, train = config.hybrid, dataset.train
    degrees = np.diff(train.indptr)
    share = np.maximum(degrees, 1) ** -own.user_exponent
    item_degrees = np.bincount(train.indices, minlength=dataset.num_items)
    return Inputs(
        user_items=host_graph.of(scipy.sparse.diags_array(share) @ train),
        share=jnp.asarray(share, jnp.float32),
        single=jnp.asarray(degrees == 1),
        joint=interaction_graph.symmetric_joint_graph(train) if own.graph else None,
        trained=jnp.asarray(item_degrees > 0),
        root_degrees=jnp.asarray(np.sqrt(np.maximum(item_degrees, 1)), jnp.float32),
        pairs=pair_tables(train),
        content=_content(config, dataset),
    )


def _content(config: Config, dataset: Dataset) -> Content | None:
    own, train = config.hybrid, dataset.train
    if not (dataset.features and any(own.content)):
        return None
    if config.data.missing == "learned":
        raise InputError(
            "config field 'data.missing' is 'learned', but model 'hybrid' learns nothing of the "
            "features; choose mean or propagate"
        )
    of_pairs = np.repeat(1 / np.maximum(np.diff(train.indptr), 1), np.diff(train.indptr))
    known = np.bincount(train.indices, of_pairs, minlength=dataset.num_items)
    present = dict(dataset.present)
    if config.data.missing == "propagate":  # it has reached the items with a training pair
        present = {name: has | (known > 0) for name, has in present.items()}
    similar = content_graph.similarity(
        dataset.features,
        present,
        sharpness=own.sharpness,
        rank=own.rank,
        tie_order=dataset.tie_order,
    )
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


def _inherited(warm: Neighbors, known: Float[Array, "items"], shrinkage: float) -> Neighbors:
    """`Content.inherited` of the neighbours with training pairs; `known` is k of every item."""
    weights = warm.weights * known[warm.items]
    return warm._replace(weights=weights / (shrinkage + jnp.sum(weights, axis=1, keepdims=True)))
