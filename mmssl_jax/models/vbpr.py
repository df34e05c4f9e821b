"""VBPR: matrix factorisation with item features (He and McAuley, "VBPR", AAAI 2016).

With any number of modalities, whose features are as if concatenated into one row.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax import losses
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.models import cf
from mmssl_jax.models.model import Model

DEFAULTS = cf.DEFAULTS | {"model.layers": 0}

Features = Mapping[str, Float[Array, "items _"]]


def init_params(key: PRNGKeyArray, config: Config, dataset: Dataset) -> dict[str, Any]:
    """Xavier uniform factors and projections; biases are zero.

    `user_factors` and `item_factors` are gamma of the paper, `user_content` is theta, and a
    modality's `projection` is its rows of E, its `feature_bias` those of beta'.
    """
    d, xavier = config.model.embedding_dim, jax.nn.initializers.xavier_uniform()
    keys = jax.random.split(key, 4)
    widths = {modality: array.shape[1] for modality, array in dataset.features.items()}
    projection_keys = jax.random.split(keys[3], len(widths))
    return {
        "user_factors": xavier(keys[0], (dataset.num_users, d)),
        "item_factors": xavier(keys[1], (dataset.num_items, d)),
        "item_bias": jnp.zeros(dataset.num_items),
        "user_content": xavier(keys[2], (dataset.num_users, d)),
        "projection": {
            modality: xavier(projection_key, (width, d))
            for (modality, width), projection_key in zip(
                widths.items(), projection_keys, strict=True
            )
        },
        "feature_bias": {modality: jnp.zeros(width) for modality, width in widths.items()},
    }


def user_vectors(params: dict[str, Any], users: Int[Array, "n"]) -> Float[Array, "n width"]:
    """`[gamma_u, theta_u, 1]`; the user's own bias changes no ranking and is left out."""
    ones = jnp.ones((len(users), 1))
    return jnp.concatenate([params["user_factors"][users], params["user_content"][users], ones], 1)


def item_vectors(
    params: dict[str, Any], features: Features, items: Int[Array, "n"]
) -> Float[Array, "n width"]:
    """`[gamma_i, E f_i, beta_i + beta'.f_i]`."""
    rows = {modality: array[items] for modality, array in features.items()}
    content = sum(x @ params["projection"][modality] for modality, x in rows.items())
    bias = params["item_bias"][items]
    bias = bias + sum(x @ params["feature_bias"][modality] for modality, x in rows.items())
    return jnp.concatenate([params["item_factors"][items], content, bias[:, None]], 1)


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """VBPR; the score is the inner product of a user's and an item's vector."""
    del steps_per_epoch
    cf.require_features(dataset, config)
    all_users, all_items = jnp.arange(dataset.num_users), jnp.arange(dataset.num_items)

    def init(key):
        return {"model": init_params(key, config, dataset)}

    def loss(params, features, held, batch, key):
        del held, key
        own = params["model"]
        users = user_vectors(own, batch.users)
        positives = item_vectors(own, features, batch.positives)
        negatives = item_vectors(own, features, batch.negatives)
        chosen = [own[name][batch.users] for name in ("user_factors", "user_content")]
        for items in (batch.positives, batch.negatives):
            chosen += [own[name][items] for name in ("item_factors", "item_bias")]
        terms = {
            "bpr": losses.bpr(users, positives, negatives),
            "embedding_l2": config.train.embedding_l2
            * losses.half_squares(chosen)
            / len(batch.users),
        }
        return terms["bpr"] + terms["embedding_l2"], terms

    def embed(params, features, held):
        del held
        own = params["model"]
        return user_vectors(own, all_users), item_vectors(own, features, all_items)

    features = {name: jnp.asarray(array) for name, array in dataset.features.items()}
    return Model(features, init, {"model": loss}, embed)
