"""Matrix factorisation learnt with BPR (Rendle et al., "BPR", UAI 2009)."""

from typing import Any

from jaxtyping import Array, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.sparse import Graph
from mmssl_jax.models import cf
from mmssl_jax.models.model import Definition, Model

DEFAULTS = cf.DEFAULTS | {"model.layers": 0}


def propagate(
    params: dict[str, Any], graph: Graph | None, config: Config, key: PRNGKeyArray | None = None
) -> list[Array]:
    """The embeddings [users + items, d] alone, as the only layer."""
    del graph, config, key
    return [cf.nodes(params)]


BACKBONE = cf.Backbone(cf.no_layers, propagate)


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """Matrix factorisation without biases."""
    del steps_per_epoch
    return cf.build(config, dataset, BACKBONE)


MODEL = Definition(build, DEFAULTS)
