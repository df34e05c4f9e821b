"""Sparse graphs and their products; with item_graph.py alone in knowing the sparse format.

A `Graph` keeps a matrix and its transpose, both as row-sorted BCOO: the gradient of a product
multiplies by the transpose, and a transposed BCOO loses the sorted order that makes it fast.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.errors import InputError
from mmssl_jax.graphs import training_pairs


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Graph:
    """A constant sparse matrix [rows, columns] with its transpose.

    `row_starts` [rows + 1] and `column_starts` [columns + 1] say where a row of either begins.
    """

    matrix: sparse.BCOO
    transpose: sparse.BCOO
    row_starts: Any  # int32; Any, as jax fills the fields with placeholders of its own
    column_starts: Any

    @property
    def T(self) -> "Graph":
        return Graph(self.transpose, self.matrix, self.column_starts, self.row_starts)


@jax.custom_vjp
def spmm(graph: Graph, x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
    """The product of a graph [rows, columns] and a dense matrix.

    The gradient reaches `x` only (a graph is data): it is the product with the stored transpose.
    """
    return row_product(graph.matrix, graph.row_starts, x)


def row_product(
    matrix: sparse.BCOO, starts: Int[Array, "starts"], x: Float[Array, "columns d"]
) -> Float[Array, "rows d"]:
    """`matrix @ x`, on a CPU as compressed rows, for which XLA has a native product there."""

    def by_rows(x):
        rows = sparse.BCSR((matrix.data, matrix.indices[:, 1], starts), shape=matrix.shape)
        return rows @ x

    return jax.lax.platform_dependent(x, cpu=by_rows, default=lambda x: matrix @ x)


def _spmm_forward(graph, x):
    return spmm(graph, x), graph


def _spmm_backward(graph, cotangent):
    return None, row_product(graph.transpose, graph.column_starts, cotangent)


spmm.defvjp(_spmm_forward, _spmm_backward)


def from_scipy(matrix: scipy.sparse.sparray) -> Graph:
    """A host matrix as a Graph on the device, in float32; entries at one place are summed."""
    csr = _canonical(matrix)
    csc = scipy.sparse.csr_array(csr.T)  # of the sorted matrix, which sorts this one as well
    return Graph(_to_bcoo(csr), _to_bcoo(csc), _starts(csr), _starts(csc))


def _canonical(matrix: scipy.sparse.sparray) -> scipy.sparse.csr_array:
    # A copy, as sorting works in place: what `matrix` shares with others must stay as it is.
    csr = scipy.sparse.csr_array(matrix, dtype=np.float32, copy=True)
    csr.has_canonical_format = csr.has_sorted_indices = False  # whatever `matrix` claims to be
    csr.sum_duplicates()
    if csr.nnz >= 2**31 or max(csr.shape) >= 2**31:
        raise InputError(f"a graph of shape {csr.shape} with {csr.nnz} edges exceeds int32")
    return csr


def _to_bcoo(csr: scipy.sparse.csr_array) -> sparse.BCOO:
    rows = np.repeat(np.arange(csr.shape[0], dtype=np.int32), np.diff(csr.indptr))
    indices = np.stack([rows, csr.indices.astype(np.int32)], axis=1)
    return _sorted_bcoo(jnp.asarray(csr.data), jnp.asarray(indices), csr.shape)


def _starts(csr: scipy.sparse.csr_array) -> Int[Array, "starts"]:
    return jnp.asarray(csr.indptr, jnp.int32)


def _sorted_bcoo(data, indices, shape) -> sparse.BCOO:
    return sparse.BCOO((data, indices), shape=shape, indices_sorted=True, unique_indices=True)


def normalized(adjacency: scipy.sparse.sparray) -> scipy.sparse.csr_array:
    """`diag(rowsum + 1e-8)^(-1/2) G`: one-sided, by its own row sums, as in the release."""
    csr = scipy.sparse.csr_array(adjacency, dtype=np.float64)
    return scipy.sparse.csr_array(_inverse_root(csr, axis=1) @ csr)


def _inverse_root(csr: scipy.sparse.csr_array, axis: int) -> scipy.sparse.dia_array:
    """`diag(sums + 1e-8)^(-1/2)` of the rows (axis 1) or columns (axis 0)."""
    return scipy.sparse.diags_array((np.asarray(csr.sum(axis=axis)).ravel() + 1e-8) ** -0.5)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BipartiteGraphs:
    """Users and items joined by a matrix G [users, items], normalised."""

    user_item: Graph  # users gather from items
    item_user: Graph  # items gather from users


def bipartite_graphs(
    adjacency: scipy.sparse.sparray, *, symmetric: bool = False
) -> BipartiteGraphs:
    """Both propagation graphs of a host matrix [users, items].

    Each side is normalised by its own row sums, as in MMSSL's release, or if `symmetric` by both,
    `D_u^(-1/2) G D_i^(-1/2)`, as in LightGCN.
    """
    if symmetric:
        csr = scipy.sparse.csr_array(adjacency, dtype=np.float64)
        graph = from_scipy(_inverse_root(csr, axis=1) @ csr @ _inverse_root(csr, axis=0))
        return BipartiteGraphs(graph, graph.T)
    return BipartiteGraphs(
        user_item=from_scipy(normalized(adjacency)), item_user=from_scipy(normalized(adjacency.T))
    )


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
    by_item = jnp.argsort(item, stable=True)
    user_scale = (jax.ops.segment_sum(weight, user, users) + 1e-8) ** -0.5
    item_scale = (jax.ops.segment_sum(weight, item, num_items) + 1e-8) ** -0.5
    user_first = jnp.stack([user, item], axis=1)
    item_first = jnp.stack([item, user], axis=1)[by_item]
    user_starts = jnp.arange(users + 1, dtype=jnp.int32) * k
    every_item = jnp.arange(num_items + 1, dtype=jnp.int32)
    item_starts = jnp.searchsorted(item_first[:, 0], every_item).astype(jnp.int32)

    def graph(values):
        return Graph(
            _sorted_bcoo(values, user_first, (users, num_items)),
            _sorted_bcoo(values[by_item], item_first, (num_items, users)),
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
    """Blocks in which all users are walked through (static numbers)."""

    size: int
    max_pairs: int  # training pairs in one block, at most


def user_blocks(train: scipy.sparse.csr_array, size: int = 1024) -> UserBlocks:
    """Blocks of `size` users, or of all if there are fewer."""
    size = min(size, train.shape[0])
    return UserBlocks(size, training_pairs.max_seen_pairs(train, size))


def relation_graph(
    user_features: Float[Array, "users d"],
    item_features: Float[Array, "items d"],
    tables: training_pairs.SamplingTables,
    k: int,
    blocks: UserBlocks,
    *,
    symmetric: bool = False,
    tie_order: Int[Array, "items"] | None = None,
) -> BipartiteGraphs:
    """The graph that joins every user with the k unseen items of the highest inner product.

    Of equal products the first in `tie_order` (by default the lowest index). A user whose features
    are all zero has no relation to any item and gets no edge. At most [block, items] scores exist
    at a time.
    """
    num_users, num_items = user_features.shape[0], item_features.shape[0]
    count = -(-num_users // blocks.size)
    users = jnp.arange(count * blocks.size, dtype=jnp.int32) % num_users
    order = jnp.arange(num_items, dtype=jnp.int32) if tie_order is None else tie_order
    columns, place_of = item_features[order].T, jnp.argsort(order)

    def top(users):
        seen = training_pairs.seen_pairs(tables, users, blocks.max_pairs)
        scores = user_features[users] @ columns
        scores = scores.at[seen.rows, place_of[seen.items]].set(-jnp.inf, mode="drop")
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


def symmetric_joint_graph(train: scipy.sparse.sparray) -> Graph:
    """`D^(-1/2) A D^(-1/2)` over users then items (He et al., "LightGCN", SIGIR 2020)."""
    adjacency = _joint(train)
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = scipy.sparse.diags_array(np.maximum(degrees, 1) ** -0.5)
    return from_scipy(scale @ adjacency @ scale)


def row_stochastic_joint_graph(train: scipy.sparse.sparray) -> Graph:
    """`D^(-1) (A + I)` over users then items, as in the releases of NGCF, LATTICE and MICRO."""
    adjacency = _joint(train) + scipy.sparse.eye_array(sum(train.shape))
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    return from_scipy(scipy.sparse.diags_array(1 / degrees) @ adjacency)


def _joint(train: scipy.sparse.sparray) -> scipy.sparse.csr_array:
    """The symmetric adjacency [users + items, users + items], in float64."""
    adjacency = scipy.sparse.block_array([[None, train], [train.T, None]])
    return scipy.sparse.csr_array(adjacency, dtype=np.float64)
