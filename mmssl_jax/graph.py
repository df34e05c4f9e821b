"""Sparse graphs and the products with them; the only module that knows the sparse format.

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

from mmssl_jax import sampling
from mmssl_jax.errors import InputError


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
    return _row_product(graph.matrix, graph.row_starts, x)


def _row_product(matrix: sparse.BCOO, starts, x):
    """`matrix @ x`, on a CPU as compressed rows, for which XLA has a native product there."""

    def by_rows(x):
        rows = sparse.BCSR((matrix.data, matrix.indices[:, 1], starts), shape=matrix.shape)
        return rows @ x

    return jax.lax.platform_dependent(x, cpu=by_rows, default=lambda x: matrix @ x)


def _spmm_forward(graph, x):
    return spmm(graph, x), graph


def _spmm_backward(graph, cotangent):
    return None, _row_product(graph.transpose, graph.column_starts, cotangent)


spmm.defvjp(_spmm_forward, _spmm_backward)


def from_scipy(matrix: scipy.sparse.sparray) -> Graph:
    """A host matrix as a Graph on the device, values in float32."""
    csr, csc = _canonical(matrix), _canonical(matrix.T)
    return Graph(_to_bcoo(csr), _to_bcoo(csc), _starts(csr), _starts(csc))


def _canonical(matrix: scipy.sparse.sparray) -> scipy.sparse.csr_array:
    csr = scipy.sparse.csr_array(matrix, dtype=np.float32)
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
    return UserBlocks(size, sampling.max_seen_pairs(train, size))


def relation_graph(
    user_features: Float[Array, "users d"],
    item_features: Float[Array, "items d"],
    tables: sampling.SamplingTables,
    k: int,
    blocks: UserBlocks,
    *,
    symmetric: bool = False,
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
        items.reshape(-1, k)[:num_users],
        is_edge.reshape(-1, k)[:num_users],
        num_items,
        symmetric=symmetric,
    )


def symmetric_joint_graph(train: scipy.sparse.csr_array) -> Graph:
    """`D^(-1/2) A D^(-1/2)` over users then items (He et al., "LightGCN", SIGIR 2020)."""
    adjacency = _joint(train)
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    scale = scipy.sparse.diags_array(np.maximum(degrees, 1) ** -0.5)
    return from_scipy(scale @ adjacency @ scale)


def row_stochastic_joint_graph(train: scipy.sparse.csr_array) -> Graph:
    """`D^(-1) (A + I)` over users then items, as in the releases of NGCF, LATTICE and MICRO."""
    adjacency = _joint(train) + scipy.sparse.eye_array(sum(train.shape))
    degrees = np.asarray(adjacency.sum(axis=1)).ravel()
    return from_scipy(scipy.sparse.diags_array(1 / degrees) @ adjacency)


def _joint(train: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """The symmetric adjacency [users + items, users + items], in float64."""
    adjacency = scipy.sparse.block_array([[None, train], [train.T, None]])
    return scipy.sparse.csr_array(adjacency, dtype=np.float64)


class ItemGraph(NamedTuple):
    """A square sparse matrix with the same number of edges in every row.

    It differs from `Graph` in that its weights can get a gradient; they are apart for this.
    """

    items: Int[Array, "items k"]  # the columns of each row; one may be listed twice
    by_column: Int[Array, "edges"]  # the order that sorts all edges by their column
    column_starts: Int[Array, "starts"]  # where in that order each column begins


def item_graph(items: Int[Array, "items k"]) -> ItemGraph:
    """The graph that joins every item with its neighbours."""
    columns = items.reshape(-1)
    by_column = _stable_order(columns, len(items))
    every_start = jnp.arange(len(items) + 1, dtype=jnp.int32)
    column_starts = jnp.searchsorted(columns[by_column], every_start).astype(jnp.int32)
    return ItemGraph(items, by_column, column_starts)


def _stable_order(values: Int[Array, "n"], bound: int) -> Int[Array, "n"]:
    """`argsort` of whole numbers below `bound`; sorting one array costs a quarter of it."""
    count = len(values)
    if bound * count > 2**32:
        return jnp.argsort(values, stable=True)
    keys = values.astype(jnp.uint32) * count + jnp.arange(count, dtype=jnp.uint32)
    return (jax.lax.sort(keys) % count).astype(jnp.int32)


@jax.custom_vjp
def item_spmm(
    graph: ItemGraph,
    weights: Float[Array, "items k"],
    x: Float[Array, "items d"],
    learn_weights: Bool[Array, ""],
) -> Float[Array, "items d"]:
    """The product of an item graph with these weights and a dense matrix.

    The gradient to `x` is a product with the row-sorted transpose, where autodiff would scatter
    edge by edge; that to `weights` is computed only where `learn_weights`, else it is 0.
    """
    del learn_weights
    num_items, k = graph.items.shape
    rows = jnp.arange(graph.items.size, dtype=jnp.int32) // k
    row_starts = jnp.arange(num_items + 1, dtype=jnp.int32) * k
    matrix = _square_bcoo(weights.reshape(-1), rows, graph.items.reshape(-1), num_items)
    return _row_product(matrix, row_starts, x)


def _square_bcoo(values, rows, columns, size) -> sparse.BCOO:
    indices = jnp.stack([rows, columns], axis=1)
    return sparse.BCOO((values, indices), shape=(size, size), indices_sorted=True)


def _item_spmm_forward(graph, weights, x, learn_weights):
    return item_spmm(graph, weights, x, learn_weights), (graph, weights, x, learn_weights)


def _item_spmm_backward(residuals, cotangent):
    graph, weights, x, learn_weights = residuals
    num_items, k = graph.items.shape
    columns, rows = graph.items.reshape(-1)[graph.by_column], graph.by_column // k
    values = weights.reshape(-1)[graph.by_column]
    transpose = _square_bcoo(values, columns, rows, num_items)
    to_weights = jax.lax.cond(
        learn_weights,
        lambda: jnp.einsum("id,ikd->ik", cotangent, x[graph.items]),
        lambda: jnp.zeros_like(weights),
    )
    to_x = _row_product(transpose, graph.column_starts, cotangent)
    return None, to_weights, to_x, None


item_spmm.defvjp(_item_spmm_forward, _item_spmm_backward)
