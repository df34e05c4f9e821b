"""The modality graphs of MMSSL's paper: each user's strongest relations, rebuilt now and then."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import modality_graph
from mmssl_jax.graphs.interaction_graph import BipartiteGraphs
from mmssl_jax.models.mmssl.generator import Inputs, forward
from mmssl_jax.models.model import Model, Params


def kept_by(model: Model, config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """The model with these graphs, built in its first step and every `mmssl.graph_refresh` steps.

    Args:
      model: of MMSSL.
      config: the run's config, resolved.
      dataset: has features.
      steps_per_epoch: the interval where the config sets none.
    """
    rebuilt = partial(rebuild, config, modality_graph.user_blocks(dataset.train))
    shapes = jax.eval_shape(lambda key: rebuilt(model.init(key), model.inputs), jax.random.key(0))
    return model._replace(
        held=jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), shapes),
        refresh=partial(refresh, rebuilt, config.mmssl.graph_refresh or steps_per_epoch),
    )


def rebuild(
    config: Config, blocks: modality_graph.UserBlocks, params: Params, inputs: Inputs
) -> dict[str, BipartiteGraphs]:
    """Modality -> the graph of every user's `graph_items` strongest relations."""
    views = forward(params["generator"], inputs, {}, config)
    return {
        modality: modality_graph.relation_graph(
            view.feature,
            views.item_views[modality].feature,
            inputs.tables,
            config.mmssl.graph_items,
            blocks,
            symmetric=config.mmssl.normalization == "symmetric",
            tie_order=inputs.tie_order,
        )
        for modality, view in views.user_views.items()
    }


def refresh(
    rebuilt: Any, every: int, params: Params, inputs: Inputs, held: Any, step: Int[Array, ""]
) -> Any:
    """The modality graphs of a step: built anew `every` so many steps."""
    return jax.lax.cond(step % every == 0, lambda: rebuilt(params, inputs), lambda: held)
