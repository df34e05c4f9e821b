"""MMSSL's generator around a batch alone, on sampled neighbours (`train.fanout`).

What `generator.forward` computes for all nodes is computed for the nodes of two trees: around the
batch's users, and around its positives and negatives. Their levels are users and items in turn.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import sampled_neighbors, split_tables
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.graphs.sampled_neighbors import Tree
from mmssl_jax.models import cf
from mmssl_jax.models.mmssl import losses
from mmssl_jax.models.mmssl.generator import (
    Embeddings,
    Inputs,
    View,
    fuse,
    fuses,
    projections,
)
from mmssl_jax.models.model import Batch


class Around(NamedTuple):
    """A tree of users and items in turn."""

    tree: Tree
    users_first: bool  # the seeds are users

    def is_users(self, level: int) -> bool:
        """Whether a level has users."""
        return (level % 2 == 0) == self.users_first


def hops(config: Config) -> int:
    """How far an item's final embedding reaches: two hops a layer, as items use updated users.

    Raises:
      InputError: the critic plays, or the modality graphs change while training.
    """
    given = f"config field 'train.fanout' is {config.train.fanout}"
    if config.critic.enabled:
        raise InputError(
            f"{given}, but the critic of mmssl reads users' relations to all items; set "
            "critic.enabled=False, or leave train.fanout out"
        )
    if config.mmssl.modality_graph not in ("none", "observed"):
        raise InputError(
            f"{given}, but mmssl.modality_graph='{config.mmssl.modality_graph}' is made from all "
            "items; set mmssl.modality_graph to 'none' or 'observed', or leave train.fanout out"
        )
    fused = bool(config.mmssl.modality_graph == "observed" and config.mmssl.id_weight != 0.0)
    layers: int = config.model.layers
    return 2 * max(layers, 1) + fused  # at least two, for the features


def generator_terms(
    params: dict[str, Any], inputs: Inputs, batch: Batch, config: Config, key: PRNGKeyArray
) -> dict[str, Float[Array, ""]]:
    """`losses.generator_terms` of a batch.

    The L2 of the features is that of the batch's users, for all that can be drawn, and of its
    negatives, for all items. A square of what is right in the mean is too large in the mean, so it
    is the product of two draws.
    """
    key, again_key = jax.random.split(key)
    dropout_key = jax.random.split(jax.random.clone(key), 3)[2]  # of the same projected features
    seen = forward(params, inputs, batch, config, key)
    terms = losses.generator_terms(seen, cf.own_rows(batch), config)
    size, num_items = len(batch.users), len(params["item_embedding"])
    user_key, item_key = jax.random.split(again_key)
    hops = config.train.fanout[:2]
    users = around(user_key, inputs, batch.users, hops[:1], users_first=True)
    items = around(item_key, inputs, batch.negatives, hops, users_first=False)
    total = jnp.zeros(())
    for modality, again in features_of(params, inputs, config, dropout_key, users, items).items():
        user, item = (side[modality].feature for side in (seen.user_views, seen.item_views))
        total += len(inputs.tables.users) * jnp.sum(user * again[0])
        total += num_items * jnp.sum(item[size:] * again[1])
    return terms | {"feature_l2": 0.5 * config.mmssl.feature_l2 * total / size / num_items}


def features_of(
    params: dict[str, Any],
    inputs: Inputs,
    config: Config,
    key: PRNGKeyArray,
    users: Around,
    items: Around,
) -> dict[str, list[Float[Array, "seeds d"]]]:
    """Modality -> the propagated features of the seeds of both trees: one hop, and two."""
    reached = tuple(
        sampled_neighbors.paths(each.tree)[hop] for each, hop in ((users, 1), (items, 2))
    )
    return {
        modality: [*split_tables.weighted_rows(projected, reached, items.tree.mesh)]
        for modality, projected in projections(params, inputs, config, key).items()
    }


def forward(
    params: dict[str, Any], inputs: Inputs, batch: Batch, config: Config, key: PRNGKeyArray
) -> Embeddings:
    """The embeddings of the batch's users [batch], and of its positives then negatives."""
    user_key, item_key, dropout_key = jax.random.split(key, 3)
    of_items = jnp.concatenate([batch.positives, batch.negatives])
    users = around(user_key, inputs, batch.users, config.train.fanout[:-1], users_first=True)
    items = around(item_key, inputs, of_items, config.train.fanout, users_first=False)
    features = features_of(params, inputs, config, dropout_key, users, items)
    sides = []
    for side, (each, levels) in enumerate(
        zip((users, items), _ids(params, (users, items)), strict=True)
    ):
        ids, levels = _with_views(params, each.tree, levels, list(features), config)
        views = {name: View(both[side], ids) for name, both in features.items()}
        shares = sum(normalize(view.feature) for view in views.values())
        final = _propagated(each, levels, config) + config.mmssl.modality_weight * shares
        sides.append((final, views))
    (final_users, user_views), (final_items, item_views) = sides
    fused = fuse(params["fusion"], user_views, config) if "fusion" in params else None
    return Embeddings(final_users, final_items, user_views, item_views, fused)


def around(
    key: PRNGKeyArray,
    inputs: Inputs,
    seeds: Int[Array, "seeds"],
    fanout: tuple[int, ...],
    *,
    users_first: bool,
) -> Around:
    """The tree around users or items."""
    both = inputs.interactions
    turns = (both.user_item, both.item_user) if users_first else (both.item_user, both.user_item)
    graphs = [turns[hop % 2] for hop in range(len(fanout))]
    return Around(sampled_neighbors.tree(key, graphs, seeds, fanout), users_first)


def _ids(params: Mapping[str, Any], both: tuple[Around, ...]) -> list[list[Float[Array, "_ d"]]]:
    """The ID embeddings of each tree's levels; all trees gather from a table at once."""
    found: dict[tuple[int, int], Array] = {}
    for table, users in (("user_embedding", True), ("item_embedding", False)):
        levels = {
            (side, level): nodes
            for side, each in enumerate(both)
            for level, nodes in enumerate(each.tree.nodes)
            if each.is_users(level) == users
        }
        rows = sampled_neighbors.rows_of(params[table], list(levels.values()))
        found |= dict(zip(levels, rows, strict=True))
    return [
        [found[side, level] for level in range(len(each.tree.nodes))]
        for side, each in enumerate(both)
    ]


def _with_views(
    params: Mapping[str, Any], tree: Tree, levels: list[Array], names: list[str], config: Config
) -> tuple[Array | None, list[Array]]:
    """The ID view of the seeds, and the levels with the fused views added; fused, they are one
    less. All modalities have the same view, as all have the graph of the training pairs."""
    if config.mmssl.modality_graph == "none" or not names:
        return None, levels
    gathered = sampled_neighbors.sums(tree, levels)
    if not fuses(config) or config.mmssl.id_weight == 0.0:
        return gathered[0], levels
    added = []
    for level, ids in zip(levels, gathered, strict=False):
        fused = fuse(params["fusion"], dict.fromkeys(names, View(ids, ids)), config)
        added.append(level + config.mmssl.id_weight * normalize(fused))
    return gathered[0], added


def _propagated(each: Around, levels: list[Array], config: Config) -> Float[Array, "seeds d"]:
    """The mean over the layers of the seeds."""
    layers = [levels[0]]
    for layer in range(config.model.layers):
        softmax = config.mmssl.last_softmax and layer == config.model.layers - 1
        levels = _layer(each, levels, softmax=softmax)
        layers.append(levels[0])
    return cf.mean(layers)


def _layer(each: Around, levels: list[Array], *, softmax: bool) -> list[Array]:
    """The levels after a layer, as far as they can be: users from items, items from these users."""
    updated: list[Array] = []  # from the last level up
    for level in reversed(range(len(levels) - 1)):
        if each.is_users(level):
            below = levels[level + 1]
        elif updated:
            below = updated[0]
        else:
            continue  # there are no updated users below
        gathered = sampled_neighbors.weighted_sum(each.tree.weights[level], below)
        updated.insert(0, jax.nn.softmax(gathered, axis=1) if softmax else gathered)
    return updated
