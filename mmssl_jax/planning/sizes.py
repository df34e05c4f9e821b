"""The sizes that a plan is made for, and the blocks of rows that a graph is split into."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import scipy.special

FLOAT = 4.0  # bytes of a float32, and of an int32; all counts of bytes are floats
EDGE = 3 * FLOAT  # a weight, a row and a column
ACTIVITY = 0.6  # spread of the logarithm of users' training pairs, as in benchmarks/shapes.py


class Sizes(NamedTuple):
    """Data and mesh.

    Attributes:
      users: how many.
      items: how many.
      pairs: training pairs.
      widths: modality -> width of its features.
      data: devices over which a batch is split.
      model: devices over which tables are split.
    """

    users: int
    items: int
    pairs: int
    widths: Mapping[str, int]
    data: int
    model: int

    @property
    def devices(self) -> int:
        return self.data * self.model

    @property
    def nodes(self) -> int:
        return self.users + self.items

    def share(self, rows: int, columns: int) -> float:
        """The rows of a table [rows, columns] that a device holds, as `training.devices` splits it.

        Where the columns are split, it is the rows that hold as much.
        """
        divides = rows % self.model == 0 or columns % self.model == 0
        return rows / (self.model if divides else 1)


class Blocks(NamedTuple):
    """The rows of a sparse matrix in one block for each device, padded to equal sizes."""

    rows: float  # of a block
    edges: float  # of a block
    needed: float  # rows of the other factor that a block's edges lead to, in the largest block


def one_sided(rows: int, columns: int, edges: int, blocks: int) -> Blocks:
    """The blocks of a matrix whose rows have about equally many edges, such as users by items."""
    of_block = edges / blocks
    return Blocks(rows / blocks, of_block, reached(columns, of_block))


def joint(users: int, items: int, pairs: int, blocks: int) -> Blocks:
    """The blocks of the symmetric matrix over users then items.

    `split_graph.cuts` gives each block an equal sum of its rows' edges and as often a mean row's. A
    block of users, or of items, then has `work / (degree + mean degree)` rows. The side with fewer
    edges a row has the most rows of a block, and the other the most edges.
    """
    nodes = users + items
    if blocks == 1:
        return Blocks(nodes, 2 * pairs, nodes)
    mean = 2 * pairs / nodes
    work = 4 * pairs / blocks
    by_side = []
    for count, others in ((users, items), (items, users)):
        degree = pairs / count
        rows = min(work / (degree + mean), count)
        by_side.append((rows, rows * degree, reached(others, rows * degree)))
    return Blocks(*(max(values) for values in zip(*by_side, strict=True)))


def reached(columns: int, edges: float) -> float:
    """The distinct columns of so many edges, `columns (1 - exp(-edges / columns))` if random."""
    return -columns * math.expm1(-edges / columns)


def heaviest_batch(sizes: Sizes, batch: int) -> int:
    """The training pairs of the most active users, as many as a batch has.

    Programs have room for these. Of a lognormal spread s, the first share q of users have
    `Phi(s - z) / q` times the mean, z being the normal quantile of 1 - q. Real users may differ
    more.
    """
    share = min(batch / sizes.users, 1.0)
    over = float(scipy.special.ndtr(ACTIVITY - scipy.special.ndtri(1 - share)))
    return int(over * sizes.pairs)
