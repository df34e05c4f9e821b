"""A graph with equally many neighbours for each item, and its product with learned weights."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.graphs.sparse import row_product


class ItemGraph(NamedTuple):
    """A square sparse matrix with the same number of edges in every row.

    Unlike in `Graph`, the weights are kept apart, so that they can have a gradient.
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


def neighbor_sums(neighbors: Neighbors, x: Float[Array, "items d"]) -> Float[Array, "rows d"]:
    """For each row of neighbours the sum of their rows of `x`, by the weights."""
    num_rows, k = neighbors.items.shape
    rows = jnp.arange(neighbors.items.size, dtype=jnp.int32) // k
    row_starts = jnp.arange(num_rows + 1, dtype=jnp.int32) * k
    values, columns = neighbors.weights.reshape(-1), neighbors.items.reshape(-1)
    matrix = _sorted_bcoo(values, rows, columns, (num_rows, len(x)))
    return row_product(matrix, row_starts, x)


@jax.custom_vjp
def item_spmm(
    graph: ItemGraph,
    weights: Float[Array, "items k"],
    x: Float[Array, "items d"],
    learn_weights: Bool[Array, ""],
) -> Float[Array, "items d"]:
    """The product of an item graph with these weights and a dense matrix.

    The gradient to `x` uses the row-sorted transpose; autodiff would scatter edge by edge. The
    gradient to `weights` is computed only if `learn_weights`, otherwise it is 0.
    """
    del learn_weights
    return neighbor_sums(Neighbors(graph.items, weights), x)


def _sorted_bcoo(
    values: Float[Array, "edges"],
    rows: Int[Array, "edges"],
    columns: Int[Array, "edges"],
    shape: tuple[int, int],
) -> sparse.BCOO:
    indices = jnp.stack([rows, columns], axis=1)
    return sparse.BCOO((values, indices), shape=shape, indices_sorted=True)


_Saved = tuple[ItemGraph, Float[Array, "items k"], Float[Array, "items d"], Bool[Array, ""]]


def _item_spmm_forward(
    graph: ItemGraph, weights: Array, x: Array, learn_weights: Array
) -> tuple[Array, _Saved]:
    return item_spmm(graph, weights, x, learn_weights), (graph, weights, x, learn_weights)


def _item_spmm_backward(
    saved: _Saved, cotangent: Float[Array, "items d"]
) -> tuple[None, Array, Array, None]:
    graph, weights, x, learn_weights = saved
    num_items, k = graph.items.shape
    columns, rows = graph.items.reshape(-1)[graph.by_column], graph.by_column // k
    values = weights.reshape(-1)[graph.by_column]
    transpose = _sorted_bcoo(values, columns, rows, (num_items, num_items))
    to_weights = jax.lax.cond(
        learn_weights,
        lambda: jnp.einsum("id,ikd->ik", cotangent, x[graph.items]),
        lambda: jnp.zeros_like(weights),
    )
    to_x = row_product(transpose, graph.column_starts, cotangent)
    return None, to_weights, to_x, None


item_spmm.defvjp(_item_spmm_forward, _item_spmm_backward)
