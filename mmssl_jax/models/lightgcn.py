"""LightGCN: linear propagation, averaged over the layers (He et al., SIGIR 2020)."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import interaction_graph, nearest, sampled_neighbors, split_tables
from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.graphs.sampled_neighbors import Tree
from mmssl_jax.graphs.sparse import Graph, spmm
from mmssl_jax.models import cf
from mmssl_jax.models.model import Definition, Model

DEFAULTS = cf.DEFAULTS | {"model.layers": 3}


def propagate(
    params: dict[str, Any], graph: Graph, config: Config, key: PRNGKeyArray | None = None
) -> list[Array]:
    """The nodes [users + items, d] after every layer: `x_{l+1} = G x_l`."""
    del key
    layers = [cf.nodes(params)]
    for _ in range(config.model.layers):
        layers.append(spmm(graph, layers[-1]))
    return layers


BACKBONE = cf.Backbone(cf.no_layers, propagate)


def around(
    params: dict[str, Any], tree: Tree, config: Config, key: PRNGKeyArray
) -> Float[Array, "seeds d"]:
    """The mean over the layers of a tree's seeds: as all is linear, one sum over its nodes.

    A third of the seeds, a batch's users, come before its items. Users and items take turns from
    level to level, so that each table is asked for its own nodes alone.
    """
    del key
    size = len(tree.nodes[0]) // 3
    levels = sampled_neighbors.paths(tree)
    total, first = jnp.zeros(()), 0
    for side, name in enumerate(("user_embedding", "item_embedding")):
        blocks = tuple(
            _at(nearest.join(levels[turn::2]), rows, first)
            for rows, turn in ((slice(size), side), (slice(size, None), 1 - side))
        )
        sums = split_tables.weighted_rows(params[name], blocks, tree.mesh)
        total += jnp.concatenate(sums)
        first += len(params[name])
    return total / (1 + config.model.layers)


def _at(neighbors: Neighbors, rows: slice, first: int) -> Neighbors:
    """Some rows of neighbours, with their nodes counted from `first`."""
    return Neighbors(neighbors.items[rows] - first, neighbors.weights[rows])


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """LightGCN over the symmetrically normalised graph of the paper, without self loops."""
    del steps_per_epoch
    graph = interaction_graph.symmetric_joint_graph(dataset.train, dataset.by_item)
    degrees = dataset.item_degrees
    roots = jnp.asarray(np.sqrt(np.maximum(degrees, 1)), jnp.float32)

    def score_history(
        representation: cf.Embeddings, items: Int[Array, "n"]
    ) -> Float[Array, "items"]:
        """A new user is what one propagation of the final embeddings of their items makes."""
        _, final = representation
        own = (final / roots[:, None]).at[items].get(mode="fill", fill_value=0)
        count = jnp.maximum(jnp.sum(items < len(final)), 1)
        return final @ (jnp.sum(own, axis=0) / jnp.sqrt(count))

    model = cf.build(config, dataset, BACKBONE, graph, around=around)
    return model._replace(score_history=score_history)


MODEL = Definition(build, DEFAULTS, hops=cf.layers)
