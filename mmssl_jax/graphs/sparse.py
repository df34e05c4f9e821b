"""Sparse graphs and their products. Only this room knows the sparse format.

A `Graph` keeps a matrix and its transpose, both as row-sorted BCOO: the gradient of a product
multiplies by the transpose, and a transposed BCOO loses the sorted order that makes it fast.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from mmssl_jax.errors import InputError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Graph:
    """A constant sparse matrix [rows, columns] with its transpose.

    `row_starts` [rows + 1] and `column_starts` [columns + 1] say where a row of either begins. Of a
    graph that is split over devices (`split_graph`), both matrices are RowBlocks, which know that
    themselves. One that is whole on each of several devices has their `mesh`.
    """

    matrix: Any  # BCOO or RowBlocks; Any, as jax fills the fields with placeholders of its own
    transpose: Any
    row_starts: Any = None  # int32
    column_starts: Any = None
    mesh: Mesh | None = dataclasses.field(default=None, metadata={"static": True})

    @property
    def T(self) -> "Graph":
        return Graph(self.transpose, self.matrix, self.column_starts, self.row_starts, self.mesh)

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.matrix.shape
        return rows, columns

    def times(self, x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
        """The product with a dense matrix."""
        if isinstance(self.matrix, sparse.BCOO):
            return row_product(self.matrix, self.row_starts, x)
        product: Array = self.matrix.times(x)
        return product


@jax.custom_vjp
def spmm(graph: Graph, x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
    """The product of a graph [rows, columns] and a dense matrix.

    Only `x` has a gradient, as a graph is data: the product of the stored transpose with the
    cotangent.
    """
    return graph.times(x)


def row_product(
    matrix: sparse.BCOO, starts: Int[Array, "starts"], x: Float[Array, "columns d"]
) -> Float[Array, "rows d"]:
    """`matrix @ x`. On a CPU it uses compressed rows, for which XLA has a native product."""

    def by_segments(x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
        return segment_product(matrix, x)

    def by_rows(x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
        rows = sparse.BCSR((matrix.data, matrix.indices[:, 1], starts), shape=matrix.shape)
        product: Array = rows @ x
        return product

    product: Array = jax.lax.platform_dependent(x, cpu=by_rows, default=by_segments)
    return product


def segment_product(matrix: sparse.BCOO, x: Float[Array, "columns d"]) -> Float[Array, "rows d"]:
    """`matrix @ x` as a sum over rows in order, which is the fastest product on a GPU."""
    rows, columns = matrix.indices.T
    entries = matrix.data[:, None] * x.at[columns].get(mode="fill", fill_value=0)
    return jax.ops.segment_sum(entries, rows, matrix.shape[0], indices_are_sorted=True)


def _spmm_forward(graph: Graph, x: Array) -> tuple[Array, Graph]:
    return spmm(graph, x), graph


def _spmm_backward(graph: Graph, cotangent: Float[Array, "rows d"]) -> tuple[None, Array]:
    return None, graph.T.times(cotangent)


spmm.defvjp(_spmm_forward, _spmm_backward)


def from_scipy(matrix: scipy.sparse.sparray) -> Graph:
    """Turns a scipy matrix into a Graph on the device, in float32. Duplicate entries are summed."""
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
    return sorted_bcoo(jnp.asarray(csr.data), jnp.asarray(indices), csr.shape)


def _starts(csr: scipy.sparse.csr_array) -> Int[Array, "starts"]:
    return jnp.asarray(csr.indptr, jnp.int32)


def sorted_bcoo(
    data: Float[Array, "edges"],
    indices: Int[Array, "edges 2"],
    shape: tuple[int, int],
    *,
    unique: bool = True,
) -> sparse.BCOO:
    """A matrix of `shape` whose (row, column) `indices` are in row order, and no two alike if
    `unique`."""
    return sparse.BCOO((data, indices), shape=shape, indices_sorted=True, unique_indices=unique)
