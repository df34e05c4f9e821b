"""LATTICE (Zhang et al., "Mining latent structures for multimedia recommendation", MM 2021)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.nearest import Neighbors, join, normalize, symmetric_weights
from mmssl_jax.graphs.training_pairs import Batch
from mmssl_jax.models import cf, item_graphs
from mmssl_jax.models.item_graphs import Held, Inputs, Nearest
from mmssl_jax.models.model import Definition, Model, Params, Terms

DEFAULTS = item_graphs.DEFAULTS


def init_params(key: PRNGKeyArray, config: Config, dataset: Dataset) -> dict[str, Any]:
    """The parameters of backbone and learner; the modalities start with equal weights."""
    params = item_graphs.init_params(key, config, dataset)
    count = len(dataset.features)
    params["learner"]["modal_weight"] = jnp.full(count, 1 / count)
    return params


def edges(
    learner: dict[str, Any], nearest: Nearest, raw: dict[str, Neighbors], *, raw_weight: float
) -> dict[str, Neighbors]:
    """The item graph: the learned graphs, summed before they are normalised, and the raw ones.

    `(1 - lambda) D^-1/2 (sum_m w_m S_m) D^-1/2 + lambda sum_m w_m raw_m`, with w a softmax.
    """
    shares = dict(zip(nearest, jax.nn.softmax(learner["modal_weight"]), strict=True))
    found = item_graphs.similarities(learner, nearest)
    learned = join([_scaled(shares[name], part) for name, part in found.items()])
    learned = Neighbors(learned.items, symmetric_weights(learned))
    parts = [_scaled(raw_weight * shares[name], part) for name, part in raw.items()]
    return {"item": join([_scaled(1 - raw_weight, learned), *parts])}


def _scaled(factor: Array | float, neighbors: Neighbors) -> Neighbors:
    return Neighbors(neighbors.items, factor * neighbors.weights)


def forward(
    params: dict[str, Any],
    inputs: Inputs,
    held: Held,
    config: Config,
    key: PRNGKeyArray | None = None,
) -> cf.Embeddings:
    """Users and items of the backbone; items gain `n(h)`, h the item graph times the embeddings."""
    users, items = item_graphs.backbone_embeddings(params, inputs, config, key)
    own_edges = partial(edges, raw_weight=config.item_graph.raw_weight)
    views = item_graphs.products(
        own_edges, params["learner"], inputs, held, params["item_embedding"]
    )
    return users, items + normalize(views["item"])


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """LATTICE with any number of modalities, as released."""

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        return cf.bpr_terms(forward(params["model"], inputs, held, config, key), batch, config)

    return item_graphs.build(
        config,
        dataset,
        steps_per_epoch,
        init=lambda key: init_params(key, config, dataset),
        edges=partial(edges, raw_weight=config.item_graph.raw_weight),
        loss=loss,
        embed=partial(forward, config=config),
    )


MODEL = Definition(build, DEFAULTS, item_graphs.SETTINGS)
