"""NGCF: propagation with transformed messages (Wang et al., "Neural graph CF", SIGIR 2019)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.config.sections import FRACTION, Section, section, setting
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import interaction_graph, sampled_neighbors
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.graphs.sampled_neighbors import Tree
from mmssl_jax.graphs.sparse import Graph, spmm
from mmssl_jax.models import cf
from mmssl_jax.models.dropout import dropout
from mmssl_jax.models.model import Definition, Model

DEFAULTS = cf.DEFAULTS | {"model.layers": 3}


@section
class NGCF(Section):
    """What NGCF reads, also below a model of content."""

    message_dropout: float = setting(0.1, FRACTION)


def init_layers(key: PRNGKeyArray, config: Config) -> list[dict[str, Any]]:
    """Two linear maps a layer: of the neighbours' sum, and of its product with the node."""
    d = config.model.embedding_dim
    layer_keys = [jax.random.fold_in(key, layer) for layer in range(config.model.layers)]
    return [
        {name: cf.init_linear(k, d, d) for name, k in zip(("sum", "product"), keys, strict=True)}
        for keys in map(jax.random.split, layer_keys)
    ]


def propagate(
    params: dict[str, Any], graph: Graph, config: Config, key: PRNGKeyArray | None = None
) -> list[Array]:
    """The nodes [users + items, d] after every layer, normalised from the first layer on.

    `x_{l+1} = dropout(f((G x_l) W_1 + b_1) + f((x_l * G x_l) W_2 + b_2))`, f a leaky ReLU (.01).
    """
    x = cf.nodes(params)
    layers = [x]
    for index, layer in enumerate(params["layers"]):
        x = messages(layer, x, spmm(graph, x))
        if key is not None:
            x = dropout(jax.random.fold_in(key, index), x, config.ngcf.message_dropout)
        layers.append(normalize(x))
    return layers


def messages(
    layer: dict[str, Any], x: Float[Array, "n d"], gathered: Float[Array, "n d"]
) -> Float[Array, "n d"]:
    """`f(g W_1 + b_1) + f((x * g) W_2 + b_2)` of nodes and what they gathered."""
    return jax.nn.leaky_relu(cf.linear(layer["sum"], gathered)) + jax.nn.leaky_relu(
        cf.linear(layer["product"], x * gathered)
    )


BACKBONE = cf.Backbone(init_layers, propagate)


def around(
    params: dict[str, Any], tree: Tree, config: Config, key: PRNGKeyArray
) -> Float[Array, "seeds _"]:
    """The layers of a tree's seeds, side by side; each layer needs one level of the tree less."""
    levels = sampled_neighbors.rows_of(cf.nodes(params), tree.nodes)
    layers = [levels[0]]
    for index, layer in enumerate(params["layers"]):
        gathered = sampled_neighbors.sums(tree, levels)
        keys = jax.random.split(jax.random.fold_in(key, index), len(gathered))
        levels = [
            dropout(own_key, messages(layer, x, sums), config.ngcf.message_dropout)
            for own_key, x, sums in zip(keys, levels, gathered, strict=False)
        ]
        layers.append(normalize(levels[0]))
    return concatenate(layers)


concatenate = partial(jnp.concatenate, axis=1)


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """NGCF alone: its layers are concatenated. As a backbone they are averaged."""
    del steps_per_epoch
    graph = interaction_graph.row_stochastic_joint_graph(dataset.train, dataset.by_item)
    return cf.build(config, dataset, BACKBONE, graph, concatenate, around)


MODEL = Definition(build, DEFAULTS, {"ngcf": NGCF}, hops=cf.layers)
