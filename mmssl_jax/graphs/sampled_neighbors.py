"""Sampled neighbourhoods: a batch of nodes with a few neighbours each, and a few of theirs.

So a step's cost depends on the batch, not on the number of edges (Hamilton et al., "GraphSAGE",
NeurIPS 2017). A sampled sum is the true one in the mean: the edges of a node are cut into as many
parts as it may have neighbours, and one of each part stands for all of the part. A node with no
more edges than that keeps every one, and its sum is exact.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.errors import InputError
from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.graphs.sparse import Graph


class Tree(NamedTuple):
    """Nodes in levels: each node of a level has `fanout` neighbours in the next, side by side.

    Attributes:
      nodes: those of each level, the seeds first.
      weights: of the edges from each level but the last to the next; 0 where there is none.
      mesh: the devices over which tables are split, if there are several.
    """

    nodes: tuple[Int[Array, "rows"], ...]
    weights: tuple[Float[Array, "rows fanout"], ...]
    mesh: Mesh | None = None


def tree(
    key: PRNGKeyArray, graphs: Sequence[Graph], seeds: Int[Array, "seeds"], fanouts: Sequence[int]
) -> Tree:
    """The sampled tree around some nodes.

    Args:
      key: a random key.
      graphs: of each hop; its rows are the nodes that gather, its columns those they gather from.
      seeds: nodes, of which each gets a tree of its own.
      fanouts: neighbours of a node, at most, in each hop.

    Raises:
      InputError: the tree has more nodes than int32 can count.
    """
    rows = total = len(seeds)
    for fanout in fanouts:
        rows *= fanout
        total += rows
    if total >= 2**31:
        raise InputError(
            f"train.fanout = {tuple(fanouts)} makes {total} nodes around the {len(seeds)} of a "
            "batch, which exceeds int32; choose smaller numbers or a smaller train.batch_size"
        )
    mesh = graphs[0].mesh
    if mesh is not None:  # every device draws all, and so none asks another for a part
        seeds = jax.lax.with_sharding_constraint(seeds, NamedSharding(mesh, PartitionSpec()))
    nodes, weights = [seeds], []
    for hop, (graph, fanout) in enumerate(zip(graphs, fanouts, strict=True)):
        found, weight = neighbors(jax.random.fold_in(key, hop), graph, nodes[-1], fanout)
        nodes.append(found.reshape(-1))
        weights.append(weight)
    return Tree(tuple(nodes), tuple(weights), mesh)


def neighbors(
    key: PRNGKeyArray, graph: Graph, rows: Int[Array, "rows"], fanout: int
) -> tuple[Int[Array, "rows fanout"], Float[Array, "rows fanout"]]:
    """Sampled edges of rows of a graph: their columns, and their weights times what they stand for.

    The parts of a row's edges are as equal as can be: of `degree` edges, part j begins at
    floor(j degree / fanout). A part without an edge has the weight 0.
    """
    starts = graph.row_starts[rows]
    degrees = graph.row_starts[rows + 1] - starts
    # As j degree would exceed int32, the whole and the rest of degree / fanout go apart.
    whole, rest = degrees[:, None] // fanout, degrees[:, None] % fanout
    parts = jnp.arange(fanout + 1, dtype=jnp.int32)[None, :]
    bounds = parts * whole + parts * rest // fanout
    low, size = bounds[:, :-1], jnp.diff(bounds, axis=1)
    bits = jax.random.bits(key, size.shape)  # the remainder is uniform to within size / 2^32
    place = low + (bits % jnp.maximum(size, 1).astype(jnp.uint32)).astype(jnp.int32)
    edges = jnp.where(size > 0, starts[:, None] + place, 0)
    return graph.matrix.indices[edges, 1], graph.matrix.data[edges] * size


def paths(tree: Tree) -> list[Neighbors]:
    """Each level beside its seeds, with the product of the weights on the way to its nodes."""
    seeds = len(tree.nodes[0])
    weights = [jnp.ones((seeds, 1))]
    for edges in tree.weights:
        weights.append((weights[-1].reshape(-1, 1) * edges).reshape(seeds, -1))
    return [
        Neighbors(level.reshape(seeds, -1), weight)
        for level, weight in zip(tree.nodes, weights, strict=True)
    ]


def rows_of(table: Float[Array, "n d"], levels: Sequence[Int[Array, "_"]]) -> list[Array]:
    """The rows of a table for each of some levels of nodes.

    They are gathered at once: so the gradient is one scatter, and exists once.
    """
    ends = [0]
    for level in levels:
        ends.append(ends[-1] + len(level))
    rows = table[jnp.concatenate(levels)]
    return [rows[start:end] for start, end in pairwise(ends)]


def sums(tree: Tree, levels: Sequence[Float[Array, "_ d"]]) -> list[Array]:
    """What the nodes of every level but the last gather: the product with a graph, sampled.

    Args:
      tree: of which the values may be the first levels only.
      levels: a value for each node, [rows, d], level by level.
    """
    return [
        weighted_sum(weights, below)
        for weights, below in zip(tree.weights, levels[1:], strict=False)
    ]


def weighted_sum(weights: Float[Array, "rows fanout"], below: Float[Array, "_ d"]) -> Array:
    """What the nodes of a level gather from the values of the next: [rows, d]."""
    rows, fanout = weights.shape
    return jnp.sum(weights[:, :, None] * below.reshape(rows, fanout, -1), axis=1)
