"""LLMRec's encoder: from interactions and side information to embeddings (WSDM 2024, section 3)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.graphs.interaction_graph import BipartiteGraphs
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.graphs.sparse import Graph, spmm
from mmssl_jax.models.cf import linear, mean
from mmssl_jax.models.dropout import dropout

Arrays = dict[str, Array]  # name -> one array


class Side(NamedTuple):
    """Side information by name: raw, projected, or propagated."""

    modalities: Arrays  # of items
    attributes: Arrays  # of items, of one width
    profiles: Arrays  # of users


class Inputs(NamedTuple):
    """Constant arrays on the device."""

    interactions: BipartiteGraphs
    side: Side
    augmented: Int[Array, "users 2"]  # the liked and the disliked item; -1 where there are none


class Masks(NamedTuple):
    """Users and items whose features are hidden: in their place is the mean over all."""

    users: Int[Array, "masked_users"]
    items: Int[Array, "masked_items"]


class Embeddings(NamedTuple):
    """What one forward pass gives: final embeddings, and side information at users and items."""

    users: Float[Array, "users d"]
    items: Float[Array, "items d"]
    at_users: Side
    at_items: Side


def init_params(key: PRNGKeyArray, config: Config, inputs: Inputs) -> dict[str, Any]:
    """Xavier uniform embeddings and kernels; biases uniform in +-1/sqrt(width), as in torch.

    All attributes share one projection.
    """
    d, xavier = config.model.embedding_dim, jax.nn.initializers.xavier_uniform()
    users, items = inputs.interactions.user_item.shape
    user_key, item_key, *keys = jax.random.split(key, 5)

    def projection(key: PRNGKeyArray, array: Array) -> Arrays:
        kernel_key, bias_key = jax.random.split(key)
        width = array.shape[1]
        bias = jax.random.uniform(bias_key, (d,), minval=-(width**-0.5), maxval=width**-0.5)
        return {"kernel": xavier(kernel_key, (width, d)), "bias": bias}

    def of_each(key: PRNGKeyArray, arrays: Arrays) -> dict[str, Arrays]:
        folded = enumerate(arrays.items())
        return {name: projection(jax.random.fold_in(key, i), x) for i, (name, x) in folded}

    attributes = list(inputs.side.attributes.values())
    return {
        "user_embedding": xavier(user_key, (users, d)),
        "item_embedding": xavier(item_key, (items, d)),
        "modalities": of_each(keys[0], inputs.side.modalities),
        "profiles": of_each(keys[1], inputs.side.profiles),
        "attributes": projection(keys[2], attributes[0]) if attributes else {},
    }


def hidden_rows(masks: Masks, config: Config) -> dict[str, Array]:
    """The rows that are hidden, by the kinds of `Side` in which anything is."""
    own = config.llmrec
    hidden = {
        "modalities": (own.mask_modalities, masks.items),
        "attributes": (own.mask_attributes, masks.items),
        "profiles": (own.mask_users, masks.users),
    }
    return {kind: rows for kind, (chosen, rows) in hidden.items() if chosen}


def projections(params: Mapping[str, Any], side: Side) -> dict[str, dict[str, Arrays]]:
    """The linear map of each array, by kind and name; attributes share theirs."""
    return {
        "modalities": params["modalities"],
        "attributes": dict.fromkeys(side.attributes, params["attributes"]),
        "profiles": params["profiles"],
    }


def projected(
    params: Mapping[str, Any],
    side: Side,
    masks: Masks | None,
    config: Config,
    key: PRNGKeyArray | None,
) -> Side:
    """The side information in d dimensions; each array has its own dropout.

    What is hidden gets the mean of the projected rows, which is the projection of the mean.
    """
    own = projections(params, side)
    hidden = {} if masks is None else hidden_rows(masks, config)
    result: dict[str, Arrays] = {}
    index = 0
    for kind, arrays in side._asdict().items():
        result[kind] = {}
        for name, array in arrays.items():
            x = linear(own[kind][name], array)
            if kind in hidden:
                x = x.at[hidden[kind]].set(jnp.mean(x, axis=0)[None, :])
            if key is not None:
                x = dropout(jax.random.fold_in(key, index), x, config.llmrec.dropout)
            result[kind][name], index = x, index + 1
    return Side(**result)


def _propagated(graph: Graph, side: Side) -> Side:
    """The product with each array; they are multiplied side by side."""
    arrays, tree = jax.tree.flatten(side)
    if not arrays:
        return side
    product = spmm(graph, jnp.concatenate(arrays, axis=1))
    found: Side = jax.tree.unflatten(tree, jnp.split(product, len(arrays), axis=1))
    return found


def id_layers(params: Mapping[str, Any], inputs: Inputs, config: Config) -> list[list[Array]]:
    """Users and items after every layer, the embeddings first.

    Items use the users of their own layer, and in the last one both end in a softmax.
    """
    graphs, last = inputs.interactions, config.model.layers
    users, items = [params["user_embedding"]], [params["item_embedding"]]
    for layer in range(1, last + 1):
        end = jax.nn.softmax if config.llmrec.last_softmax and layer == last else lambda x: x
        users.append(end(spmm(graphs.user_item, items[-1])))
        items.append(end(spmm(graphs.item_user, users[-1])))
    return [users, items]


def forward(
    params: Mapping[str, Any],
    inputs: Inputs,
    config: Config,
    key: PRNGKeyArray | None = None,
    masks: Masks | None = None,
    side: Side | None = None,
) -> Embeddings:
    """All embeddings.

    Args:
      params: from `init_params`.
      inputs: interactions and side information.
      config: the run's config.
      key: for dropout; None turns it off.
      masks: what is hidden in this pass.
      side: the raw side information, if other than that of the inputs.
    """
    own, graphs = config.llmrec, inputs.interactions
    x = projected(params, side or inputs.side, masks, config, key)
    users = _propagated(graphs.user_item, x._replace(profiles={}))
    items = _propagated(graphs.item_user, users)
    # Users' features go to the items first, and from there to the users.
    profiles = _propagated(graphs.item_user, Side({}, {}, x.profiles))
    at_items = items._replace(profiles=profiles.profiles)
    at_users = users._replace(profiles=_propagated(graphs.user_item, profiles).profiles)
    crossing = 1.0 if own.cross_terms else 0.0
    modality, attribute, profile = own.modality_weight, own.attribute_weight, own.profile_weight
    to_users = modality, crossing * attribute, profile
    to_items = modality, attribute, crossing * profile
    layers = id_layers(params, inputs, config)
    return Embeddings(
        mean(layers[0]) + _weighted(at_users, to_users),
        mean(layers[1]) + _weighted(at_items, to_items),
        at_users,
        at_items,
    )


def _weighted(side: Side, weights: tuple[float, float, float]) -> Array:
    """The sum of all normalised arrays, each with the weight of its kind."""
    total = jnp.zeros(())
    for arrays, weight in zip(side, weights, strict=True):
        total = total + sum((weight * normalize(x) for x in arrays.values()), start=jnp.zeros(()))
    return total
