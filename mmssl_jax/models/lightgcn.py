"""LightGCN: linear propagation, averaged over the layers (He et al., SIGIR 2020)."""

from typing import Any

from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import interaction_graph, nearest, sampled_neighbors
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
    """The mean over the layers of a tree's seeds: as all is linear, one sum over its nodes."""
    del key
    every = nearest.join(sampled_neighbors.paths(tree))
    return sampled_neighbors.weighted_rows(cf.nodes(params), every) / (1 + config.model.layers)


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """LightGCN over the symmetrically normalised graph of the paper, without self loops."""
    del steps_per_epoch
    graph = interaction_graph.symmetric_joint_graph(dataset.train)
    return cf.build(config, dataset, BACKBONE, graph, around=around)


MODEL = Definition(build, DEFAULTS, hops=cf.layers)
