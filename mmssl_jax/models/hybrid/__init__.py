"""Hybrid: item vectors, a graph and the items' content, each where it knows most.

A user is the sum of the vectors of his items, and has none of his own, so that a new user is
served without training. Their scores are joined with those of LightGCN, and with those of content
in closed form, which counts most where an item has few training pairs.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.training_pairs import max_training_pairs
from mmssl_jax.models.hybrid import losses, scores
from mmssl_jax.models.hybrid.inputs import Inputs, make_inputs
from mmssl_jax.models.hybrid.scores import Representation
from mmssl_jax.models.hybrid.settings import DEFAULTS, Hybrid
from mmssl_jax.models.model import Definition, Model, Params


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """The hybrid. Without features it has no content, with a `hybrid.graph` of 0 no graph."""
    del steps_per_epoch
    own, d = config.hybrid, config.model.embedding_dim
    inputs, players = make_inputs(config, dataset), losses.losses_of(config)
    sizes = {"users": (dataset.num_users, d), "items": (dataset.num_items, d)}

    def init(key: PRNGKeyArray) -> Params:
        return losses.init_tables(key, tuple(players), own.members, sizes)

    def refresh(params: Params, inputs: Inputs, held: Params, step: Int[Array, ""]) -> Params:
        del inputs
        return scores.held_average(held, params, step, own.average)

    def embed(params: Params, inputs: Inputs, held: Params) -> Representation:
        del params
        return scores.represent(held, inputs, config=config)

    def score(
        representation: Representation, users: Int[Array, "block"]
    ) -> Float[Array, "block items"]:
        # Users are distinct, but for padding at the end, whose scores nobody reads.
        most = max_training_pairs(dataset.train, len(users))
        return scores.score(representation, users, most_pairs=most)

    shapes = jax.eval_shape(init, jax.random.key(0))
    return Model(
        inputs,
        init,
        players,
        embed,
        score,
        held=jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes),
        refresh=refresh,
        scores_cold_items=inputs.content is not None,
        score_history=scores.score_history,
        batches=own.members,
    )


MODEL = Definition(build, DEFAULTS, {"hybrid": Hybrid})
