"""Tables that are split over the devices of a mesh, and sums of their rows for a batch.

A device sums the rows that it holds, and the devices add up their sums. So what they exchange grows
with the batch, and not with the table or with how many rows are summed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int

from mmssl_jax.graphs.item_graph import neighbor_sums
from mmssl_jax.graphs.nearest import Neighbors

Blocks = tuple[Neighbors, ...]
Sums = tuple[Float[Array, "_ d"], ...]


def spec(shape: tuple[int, ...], parts: int) -> PartitionSpec:
    """How a table is split into `parts`: its rows where they divide evenly, else its columns.

    Where neither do, it is whole on every device.
    """
    rows, columns = shape
    if rows % parts == 0:
        return PartitionSpec("model", None)
    return PartitionSpec(None, "model") if columns % parts == 0 else PartitionSpec(None, None)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def weighted_rows(table: Float[Array, "n d"], blocks: Blocks, mesh: Mesh | None) -> Sums:
    """For each row of neighbours, of each block, the sum of their rows of a table, by the weights.

    Neighbours that are not in the table count nothing. Only the table has a gradient. It exists
    once for all blocks, and is scattered neighbour by neighbour, so that no array with a vector for
    each of them exists.

    Args:
      table: split over `mesh` by `spec`.
      blocks: whole on every device, which sums a part of them if there is a data axis.
      mesh: several devices, or None.
    """

    def own(table: Float[Array, "n d"], blocks: Blocks, first: Int[Array, ""] | int = 0) -> Sums:
        return tuple(neighbor_sums(_held(block, first, len(table)), table) for block in blocks)

    if mesh is None:
        return own(table, blocks)
    split = spec(table.shape, mesh.shape["model"])
    parts = mesh.shape["data"]
    shared = parts > 1 and all(len(block.items) % parts == 0 for block in blocks)

    def on_device(table: Float[Array, "n d"], blocks: Blocks) -> Sums:
        mine = tuple(_part(block, parts) for block in blocks) if shared else blocks
        sums = own(table, mine, _first(table, split))
        sums = jax.lax.psum(sums, "model") if split[0] else sums
        return jax.lax.all_gather(sums, "data", tiled=True) if shared else sums

    specs = (split, PartitionSpec()), PartitionSpec(None, split[1])
    sums: Sums = _on_each(on_device, mesh, *specs)(table, blocks)
    return sums


def _forward(
    table: Float[Array, "n d"], blocks: Blocks, mesh: Mesh | None
) -> tuple[Sums, tuple[Array, Blocks]]:
    return weighted_rows(table, blocks, mesh), (jnp.zeros_like(table), blocks)


def _backward(
    mesh: Mesh | None, saved: tuple[Array, Blocks], cotangents: Sums
) -> tuple[Array, None]:
    empty, blocks = saved
    if mesh is None:
        return _scattered(empty, blocks, cotangents, 0), None
    split = spec(empty.shape, mesh.shape["model"])

    # Of the whole batch on every device: sums of its parts' gradients would have to be exchanged.
    def on_device(empty: Float[Array, "n d"], blocks: Blocks, cotangents: Sums) -> Array:
        return _scattered(empty, blocks, cotangents, _first(empty, split))

    specs = (split, PartitionSpec(), PartitionSpec(None, split[1])), split
    to_table: Array = _on_each(on_device, mesh, *specs)(empty, blocks, cotangents)
    return to_table, None


weighted_rows.defvjp(_forward, _backward)


def _on_each(
    function: Callable[..., Any], mesh: Mesh, inputs: Any, outputs: Any
) -> Callable[..., Any]:
    # Unchecked: jax cannot see that what is gathered or summed is the same on every device.
    mapped: Callable[..., Any] = jax.shard_map(
        function, mesh=mesh, in_specs=inputs, out_specs=outputs, check_vma=False
    )
    return mapped


def _part(block: Neighbors, parts: int) -> Neighbors:
    """The rows of a block that this device of the data axis sums."""
    count = len(block.items) // parts
    first = jax.lax.axis_index("data") * count
    return Neighbors(*(jax.lax.dynamic_slice_in_dim(x, first, count) for x in block))


def _first(table: Float[Array, "n d"], split: PartitionSpec) -> Int[Array, ""] | int:
    """The row of the whole table that is the first on this device."""
    return jax.lax.axis_index("model") * len(table) if split[0] else 0


def _held(
    block: Neighbors, first: Int[Array, ""] | int, count: int, elsewhere: int = 0
) -> Neighbors:
    """The neighbours among `count` rows from `first`, by their place there.

    All others are `elsewhere`, and weigh 0.
    """
    places = block.items - first
    inside = (places >= 0) & (places < count)
    return Neighbors(jnp.where(inside, places, elsewhere), jnp.where(inside, block.weights, 0))


def _scattered(
    empty: Float[Array, "n d"], blocks: Blocks, cotangents: Sums, first: Int[Array, ""] | int
) -> Float[Array, "n d"]:
    """The gradient to the rows from `first`."""
    result = empty
    for block, cotangent in zip(blocks, cotangents, strict=True):
        nodes, weights = (x.T for x in _held(block, first, len(empty), elsewhere=len(empty)))

        def add(
            index: Int[Array, ""],
            sums: Float[Array, "n d"],
            nodes: Int[Array, "k rows"] = nodes,
            weights: Float[Array, "k rows"] = weights,
            cotangent: Float[Array, "rows d"] = cotangent,
        ) -> Float[Array, "n d"]:
            return sums.at[nodes[index]].add(weights[index][:, None] * cotangent, mode="drop")

        result = jax.lax.fori_loop(0, len(nodes), add, result)
    return result
