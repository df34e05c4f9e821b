"""Graphs on the host, kept as the pairs that they come from: no edge is made before it is needed.

A graph of one device is made as a whole when jax first reads it. Of one that is split over devices
(`split_graph`), a process makes the rows of its own devices alone.
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import scipy.sparse
from scipy.sparse import csr_array

from mmssl_jax.errors import InputError
from mmssl_jax.graphs import sparse
from mmssl_jax.graphs.sparse import Graph


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """`diag(left) (A + I if loops) diag(right)`, of which any range of rows can be made.

    Attributes:
      parts: matrices with sorted rows, one below the other: A.
      shifts: of each part, what is added to its columns.
      left: float64 [rows].
      right: float64 [columns].
      loops: whether I is added; A then has nothing on its diagonal.
    """

    parts: tuple[csr_array, ...]
    shifts: tuple[int, ...]
    left: np.ndarray
    right: np.ndarray
    loops: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.left), len(self.right)

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """Where the edges of each row begin: int64 [rows + 1]."""
        degrees = np.concatenate([np.diff(part.indptr) for part in self.parts])
        return np.concatenate([[0], np.cumsum(degrees + self.loops, dtype=np.int64)])

    def block(self, first: int, end: int) -> csr_array:
        """The rows from `first` up to but not `end`, float32, in order of their columns."""
        edges = [*self._edges(first, end)]
        indices = np.concatenate([columns for columns, _ in edges])
        values = np.concatenate([values for _, values in edges]).astype(np.float64)
        counts = np.diff(self.starts[first : end + 1]) - self.loops
        starts = np.concatenate([[0], np.cumsum(counts)])
        block = csr_array((values, indices, starts), shape=(end - first, self.shape[1]))
        if self.loops:
            block = block + scipy.sparse.eye_array(*block.shape, k=first, format="csr")
        left, right = (
            scipy.sparse.diags_array(each) for each in (self.left[first:end], self.right)
        )
        return csr_array(left @ block @ right, dtype=np.float32)

    def _edges(self, first: int, end: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(columns, values) of each part's rows in a range."""
        above = 0
        for part, shift in zip(self.parts, self.shifts, strict=True):
            inside = np.clip([first - above, end - above], 0, part.shape[0])
            begin, stop = part.indptr[inside]
            yield part.indices[begin:stop].astype(np.int64) + shift, part.data[begin:stop]
            above += part.shape[0]


class HostGraph(Graph):
    """A graph that has its `rows`, and those of the transpose, instead of arrays on a device.

    To jax it is the `Graph` that it makes when its arrays are first asked for.
    """

    rows: Rows
    columns: Rows  # the rows of the transpose

    def __init__(self, rows: Rows, columns: Rows) -> None:
        self.__dict__.update(rows=rows, columns=columns)  # as a frozen dataclass would

    @property
    def T(self) -> "HostGraph":
        return HostGraph(self.columns, self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.shape

    def whole_rows(self) -> csr_array:
        """All rows, float32, made anew.

        Raises:
          InputError: they have more edges than int32 can count.
        """
        edges = self.rows.starts[-1]
        if edges >= 2**31 or max(self.shape) >= 2**31:
            raise InputError(f"a graph of shape {self.shape} with {edges} edges exceeds int32")
        return self.rows.block(0, self.shape[0])

    @functools.cached_property
    def on_device(self) -> Graph:
        """The whole graph on jax's default device.

        Raises:
          InputError: it has more edges than int32 can count.
        """
        rows = self.whole_rows()
        with jax.ensure_compile_time_eval():  # as it is kept, also where a trace reads it first
            graph = sparse.from_scipy(rows)
        if self.columns is self.rows:  # symmetric: one copy is enough
            return Graph(graph.matrix, graph.matrix, graph.row_starts, graph.row_starts)
        return graph

    matrix = property(lambda self: self.on_device.matrix)
    transpose = property(lambda self: self.on_device.transpose)
    row_starts = property(lambda self: self.on_device.row_starts)
    column_starts = property(lambda self: self.on_device.column_starts)


def of(matrix: scipy.sparse.sparray) -> HostGraph:
    """The graph of a matrix as it is. Duplicate entries are summed."""
    rows = sorted_rows(matrix)
    return scaled(rows, sorted_rows(rows.T))


def scaled(
    rows: csr_array,
    columns: csr_array,
    left: np.ndarray | None = None,
    right: np.ndarray | None = None,
) -> HostGraph:
    """`diag(left) A diag(right)` of a matrix [r, c] and its transpose, both of sorted rows."""
    left, right = (
        np.ones(size) if scale is None else scale
        for size, scale in zip(rows.shape, (left, right), strict=True)
    )
    return HostGraph(Rows((rows,), (0,), left, right), Rows((columns,), (0,), right, left))


def sorted_rows(matrix: scipy.sparse.sparray) -> csr_array:
    """The matrix with sorted rows and each entry once: itself if it is that, else a copy."""
    csr = csr_array(matrix)
    if csr.dtype.kind != "f":
        csr = csr.astype(np.float64)
    # A new view, as nothing tells whether what a matrix claims of its order is so.
    csr = csr_array((csr.data, csr.indices, csr.indptr), shape=csr.shape)
    if not csr.has_canonical_format:
        csr = csr.copy()  # sorting works in place, and others may share the arrays
        csr.sum_duplicates()
    return csr


_ARRAYS = ("matrix", "transpose", "row_starts", "column_starts")


def _flatten(graph: HostGraph) -> tuple[tuple[Any, ...], None]:
    on_device = graph.on_device
    return tuple(getattr(on_device, name) for name in _ARRAYS), None


def _unflatten(_: None, children: Any) -> Any:
    return Graph(*children)


jax.tree_util.register_pytree_node(HostGraph, _flatten, _unflatten)
