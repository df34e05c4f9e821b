"""VBPR: matrix factorisation with item features (He and McAuley, "VBPR", AAAI 2016).

Several modalities are treated as if their features were concatenated.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.models import cf, losses, missing
from mmssl_jax.models.model import Batch, Definition, Model, Params, Terms, to_place

# The authors divide their features by a constant; see also `scaled`.
DEFAULTS = cf.DEFAULTS | {"model.layers": 0, "data.standardize": True}


class Inputs(NamedTuple):
    """Constant arrays on the device."""

    features: dict[str, Float[Array, "items _"]]
    present: missing.Present  # modality -> which items have it, where the rest is learned


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
        "missing": missing.init_vectors(config, dataset),
    }


def user_vectors(params: dict[str, Any], users: Int[Array, "n"]) -> Float[Array, "n width"]:
    """`[gamma_u, theta_u, 1]`; the user's own bias changes no ranking and is left out."""
    ones = jnp.ones((len(users), 1))
    return jnp.concatenate([params["user_factors"][users], params["user_content"][users], ones], 1)


def item_vectors(
    params: dict[str, Any], inputs: Inputs, items: Int[Array, "n"]
) -> Float[Array, "n width"]:
    """`[gamma_i, E f_i, beta_i + beta'.f_i]`."""
    rows: missing.Features = {modality: array[items] for modality, array in inputs.features.items()}
    present = {modality: known[items] for modality, known in inputs.present.items()}
    rows = missing.replaced(rows, present, params["missing"])
    content = sum(x @ params["projection"][modality] for modality, x in rows.items())
    bias = params["item_bias"][items]
    bias = bias + sum(x @ params["feature_bias"][modality] for modality, x in rows.items())
    return jnp.concatenate([params["item_factors"][items], content, bias[:, None]], 1)


def scaled(dataset: Dataset, first: int | None = None) -> Dataset:
    """The data with every modality divided by the mean L1 norm of its (`first`) rows.

    Adam moves each weight of E by about the learning rate per step, so an item's content moves by
    the learning rate times the norm of its features. With norm 1 content learns as fast as the
    factors. With the norm of raw features (about a hundred) it would fit the training pairs within
    one epoch.
    """
    features = {}
    for modality, array in dataset.features.items():
        norm = float(np.mean(np.sum(np.abs(array[:first]), axis=1, dtype=np.float64)))
        features[modality] = (array / (norm or 1.0)).astype(np.float32)
    return dataclasses.replace(dataset, features=features)


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """VBPR; the score is the inner product of a user's and an item's vector."""
    del steps_per_epoch
    cf.require_features(dataset, config)
    whole, dataset = dataset, scaled(dataset)
    all_users, all_items = jnp.arange(dataset.num_users), jnp.arange(dataset.num_items)

    def init(key: PRNGKeyArray) -> Params:
        return {"model": init_params(key, config, dataset)}

    def loss(
        params: Params, inputs: Inputs, held: Any, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        del held, key
        own = params["model"]
        users = user_vectors(own, batch.users)
        positives = item_vectors(own, inputs, batch.positives)
        negatives = item_vectors(own, inputs, batch.negatives)
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

    def embed(params: Params, inputs: Inputs, held: Any) -> cf.Embeddings:
        del held
        own = params["model"]
        return user_vectors(own, all_users), item_vectors(own, inputs, all_items)

    model = Model(inputs_of(config, dataset), init, {"model": loss}, embed, scores_cold_items=True)
    return model._replace(with_items=partial(with_items, model, config, whole))


def inputs_of(config: Config, dataset: Dataset) -> Inputs:
    """The inputs of a data set that is `scaled`."""
    return Inputs(to_place(dict(dataset.features)), missing.present(config, dataset))


def with_items(model: Model, config: Config, dataset: Dataset, more: Dataset) -> Model:
    """The model of a data set with items behind its own, whose factors and bias are 0.

    That is what the L2 makes of an item of which nothing but its features is known.
    """
    known = dataset.num_items
    inputs = inputs_of(config, scaled(more, known))
    # Where no item lacked a modality in training, no vector was learned in place of it.
    learned = {name: mask for name, mask in inputs.present.items() if name in dataset.present}
    inputs = inputs._replace(present=learned)

    def embed(params: Params, inputs: Inputs, held: Any) -> cf.Embeddings:
        del held
        own, added = dict(params["model"]), more.num_items - known
        users = user_vectors(own, jnp.arange(dataset.num_users))
        own["item_factors"] = jnp.pad(own["item_factors"], ((0, added), (0, 0)))
        own["item_bias"] = jnp.pad(own["item_bias"], (0, added))
        return users, item_vectors(own, inputs, jnp.arange(more.num_items))

    return model._replace(inputs=inputs, embed=embed)


MODEL = Definition(build, DEFAULTS)
