"""The interaction graph: users and items joined by the training pairs, normalised."""

import dataclasses

import jax
import numpy as np
import scipy.sparse

from mmssl_jax.graphs.sparse import Graph, from_scipy


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
