"""Hidden side information, and the loss of restoring it (LLMRec, section 3.3)."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.models.cf import init_linear, linear
from mmssl_jax.models.llmrec import encoder
from mmssl_jax.models.llmrec.encoder import Arrays, Embeddings, Masks, Side, hidden_rows

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

    hidden = hidden_rows(masks, config)

    def hide(x: Array, rows: Array) -> Array:
        return x.at[rows].set(jnp.mean(x, axis=0)[None, :])

    return Side(
        **{
            kind: {
                name: hide(x, hidden[kind]) if kind in hidden else x for name, x in arrays.items()
            }
            for kind, arrays in side._asdict().items()
        }
    )


def rows_of(side: Side, masks: Masks, config: Config) -> Side:
    """The rows of the raw side information that are hidden."""
    hidden = hidden_rows(masks, config)
    return Side(
        **{
            kind: {name: x[hidden[kind]] for name, x in arrays.items()} if kind in hidden else {}
            for kind, arrays in side._asdict().items()
        }
    )


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
    params: Mapping[str, Any],
    decoders: Decoders | None,
    out: Embeddings,
    raw: Side,
    masks: Masks,
    config: Config,
) -> Float[Array, ""]:
    """How far hidden features, or their projections, are from what was propagated without them.

    Args:
      params: of the encoder.
      decoders: of users and of items; None where nothing is decoded.
      out: of a forward pass with these masks.
      raw: the hidden rows of the side information, as `rows_of` has them.
      masks: what was hidden.
      config: the run's config.
    """
    hidden, maps = hidden_rows(masks, config), encoder.projections(params, raw)
    at = out.at_items._replace(profiles=out.at_users.profiles)._asdict()
    total = jnp.zeros(())
    for kind, arrays in raw._asdict().items():
        for name, target in arrays.items():
            found = at[kind][name][hidden[kind]]
            if decoders is None:
                target = linear(maps[kind][name], target)
            else:
                if kind == "profiles" and not config.llmrec.train_decoders:
                    found = jax.lax.stop_gradient(found)
                own = decoders["user" if kind == "profiles" else "item"]
                found = decoded(own, found, config)
            total = total + difference(found, target, config)
    return total
