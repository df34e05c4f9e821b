"""Sparse graphs and the products with them; the only module that knows the sparse format.

A `Graph` keeps a matrix and its transpose, both as row-sorted BCOO: the gradient of a product
multiplies by the transpose, and a transposed BCOO loses the sorted order that makes it fast.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax import sampling


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Graph:
    """A constant sparse matrix [rows, columns] with its transpose."""

    matrix: sparse.BCOO
    transpose: sparse.BCOO

    @property
    def T(self) -> "Graph":
        return Graph(self.transpose, self.matrix)


@jax.custom_vjp
def spmm(graph: Graph, x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
    """The product of a graph [rows, columns] and a dense matrix.

    The gradient reaches `x` only (a graph is data): it is the product with the stored transpose.
    """
    return graph.matrix @ x


def _spmm_forward(graph, x):
    return spmm(graph, x), graph


def _spmm_backward(graph, cotangent):
    return None, graph.transpose @ cotangent


spmm.defvjp(_spmm_forward, _spmm_backward)


def from_scipy(matrix: scipy.sparse.sparray) -> Graph:
    """A host matrix as a Graph on the device, values in float32."""
    return Graph(_to_bcoo(matrix), _to_bcoo(matrix.T))


def _to_bcoo(matrix: scipy.sparse.sparray) -> sparse.BCOO:
    csr = scipy.sparse.csr_array(matrix, dtype=np.float32)
    csr.sum_duplicates()
    if csr.nnz >= 2**31 or max(csr.shape) >= 2**31:
        raise OverflowError(f"a graph of shape {csr.shape} with {csr.nnz} edges exceeds int32")
    rows = np.repeat(np.arange(csr.shape[0], dtype=np.int32), np.diff(csr.indptr))
    indices = np.stack([rows, csr.indices.astype(np.int32)], axis=1)
    return _sorted_bcoo(jnp.asarray(csr.data), jnp.asarray(indices), csr.shape)


def _sorted_bcoo(data, indices, shape) -> sparse.BCOO:
    return sparse.BCOO((data, indices), shape=shape, indices_sorted=True, unique_indices=True)


def normalized(adjacency: scipy.sparse.sparray) -> scipy.sparse.csr_array:
    """`diag(rowsum + 1e-8)^(-1/2) G`: one-sided, by its own row sums, as in the release."""
    csr = scipy.sparse.csr_array(adjacency, dtype=np.float64)
    scale = (np.asarray(csr.sum(axis=1)).ravel() + 1e-8) ** -0.5
    return scipy.sparse.csr_array(scipy.sparse.diags_array(scale) @ csr)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BipartiteGraphs:
    """Users and items joined by a matrix G [users, items], normalised in both directions."""

    user_item: Graph  # norm(G): users gather from items
    item_user: Graph  # norm(G^T): items gather from users


def bipartite_graphs(adjacency: scipy.sparse.sparray) -> BipartiteGraphs:
    """Both propagation graphs of a host matrix [users, items]."""
    return BipartiteGraphs(
        user_item=from_scipy(normalized(adjacency)), item_user=from_scipy(normalized(adjacency.T))
    )


def neighbor_graphs(
    neighbors: Int[Array, "users k"], is_edge: Bool[Array, "users k"], num_items: int
) -> BipartiteGraphs:
    """Both propagation graphs of `neighbors`, a list of items for every user, on the device.

    Args:
      neighbors: item indices, distinct within a row.
      is_edge: which of them count; the rest get a weight of zero.
      num_items: number of items.
    """
    users, k = neighbors.shape
    order = jnp.argsort(neighbors, axis=1)
    item = jnp.take_along_axis(neighbors, order, axis=1).reshape(-1).astype(jnp.int32)
    weight = jnp.take_along_axis(is_edge, order, axis=1).reshape(-1).astype(jnp.float32)
    user = jnp.repeat(jnp.arange(users, dtype=jnp.int32), k)
    by_item = jnp.argsort(item, stable=True)
    user_scale = (jax.ops.segment_sum(weight, user, users) + 1e-8) ** -0.5
    item_scale = (jax.ops.segment_sum(weight, item, num_items) + 1e-8) ** -0.5
    user_first = jnp.stack([user, item], axis=1)
    item_first = jnp.stack([item, user], axis=1)[by_item]

    def graph(values):
        return Graph(
            _sorted_bcoo(values, user_first, (users, num_items)),
            _sorted_bcoo(values[by_item], item_first, (num_items, users)),
        )

    return BipartiteGraphs(
        user_item=graph(weight * user_scale[user]), item_user=graph(weight * item_scale[item]).T
    )


class UserBlocks(NamedTuple):
    """Blocks in which all users are walked through (static numbers)."""

    size: int
    max_pairs: int  # training pairs in one block, at most


def user_blocks(train: scipy.sparse.csr_array, size: int = 1024) -> UserBlocks:
    """Blocks of `size` users, or of all if there are fewer."""
    size = min(size, train.shape[0])
    return UserBlocks(size, sampling.max_seen_pairs(train, size))


def relation_graph(
    user_features: Float[Array, "users d"],
    item_features: Float[Array, "items d"],
    tables: sampling.SamplingTables,
    k: int,
    blocks: UserBlocks,
) -> BipartiteGraphs:
    """The graph that joins every user with the k unseen items of the highest inner product.

    A user whose features are all zero has no relation to any item and gets no edge. At most
    [block, items] scores exist at a time.
    """
    num_users, num_items = user_features.shape[0], item_features.shape[0]
    count = -(-num_users // blocks.size)
    users = jnp.arange(count * blocks.size, dtype=jnp.int32) % num_users

    def top(users):
        seen = sampling.seen_pairs(tables, users, blocks.max_pairs)
        scores = user_features[users] @ item_features.T
        scores = scores.at[seen.rows, seen.items].set(-jnp.inf, mode="drop")
        best, items = jax.lax.top_k(scores, k)
        related = jnp.any(user_features[users] != 0, axis=1, keepdims=True)
        return items, (best > -jnp.inf) & related

    items, is_edge = jax.lax.map(top, users.reshape(count, blocks.size))
    return neighbor_graphs(
        items.reshape(-1, k)[:num_users], is_edge.reshape(-1, k)[:num_users], num_items
    )
