"""What a step of LightGCN on sampled neighbours needs (`train.fanout`).

Every device has the whole graph and draws the trees around the whole batch, and sums the rows of
its own share of the tables (`graphs.split_tables`). Nothing grows with the training pairs but what
holds them.
"""

import math

from mmssl_jax.config import Config
from mmssl_jax.planning import needs as parts
from mmssl_jax.planning import sizes as of
from mmssl_jax.planning.needs import ADAM, Collective, Needs
from mmssl_jax.planning.sizes import EDGE, FLOAT, Sizes


def needs(config: Config, sizes: Sizes) -> Needs:
    """Of a resolved config: the rows of a tree's nodes are summed once, forward and backward."""
    d, row = config.model.embedding_dim, FLOAT * config.model.embedding_dim
    seeds, paths = tree(config)
    nodes = seeds * paths
    share = sizes.share(sizes.users, d) + sizes.share(sizes.items, d)
    matrix = parts.graph(of.joint(sizes.users, sizes.items, sizes.pairs, 1), sizes.nodes, 1)
    # A device sums its part of the batch, and scatters the gradient of all of it, where the rows
    # are its own.
    sums, scattered = nodes / sizes.data, nodes
    return Needs(
        arguments={
            "parameters and moments": ADAM * row * share,
            "whole graph": matrix,
            "pair tables": parts.tables(sizes, sizes.model),
        },
        idle={},
        temporaries={
            "gradients of tables": row * share,
            # Read from compiled programs, as XLA decides what waits for what.
            "trees": 7 * FLOAT * nodes,
            "batch": row * seeds * (2.2 + 2 / sizes.data) * width(config, sizes),
        },
        collectives=collectives(config, sizes),
        flops=2 * d * (sums + scattered),
        traffic=drawn(seeds, nodes)
        + EDGE * (sums + scattered)
        + row * (sums + 2 * scattered) / sizes.model
        + 8 * row * share,
        exchange=parts.exchange(0.0, sizes.devices),
        # The layers of all nodes wait for their mean, whole on every device.
        validation=row * (sizes.nodes * (config.model.layers + 1) + share),
    )


def tree(config: Config) -> tuple[int, int]:
    """The seeds of a batch, and the nodes of the tree around each."""
    paths, level = 1, 1
    for fanout in config.train.fanout:
        level *= fanout
        paths += level
    return 3 * config.train.batch_size, paths


def by_columns(count: int, config: Config, sizes: Sizes) -> bool:
    """Whether a table of so many rows is split by its columns."""
    split = sizes.share(count, config.model.embedding_dim) < count
    return count % sizes.model != 0 and split


def width(config: Config, sizes: Sizes) -> float:
    """The share of a row that a device sums, in the mean of both tables."""
    counts = sizes.users, sizes.items
    return sum(1 / (sizes.model if by_columns(each, config, sizes) else 1) for each in counts) / 2


def drawn(seeds: int, nodes: int) -> float:
    """Bytes moved to draw trees: each node but a seed is an edge, found by where a row begins.

    Two such places are read, the edge's column and weight, and both are written.
    """
    return 6 * FLOAT * (nodes - seeds)


def collectives(config: Config, sizes: Sizes) -> list[Collective]:
    """What is exchanged: of the batch alone."""
    seeds, _ = tree(config)
    row, batch = FLOAT * config.model.embedding_dim, config.train.batch_size
    # Of tables that are split by rows, devices add up their sums; else each has some columns.
    rows = sum(count % sizes.model == 0 for count in (sizes.users, sizes.items))
    columns = sum(by_columns(count, config, sizes) for count in (sizes.users, sizes.items))
    # A negative is found by halving, and each time the pairs are asked for; and so is a positive.
    asked = FLOAT * batch * (math.ceil(math.log2(sizes.pairs + 1)) + 1) / sizes.data
    found = [
        Collective("all-reduce", "sums of rows", rows * row * seeds / sizes.data, sizes.model),
        Collective("all-gather", "columns of sums", columns * row * seeds, sizes.model),
        Collective("all-reduce", "pairs of a batch", asked, sizes.model),
        Collective("all-gather", "sums of a batch", 2 * row * seeds, sizes.data, sizes.model),
    ]
    return [each for each in found if each.group > 1 and each.output]
