"""Modality graphs: users joined with the items their features are nearest to, on the device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.graphs import training_pairs
from mmssl_jax.graphs.interaction_graph import BipartiteGraphs
from mmssl_jax.graphs.sparse import Graph, sorted_bcoo


def neighbor_graphs(
    neighbors: Int[Array, "users k"],
    is_edge: Bool[Array, "users k"],
    num_items: int,
    *,
    symmetric: bool = False,
) -> BipartiteGraphs:
    """Both propagation graphs of `neighbors`, a list of items for every user, on the device.

    Args:
      neighbors: item indices, distinct within a row.
      is_edge: which of them count; the rest get a weight of zero.
      num_items: number of items.
      symmetric: as for `bipartite_graphs`.
    """
    users, k = neighbors.shape
    order = jnp.argsort(neighbors, axis=1)
    item = jnp.take_along_axis(neighbors, order, axis=1).reshape(-1).astype(jnp.int32)
    weight = jnp.take_along_axis(is_edge, order, axis=1).reshape(-1).astype(jnp.float32)
    user = jnp.repeat(jnp.arange(users, dtype=jnp.int32), k)
    shape = users, num_items
    return _sorted_graphs(user, item, weight, shape, unique=True, symmetric=symmetric)


def edge_graphs(
    users: Int[Array, "edges"],
    items: Int[Array, "edges"],
    weights: Float[Array, "edges"],
    shape: tuple[int, int],
    *,
    symmetric: bool = False,
) -> BipartiteGraphs:
    """Both propagation graphs of weighted edges in any order; what is there twice counts twice.

    Args:
      users: of the edges.
      items: of the edges.
      weights: 0 for what is no edge.
      shape: the numbers of users and of items.
      symmetric: as for `bipartite_graphs`.
    """
    order = jnp.lexsort((items, users))
    edges = users[order], items[order], weights[order]
    return _sorted_graphs(*edges, shape, unique=False, symmetric=symmetric)


def _sorted_graphs(
    user: Int[Array, "edges"],
    item: Int[Array, "edges"],
    weight: Float[Array, "edges"],
    shape: tuple[int, int],
    *,
    unique: bool,
    symmetric: bool,
) -> BipartiteGraphs:
    """`edge_graphs` of edges sorted by user and item."""
    users, items = shape
    by_item = jnp.argsort(item, stable=True)
    user_scale = (jax.ops.segment_sum(weight, user, users) + 1e-8) ** -0.5
    item_scale = (jax.ops.segment_sum(weight, item, items) + 1e-8) ** -0.5
    user_first = jnp.stack([user, item], axis=1)
    item_first = jnp.stack([item, user], axis=1)[by_item]

    def starts(rows: Int[Array, "edges"], count: int) -> Int[Array, "starts"]:
        return jnp.searchsorted(rows, jnp.arange(count + 1, dtype=jnp.int32)).astype(jnp.int32)

    user_starts, item_starts = starts(user, users), starts(item_first[:, 0], items)

    def graph(values: Float[Array, "edges"]) -> Graph:
        return Graph(
            sorted_bcoo(values, user_first, shape, unique=unique),
            sorted_bcoo(values[by_item], item_first, shape[::-1], unique=unique),
            user_starts,
            item_starts,
        )

    if symmetric:
        both = graph(weight * user_scale[user] * item_scale[item])
        return BipartiteGraphs(both, both.T)
    return BipartiteGraphs(
        user_item=graph(weight * user_scale[user]), item_user=graph(weight * item_scale[item]).T
    )


class UserBlocks(NamedTuple):
    """The block size in which all users are processed, and the most training pairs of a block."""

    size: int
    max_pairs: int  # training pairs in one block, at most


def user_blocks(train: scipy.sparse.csr_array, size: int = 1024) -> UserBlocks:
    """Blocks of `size` users, or of all if there are fewer."""
    size = min(size, train.shape[0])
    return UserBlocks(size, training_pairs.max_training_pairs(train, size))


def relation_graph(
    user_features: Float[Array, "users d"],
    item_features: Float[Array, "items d"],
    tables: training_pairs.PairTables,
    k: int,
    blocks: UserBlocks,
    *,
    symmetric: bool = False,
    tie_order: Int[Array, "items"] | None = None,
) -> BipartiteGraphs:
    """The graph that joins each user with the k items of the highest inner product.

    Items of the user's training pairs are left out. Ties go to the first in `tie_order` (default:
    lowest index). A user whose features are all zero has no relation to any item and gets no edge.
    At most [block, items] scores exist at a time.
    """
    num_users, num_items = user_features.shape[0], item_features.shape[0]
    count = -(-num_users // blocks.size)
    users = jnp.arange(count * blocks.size, dtype=jnp.int32) % num_users
    order = jnp.arange(num_items, dtype=jnp.int32) if tie_order is None else tie_order
    columns, place_of = item_features[order].T, jnp.argsort(order)

    def top(users: Int[Array, "block"]) -> tuple[Int[Array, "block k"], Bool[Array, "block k"]]:
        pairs = training_pairs.training_pairs_of(tables, users, blocks.max_pairs)
        scores = user_features[users] @ columns
        scores = scores.at[pairs.rows, place_of[pairs.items]].set(-jnp.inf, mode="drop")
        best, places = jax.lax.top_k(scores, k)
        related = jnp.any(user_features[users] != 0, axis=1, keepdims=True)
        return order[places], (best > -jnp.inf) & related

    items, is_edge = jax.lax.map(top, users.reshape(count, blocks.size))
    return neighbor_graphs(
        items.reshape(-1, k)[:num_users],
        is_edge.reshape(-1, k)[:num_users],
        num_items,
        symmetric=symmetric,
    )
