"""What a step of a model needs, part by part, and what all models have in common."""

import math
from typing import NamedTuple

from mmssl_jax.planning.hardware import Device
from mmssl_jax.planning.sizes import EDGE, FLOAT, Blocks, Sizes

ADAM = 3  # a parameter and its two moments


class Collective(NamedTuple):
    """Equal calls by which the devices of a group exchange data, in one step.

    Attributes:
      kind: all-gather, all-reduce, all-to-all or collective-permute.
      what: in words.
      output: bytes that the calls leave on a device, in sum.
      group: devices of a group.
      stride: from a device of a group to the next, if all devices are numbered machine by machine.
    """

    kind: str
    what: str
    output: float
    group: int
    stride: int = 1

    @property
    def received(self) -> float:
        """Bytes that a device receives, and sends as well."""
        return received(self.kind, self.output, self.group)

    def seconds(self, device: Device) -> float:
        """How long it takes at the peak rates of the links.

        What several devices of a machine receive alike comes in once, over the network adapters of
        all of them, and is passed on inside. What each receives for itself has one's share.
        """
        inside = max(device.together // self.stride, 1)  # devices of a group in one machine
        if self.group <= inside:
            return self.received / device.link
        alike = self.kind in ("all-gather", "all-reduce")
        return self.received / min(device.link, device.network * (inside if alike else 1))


class Needs(NamedTuple):
    """What one device has and does in a step.

    Attributes:
      arguments: part -> bytes of the program's arguments, state and constants.
      idle: part -> bytes that are on the device though no program reads them.
      temporaries: part -> bytes of the program besides, at its peak.
      collectives: what is exchanged.
      flops: operations of products.
      traffic: bytes read from and written to the device's memory.
      exchange: the all-to-all that would do instead of the first of `collectives`, in which graph
        products gather all rows, if each device asked for the rows that it needs; of the largest
        block.
      validation: bytes that a validation has instead of the temporaries, where a step propagates
        over less than it does.
    """

    arguments: dict[str, float]
    idle: dict[str, float]
    temporaries: dict[str, float]
    collectives: list[Collective]
    flops: float
    traffic: float
    exchange: Collective
    validation: float = 0.0

    @property
    def memory(self) -> float:
        """Bytes that a device must have."""
        held = math.fsum([*self.arguments.values(), *self.idle.values()])
        return held + max(math.fsum(self.temporaries.values()), self.validation)

    @property
    def received(self) -> float:
        """Bytes that a device receives in a step."""
        return math.fsum(each.received for each in self.collectives)


def received(kind: str, output: float, group: int) -> float:
    """Bytes that a device receives in a collective, by the usual ring algorithms.

    Args:
      kind: of the collective, as XLA names it.
      output: bytes that it leaves on a device.
      group: devices that take part.
    """
    others = (group - 1) / group
    shares = {
        "all-gather": others,
        "all-to-all": others,
        "all-reduce": 2 * others,
        "reduce-scatter": group - 1,  # of outputs, each a part of what comes in
        "collective-permute": 1,
    }
    return output * shares[kind]


def exchange(output: float, devices: int) -> Collective:
    """The all-to-all of the rows that devices need."""
    return Collective("all-to-all", "rows of products that are needed", output, devices)


def tables(sizes: Sizes, parts: int = 1) -> float:
    """Bytes of the pair tables: users, starts, degrees, and items, these split into `parts`."""
    return FLOAT * (3 * sizes.users + sizes.pairs / parts)


def graph(blocks: Blocks, rows: int, devices: int) -> float:
    """Bytes of one matrix: edges, where rows start, and where a row is among those of all blocks.

    `rows` is of the whole matrix.
    """
    places = FLOAT * rows if devices > 1 else 0
    return EDGE * blocks.edges + FLOAT * blocks.rows + places


def product_traffic(blocks: Blocks, rows: int, d: int, devices: int) -> float:
    """Bytes that a product of one matrix moves: edges and the rows that they read, then results.

    Each edge reads a row of d floats, as no two may be near each other. The gathered rows are
    written, and put into their order.
    """
    made = blocks.rows * devices
    return blocks.edges * (EDGE + FLOAT * d) + FLOAT * d * (blocks.rows + made + 2 * rows)
