"""Item graphs learned from item features: what LATTICE and MICRO share.

In the first step of an epoch the nearest items are found by projected features, without gradient.
In that step the edge weights have a gradient; for the rest of the epoch they are constants.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import interaction_graph
from mmssl_jax.graphs.item_graph import ItemGraph, item_graph, item_spmm
from mmssl_jax.graphs.nearest import (
    Neighbors,
    neighbor_products,
    normalize,
    symmetric_weights,
    top_neighbors,
)
from mmssl_jax.graphs.sparse import Graph
from mmssl_jax.models import cf, lightgcn, mf, ngcf
from mmssl_jax.models.model import LossFn, Model, Params

BACKBONES = {"lightgcn": lightgcn.BACKBONE, "ngcf": ngcf.BACKBONE, "mf": mf.BACKBONE}

Nearest = dict[str, Int[Array, "items k"]]  # modality -> the nearest items of every item
Edges = dict[str, Neighbors]  # modality, or name of a graph -> its edges
Weights = dict[str, Float[Array, "items edges"]]  # name of a graph -> the weights of its edges
EdgesFn = Callable[[Any, Nearest, Edges], Edges]  # of the learner, nearest and raw graphs: all


class Inputs(NamedTuple):
    """Constant arrays on the device."""

    joint: Graph  # D^-1 (A + I) over users then items
    raw: Edges  # modality -> the normalised graph of its raw features
    tie_order: Int[Array, "items"]  # `Dataset.tie_order`


class Held(NamedTuple):
    """The item graphs between two rebuilds."""

    nearest: Nearest
    graphs: dict[str, ItemGraph]
    weights: Weights
    fresh: Bool[Array, ""]  # built in this step, from the current parameters


def make_inputs(config: Config, dataset: Dataset) -> Inputs:
    """The graphs that do not change.

    Raises:
      InputError: the data have no features, or fewer items than the graphs have neighbours.
    """
    cf.require_features(dataset, config)
    k = config.item_graph.neighbors
    if k > dataset.num_items:
        raise InputError(
            f"config field 'item_graph.neighbors' is {k}; it must be at most the number of items, "
            f"{dataset.num_items}"
        )
    order = jnp.asarray(dataset.tie_order, jnp.int32)
    raw = {name: raw_neighbors(jnp.asarray(x), k, order) for name, x in dataset.features.items()}
    return Inputs(
        interaction_graph.row_stochastic_joint_graph(dataset.train, dataset.by_item), raw, order
    )


@partial(jax.jit, static_argnames="k")
def raw_neighbors(
    features: Float[Array, "items _"], k: int, tie_order: Int[Array, "items"] | None = None
) -> Neighbors:
    """The top-k graph of cosine similarities, `D^-1/2 S D^-1/2`."""
    nearest = top_neighbors(normalize(features), k, tie_order=tie_order)
    return Neighbors(nearest.items, symmetric_weights(nearest))


def init_params(key: PRNGKeyArray, config: Config, dataset: Dataset) -> dict[str, Any]:
    """The backbone's parameters, and the learner's: the raw features and their projections."""
    backbone_key, learner_key = jax.random.split(key)
    backbone, d = BACKBONES[config.item_graph.backbone], config.model.embedding_dim
    features = {modality: jnp.asarray(array) for modality, array in dataset.features.items()}
    projection = {
        modality: cf.init_linear(jax.random.fold_in(learner_key, index), array.shape[1], d)
        for index, (modality, array) in enumerate(features.items())
    }
    return cf.init_backbone(backbone, backbone_key, config, dataset) | {
        "learner": {"features": features, "projection": projection}
    }


def projected(learner: dict[str, Any]) -> dict[str, Float[Array, "items d"]]:
    """The unit rows `n(x_m W_m + b_m)` of every modality."""
    return {
        modality: normalize(cf.linear(learner["projection"][modality], features))
        for modality, features in learner["features"].items()
    }


def similarities(learner: dict[str, Any], nearest: Nearest) -> Edges:
    """The top-k graphs S of the projected features, with a gradient to the learner."""
    return {
        modality: Neighbors(nearest[modality], neighbor_products(x, nearest[modality]))
        for modality, x in projected(learner).items()
    }


def rebuild(edges: EdgesFn, learner: Any, inputs: Inputs, k: int) -> Held:
    """The item graphs of the current parameters."""
    nearest = {
        modality: top_neighbors(x, k, tie_order=inputs.tie_order).items
        for modality, x in projected(learner).items()
    }
    found = edges(learner, nearest, inputs.raw)
    return Held(
        nearest,
        {name: item_graph(neighbors.items) for name, neighbors in found.items()},
        {name: neighbors.weights for name, neighbors in found.items()},
        jnp.asarray(True),
    )


def products(
    edges: EdgesFn, learner: Any, inputs: Inputs, held: Held, x: Float[Array, "items d"]
) -> dict[str, Float[Array, "items d"]]:
    """Each held graph times `x`; in the step that built them, with a gradient to the learner."""
    weights = _held_weights(edges, learner, inputs.raw, held)
    return {
        name: item_spmm(graph, weights[name], x, held.fresh) for name, graph in held.graphs.items()
    }


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _held_weights(edges: EdgesFn, learner: Any, raw: Edges, held: Held) -> Weights:
    """The held weights. Their gradient is that of `edges(...)` in the step that built them, else 0.

    A `lax.cond` would do the same, but would save the features as residuals in every step.
    """
    del edges, learner, raw
    return held.weights


def _held_weights_forward(
    edges: EdgesFn, learner: Any, raw: Edges, held: Held
) -> tuple[Weights, tuple[Any, Edges, Held]]:
    del edges
    return held.weights, (learner, raw, held)


def _held_weights_backward(
    edges: EdgesFn, saved: tuple[Any, Edges, Held], cotangents: Weights
) -> tuple[Any, None, None]:
    learner, raw, held = saved

    def weights(learner: Any) -> Weights:
        found = edges(learner, held.nearest, raw)
        return {name: neighbors.weights for name, neighbors in found.items()}

    gradient = jax.lax.cond(
        held.fresh,
        lambda: jax.vjp(weights, learner)[1](cotangents)[0],
        lambda: jax.tree.map(jnp.zeros_like, learner),
    )
    return gradient, None, None


_held_weights.defvjp(_held_weights_forward, _held_weights_backward)


def backbone_embeddings(
    params: dict[str, Any], inputs: Inputs, config: Config, key: PRNGKeyArray | None
) -> cf.Embeddings:
    """Users and items, averaged over the layers of the backbone."""
    backbone = BACKBONES[config.item_graph.backbone]
    layers = backbone.propagate(params, inputs.joint, config, key)
    return cf.split_nodes(cf.mean(layers), params)


def build(
    config: Config,
    dataset: Dataset,
    steps_per_epoch: int,
    init: Callable[[PRNGKeyArray], Any],
    edges: EdgesFn,
    loss: LossFn,
    embed: Callable[[Any, Inputs, Held], cf.Embeddings],
) -> Model:
    """A model on learned item graphs, which it rebuilds at every epoch and every evaluation."""
    inputs, k = make_inputs(config, dataset), config.item_graph.neighbors

    def rebuilt(params: Params, inputs: Inputs) -> Held:
        return rebuild(edges, params["model"]["learner"], inputs, k)

    def refresh(params: Params, inputs: Inputs, held: Held, step: Int[Array, ""]) -> Held:
        due, as_held = step % steps_per_epoch == 0, held._replace(fresh=jnp.asarray(False))
        now: Held = jax.lax.cond(due, lambda: rebuilt(params, inputs), lambda: as_held)
        return now

    def embed_rebuilt(params: Params, inputs: Inputs, held: Held) -> cf.Embeddings:
        del held
        return embed(params["model"], inputs, rebuilt(params, inputs))

    empty = jax.eval_shape(lambda key: rebuilt({"model": init(key)}, inputs), jax.random.key(0))
    return Model(
        inputs,
        init=lambda key: {"model": init(key)},
        losses={"model": loss},
        embed=embed_rebuilt,
        held=jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), empty),
        refresh=refresh,
        scores_cold_items=True,
    )
