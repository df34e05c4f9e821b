"""Hidden side information, and the loss of restoring it (LLMRec, section 3.3)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.models.cf import init_linear, linear
from mmssl_jax.models.llmrec.encoder import Arrays, Embeddings, Masks, Side

Decoders = dict[str, Arrays]  # "user" and "item" -> kernel and bias


def draw(key: PRNGKeyArray, config: Config, users: int, items: int) -> Masks:
    """Distinct users and items, `mask_share` of each; the share is rounded down."""
    user_key, item_key = jax.random.split(key)
    share = config.llmrec.mask_share
    return Masks(
        jax.random.permutation(user_key, users)[: int(share * users)],
        jax.random.permutation(item_key, items)[: int(share * items)],
    )


def masked(side: Side, masks: Masks, config: Config) -> Side:
    """The raw side information with the mean of each array in the place of what is hidden."""

    def hide(arrays: Arrays, rows: Array) -> Arrays:
        means = {name: jnp.mean(array, axis=0) for name, array in arrays.items()}
        return {name: x.at[rows].set(means[name][None, :]) for name, x in arrays.items()}

    attributes = side.attributes
    if config.llmrec.mask_attributes:
        attributes = hide(attributes, masks.items)
    return side._replace(attributes=attributes, profiles=hide(side.profiles, masks.users))


def init_decoders(key: PRNGKeyArray, config: Config, side: Side) -> Decoders:
    """Linear maps from d to the width of the users' features, and to that of the attributes."""
    user_key, item_key = jax.random.split(key)
    widths = {
        "user": next((array.shape[1] for array in side.profiles.values()), 1),
        "item": next((array.shape[1] for array in side.attributes.values()), 1),
    }
    d = config.model.embedding_dim
    return {
        "user": init_linear(user_key, d, widths["user"]),
        "item": init_linear(item_key, d, widths["item"]),
    }


def decoded(
    decoder: Mapping[str, Array], x: Float[Array, "n d"], config: Config
) -> Float[Array, "n width"]:
    """Features of embeddings."""
    return jax.nn.leaky_relu(linear(dict(decoder), x), config.llmrec.decoder_slope)


def difference(
    x: Float[Array, "n width"], y: Float[Array, "n width"], config: Config
) -> Float[Array, ""]:
    """The mean over rows of (1 - cosine)^power, or over entries of the normalised rows' squares."""
    x, y = normalize(x), normalize(y)
    if config.llmrec.restore_loss == "mse":
        return jnp.mean((x - y) ** 2)
    distance = jnp.maximum(1 - jnp.sum(x * y, axis=1), 0.0)  # rounding can make it negative
    return jnp.mean(distance**config.llmrec.restore_power)


def restore_loss(
    decoders: Decoders, out: Embeddings, raw: Side, masks: Masks, config: Config
) -> Float[Array, ""]:
    """How far from the hidden features are those decoded from the propagated ones.

    Args:
      decoders: of users and of items.
      out: of a forward pass with these masks.
      raw: the side information before any was hidden.
      masks: what was hidden.
      config: the run's config.
    """
    total = jnp.zeros(())
    for name, array in raw.profiles.items():
        rows = out.at_users.profiles[name][masks.users]
        if not config.llmrec.train_decoders:
            rows = jax.lax.stop_gradient(rows)
        found = decoded(decoders["user"], rows, config)
        total = total + difference(found, array[masks.users], config)
    for name, array in raw.attributes.items():
        if not config.llmrec.mask_attributes:
            break
        found = decoded(decoders["item"], out.at_items.attributes[name][masks.items], config)
        total = total + difference(found, array[masks.items], config)
    return total
