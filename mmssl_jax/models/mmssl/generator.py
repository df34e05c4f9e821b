"""MMSSL's generator: from interactions and features to embeddings (MMSSL, sections 3.1 to 3.3).

`VARIANTS` in `settings` lists every place in which the paper and the public release differ.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.graphs import training_pairs
from mmssl_jax.graphs.interaction_graph import BipartiteGraphs
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.graphs.sparse import spmm
from mmssl_jax.models import missing
from mmssl_jax.models.cf import mean
from mmssl_jax.models.dropout import dropout


class Inputs(NamedTuple):
    """Constant arrays on the device."""

    interactions: BipartiteGraphs
    features: dict[str, Float[Array, "items _"]]
    tables: training_pairs.PairTables
    present: missing.Present  # modality -> which items have it, where the rest is learned
    tie_order: Int[Array, "items"] | None = None  # `Dataset.tie_order`; None is by index


class View(NamedTuple):
    """One modality's side of the users or of the items, [nodes, d] each."""

    feature: Array  # propagated projected features, f_m
    ids: Array | None  # ID embeddings through the modality graph, e_m; None without a graph


class Embeddings(NamedTuple):
    """What one forward pass gives: final embeddings, the views, and the fused users."""

    users: Array
    items: Array
    user_views: dict[str, View]
    item_views: dict[str, View]
    fused_users: Array | None
    filled: Bool[Array, ""] | bool = True  # whether the modality graphs have edges


def init_generator(
    key: PRNGKeyArray, config: Config, num_users: int, num_items: int, widths: Mapping[str, int]
) -> dict[str, Any]:
    """The generator's parameters: embeddings, one projection a modality, and the fusion.

    Args:
      key: a random key.
      config: the run's config.
      num_users: rows of the user embeddings.
      num_items: rows of the item embeddings.
      widths: modality -> width of its features.
    """
    d, heads = config.model.embedding_dim, config.mmssl.heads
    xavier = jax.nn.initializers.xavier_uniform()
    user_key, item_key, fusion_key, projection_key = jax.random.split(key, 4)
    params: dict[str, Any] = {
        "user_embedding": xavier(user_key, (num_users, d)),
        "item_embedding": xavier(item_key, (num_items, d)),
        "projection": {},
    }
    for index, (modality, width) in enumerate(widths.items()):
        kernel_key, bias_key = jax.random.split(jax.random.fold_in(projection_key, index))
        bound = width**-0.5
        params["projection"][modality] = {
            "kernel": xavier(kernel_key, (width, d)),
            "bias": jax.random.uniform(bias_key, (d,), minval=-bound, maxval=bound),
        }
    if not (widths and config.mmssl.modality_graph != "none" and fuses(config)):
        return params
    if config.mmssl.attention:
        keys = dict(zip(("query", "key", "value"), jax.random.split(fusion_key, 3), strict=True))
        params["fusion"] = {name: xavier(k, (d, d)) for name, k in keys.items()}
    else:
        params["fusion"] = xavier(fusion_key, (heads * d, d))
    return params


def forward(
    params: dict[str, Any],
    inputs: Inputs,
    modality_graphs: Mapping[str, BipartiteGraphs],
    config: Config,
    key: PRNGKeyArray | None = None,
    filled: Bool[Array, ""] | bool = True,
) -> Embeddings:
    """All embeddings of a generator (MMSSL, sections 3.1 to 3.3).

    Args:
      params: from `init_generator`.
      inputs: interactions and features.
      modality_graphs: modality -> its graphs; empty for none.
      config: the run's config.
      key: for the dropout of the projected features; None turns dropout off.
      filled: False says that the modality graphs have no edge, which saves their products.
    """
    user_item, item_user = inputs.interactions.user_item, inputs.interactions.item_user
    user_views, item_views = {}, {}
    ids = id_views(params, modality_graphs, filled)
    for modality, projected in projections(params, inputs, config, key).items():
        user_feature = spmm(user_item, projected)
        item_feature = spmm(item_user, user_feature)
        user_ids, item_ids = ids.get(modality, (None, None))
        user_views[modality] = View(user_feature, user_ids)
        item_views[modality] = View(item_feature, item_ids)

    users, items = params["user_embedding"], params["item_embedding"]
    fused_users = None
    if modality_graphs and fuses(config):
        fused_users = fuse(params["fusion"], user_views, config)
        if config.mmssl.id_weight != 0.0:  # with weight 0 only the contrastive loss uses the views
            fused_items = fuse(params["fusion"], item_views, config)
            users = users + config.mmssl.id_weight * normalize(fused_users)
            items = items + config.mmssl.id_weight * normalize(fused_items)
    users, items = propagate(
        users, items, inputs.interactions, config.model.layers, config.mmssl.last_softmax
    )
    omega = config.mmssl.modality_weight
    users = users + omega * sum(normalize(view.feature) for view in user_views.values())
    items = items + omega * sum(normalize(view.feature) for view in item_views.values())
    return Embeddings(users, items, user_views, item_views, fused_users, filled)


def projections(
    params: dict[str, Any], inputs: Inputs, config: Config, key: PRNGKeyArray | None
) -> dict[str, Float[Array, "items d"]]:
    """Modality -> the projected features of all items; a key of None turns dropout off."""
    all_features = missing.replaced(inputs.features, inputs.present, params.get("missing", {}))
    found = {}
    for index, (modality, features) in enumerate(all_features.items()):
        projection = params["projection"][modality]
        projected = features @ projection["kernel"] + projection["bias"][None, :]
        if key is not None:
            projected = dropout(
                jax.random.fold_in(key, index), projected, config.mmssl.feature_dropout
            )
        found[modality] = projected
    return found


def id_views(
    params: dict[str, Any],
    modality_graphs: Mapping[str, BipartiteGraphs],
    filled: Bool[Array, ""] | bool,
) -> dict[str, tuple[Float[Array, "users d"], Float[Array, "items d"]]]:
    """For each modality: ID embeddings passed once over its graph, each side receiving the other's.

    Modalities with the same graph share the products. Without edges they are zero.
    """
    users, items = params["user_embedding"], params["item_embedding"]

    def passed(graph: BipartiteGraphs) -> tuple[Array, Array]:
        return spmm(graph.user_item, items), spmm(graph.item_user, users)

    products = {}
    for graph in modality_graphs.values():
        if id(graph) not in products:
            products[id(graph)] = (
                passed(graph)
                if filled is True
                else jax.lax.cond(
                    filled, passed, lambda _: (jnp.zeros_like(users), jnp.zeros_like(items)), graph
                )
            )
    return {modality: products[id(graph)] for modality, graph in modality_graphs.items()}


def fuses(config: Config) -> bool:
    """Whether the config uses fused views at all."""
    return bool(config.mmssl.id_weight != 0.0 or config.mmssl.contrast_fused)


def fuse(fusion: Any, views: Mapping[str, View], config: Config) -> Float[Array, "nodes d"]:
    """The ID views of all modalities as one, by attention or by one matrix.

    The release calls this multi-head attention, but its softmax sums over an axis of constants.
    What remains is the mean over modalities times the sum of the matrix's row blocks (one block per
    head).
    """
    ids = [view.ids for view in views.values() if view.ids is not None]  # [nodes, d] each
    nodes, d = ids[0].shape
    if not config.mmssl.attention:
        return mean(ids) @ jnp.sum(fusion.reshape(-1, d, d), axis=0)
    heads = config.mmssl.heads
    queries, keys, values = (
        [(x @ fusion[name]).reshape(nodes, heads, d // heads) for x in ids]
        for name in ("query", "key", "value")
    )
    # There are few modalities and many nodes, so sum over whole arrays instead of one tiny product
    # per node.
    shares = [
        jax.nn.softmax(
            jnp.stack([jnp.sum(query * key, axis=-1) for key in keys]) * (d // heads) ** -0.5,
            axis=0,
        )
        for query in queries
    ]
    mean_shares = mean(shares)  # [modalities, nodes, heads], averaged over the queries
    attended = [mean_shares[m][..., None] * value for m, value in enumerate(values)]
    return sum(attended, start=jnp.zeros(())).reshape(nodes, d)


def propagate(
    users: Float[Array, "users d"],
    items: Float[Array, "items d"],
    interactions: BipartiteGraphs,
    layers: int,
    last_softmax: bool,
) -> tuple[Float[Array, "users d"], Float[Array, "items d"]]:
    """The mean over layers 0..L of users and of items.

    In each layer users are updated first, and items gather from the updated users.
    """
    all_users, all_items = [users], [items]
    for layer in range(layers):
        softmax = last_softmax and layer == layers - 1
        users = spmm(interactions.user_item, items)
        users = jax.nn.softmax(users, axis=1) if softmax else users
        items = spmm(interactions.item_user, users)
        items = jax.nn.softmax(items, axis=1) if softmax else items
        all_users.append(users)
        all_items.append(items)
    return mean(all_users), mean(all_items)
