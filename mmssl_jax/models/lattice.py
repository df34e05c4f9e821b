"""LATTICE (Zhang et al., "Mining latent structures for multimedia recommendation", MM 2021)."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.config.sections import (
    NOT_NEGATIVE,
    POSITIVE,
    Rule,
    Section,
    one_of,
    section,
    setting,
)
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.nearest import Neighbors, join, normalize, symmetric_weights
from mmssl_jax.models import cf, learned_item_graphs, ngcf
from mmssl_jax.models.learned_item_graphs import Held, Inputs, Nearest
from mmssl_jax.models.model import Batch, Definition, Model, Params, Terms


@section
class LearnedGraph(Section):
    """The learned item graphs of LATTICE and MICRO."""

    backbone: str = setting("lightgcn", one_of("lightgcn", "ngcf", "mf"))
    neighbors: int = setting(10, POSITIVE)  # k: of every item, in each modality
    raw_weight: float = setting(  # lambda: of the raw features' graphs; the rest is the learned
        0.9, Rule("from 0 to 1", lambda value: 0 <= value <= 1)
    )
    contrastive_weight: float = setting(0.03, NOT_NEGATIVE)  # MICRO
    temperature: float = setting(0.5, POSITIVE)  # MICRO: tau of the contrastive loss


SETTINGS = {"item_graph": LearnedGraph, "ngcf": ngcf.NGCF}

DEFAULTS = cf.DEFAULTS | {
    "train.learning_rate": 5e-4,
    "train.lr_decay": 0.96 ** (1 / 50),
    "train.evaluate_every": 5,
    "train.patience": 10,
}


def init_params(key: PRNGKeyArray, config: Config, dataset: Dataset) -> dict[str, Any]:
    """The parameters of backbone and learner; the modalities start with equal weights."""
    params = learned_item_graphs.init_params(key, config, dataset)
    count = len(dataset.features)
    params["learner"]["modal_weight"] = jnp.full(count, 1 / count)
    return params


def edges(
    learner: dict[str, Any], nearest: Nearest, raw: dict[str, Neighbors], *, raw_weight: float
) -> dict[str, Neighbors]:
    """The edges of the item graph: the learned graphs (summed, then normalised) plus the raw ones.

    `(1 - lambda) D^-1/2 (sum_m w_m S_m) D^-1/2 + lambda sum_m w_m raw_m`, with w a softmax.
    """
    shares = dict(zip(nearest, jax.nn.softmax(learner["modal_weight"]), strict=True))
    found = learned_item_graphs.similarities(learner, nearest)
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
    """The backbone's users and items; to the items the normalised item view `n(h)` is added."""
    users, items = learned_item_graphs.backbone_embeddings(params, inputs, config, key)
    own_edges = partial(edges, raw_weight=config.item_graph.raw_weight)
    views = learned_item_graphs.products(
        own_edges, params["learner"], inputs, held, params["item_embedding"]
    )
    return users, items + normalize(views["item"])


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """LATTICE with any number of modalities, as released."""

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        return cf.bpr_terms(forward(params["model"], inputs, held, config, key), batch, config)

    return learned_item_graphs.build(
        config,
        dataset,
        steps_per_epoch,
        init=lambda key: init_params(key, config, dataset),
        edges=partial(edges, raw_weight=config.item_graph.raw_weight),
        loss=loss,
        embed=partial(forward, config=config),
    )


MODEL = Definition(build, DEFAULTS, SETTINGS)
