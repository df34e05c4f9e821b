"""The interaction graph: users and items joined by the training pairs, normalised."""

import dataclasses

import jax
import numpy as np
import scipy.sparse
from scipy.sparse import csr_array

from mmssl_jax.data import pair_matrix
from mmssl_jax.graphs import host_graph
from mmssl_jax.graphs.host_graph import HostGraph, Rows
from mmssl_jax.graphs.sparse import Graph

_AT_A_TIME = 1 << 22  # edges


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BipartiteGraphs:
    """Users and items joined by a matrix G [users, items], normalised."""

    user_item: Graph  # users gather from items
    item_user: Graph  # items gather from users


def bipartite_graphs(
    adjacency: scipy.sparse.sparray,
    by_item: csr_array | None = None,
    *,
    symmetric: bool = False,
) -> BipartiteGraphs:
    """Both propagation graphs of a host matrix [users, items].

    `by_item` is its transpose, if known. Each side is normalised by its own row sums,
    `diag(rowsum + 1e-8)^(-1/2) G`, as in MMSSL's release, or if `symmetric` by both,
    `D_u^(-1/2) G D_i^(-1/2)`, as in LightGCN.
    """
    both = by_user, by_item = _both_ways(adjacency, by_item)
    of_users, of_items = (_inverse_root(each) for each in both)
    if symmetric:
        graph = host_graph.scaled(by_user, by_item, of_users, of_items)
        return BipartiteGraphs(graph, graph.T)
    return BipartiteGraphs(
        user_item=host_graph.scaled(by_user, by_item, of_users),
        item_user=host_graph.scaled(by_item, by_user, of_items),
    )


def symmetric_joint_graph(
    train: scipy.sparse.sparray, by_item: csr_array | None = None
) -> HostGraph:
    """`D^(-1/2) A D^(-1/2)` over users then items (He et al., "LightGCN", SIGIR 2020).

    `by_item` is the transpose of `train`, if known.
    """
    both = _both_ways(train, by_item)
    degrees = np.concatenate([_row_sums(each) for each in both])
    scale = np.maximum(degrees, 1) ** -0.5
    rows = _joint(both, scale, scale)
    return HostGraph(rows, rows)


def row_stochastic_joint_graph(
    train: scipy.sparse.sparray, by_item: csr_array | None = None
) -> HostGraph:
    """`D^(-1) (A + I)` over users then items, as in the releases of NGCF, LATTICE and MICRO.

    `by_item` is the transpose of `train`, if known.
    """
    both = _both_ways(train, by_item)
    scale = 1 / (np.concatenate([_row_sums(each) for each in both]) + 1)
    ones = np.ones_like(scale)
    return HostGraph(_joint(both, scale, ones, loops=True), _joint(both, ones, scale, loops=True))


def _both_ways(
    matrix: scipy.sparse.sparray, by_item: csr_array | None
) -> tuple[csr_array, csr_array]:
    by_user = host_graph.sorted_rows(matrix)
    return by_user, host_graph.sorted_rows(by_user.T if by_item is None else by_item)


def _joint(
    both: tuple[csr_array, csr_array], left: np.ndarray, right: np.ndarray, loops: bool = False
) -> Rows:
    """The symmetric adjacency [users + items, users + items], scaled."""
    return Rows(both, (both[0].shape[0], 0), left, right, loops)


def _row_sums(csr: csr_array) -> np.ndarray:
    """float64 [rows], of some rows at a time, as their edges are held in float64."""
    sums = np.zeros(csr.shape[0])
    for first, end in pair_matrix.row_blocks(csr.indptr, _AT_A_TIME):
        sums[first:end] = csr[first:end].sum(axis=1, dtype=np.float64)
    return sums


def _inverse_root(csr: csr_array) -> np.ndarray:
    """`(rowsum + 1e-8)^(-1/2)`, float64 [rows]."""
    return (_row_sums(csr) + 1e-8) ** -0.5
