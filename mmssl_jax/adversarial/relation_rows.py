"""Relation rows in factored form, as the critic reads them.

A row holds one user's scores for all items except those of the training pairs:
s_u (f_u F^T - sum over the user's training items i of (f_u . F_i) e_i), a low-rank product minus a
sparse correction. Its norm and its product with a kernel need no [batch, items] array.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.graphs.training_pairs import TrainingPairs, training_mask

Kernel = Float[Array, "items hidden"]


class RelationRows(NamedTuple):
    """`n((f F^T) * (1 - A[u]))` of a batch of users, in factors; from `relation_rows`."""

    users: Float[Array, "batch d"]  # f
    items: Float[Array, "items d"]  # F
    pairs: TrainingPairs  # the training pairs of the batch
    products: Float[Array, "pairs"]  # f_u . F_i of each of them
    scale: Float[Array, "batch"]  # 1 / norm; 0 for a zero row

    def dense(self) -> Float[Array, "batch items"]:
        """The rows themselves."""
        related = jnp.where(self.training_mask(), 0.0, self.users @ self.items.T)
        return self.scale[:, None] * related

    def training_mask(self) -> Bool[Array, "batch items"]:
        """`A[u]` of the batch."""
        return training_mask(self.pairs, self.users.shape[0], self.items.shape[0])


def relation_rows(
    users: Float[Array, "batch d"], items: Float[Array, "items d"], pairs: TrainingPairs
) -> RelationRows:
    """The relation rows of a batch of users, by their features and those of all items.

    The row is exactly zero for a user whose training pairs cover all items. It is also zero if its
    squared norm is within rounding error, as only noise would be scaled up.
    """
    batch, num_items = users.shape[0], items.shape[0]
    pair_users = users[jnp.minimum(pairs.rows, batch - 1)]
    products = jnp.where(pairs.valid, jnp.sum(pair_users * items[pairs.items], axis=1), 0.0)
    everything = jnp.sum((users @ (items.T @ items)) * users, axis=1)
    squared = everything - jax.ops.segment_sum(products**2, pairs.rows, batch)
    # A difference of nearly equal numbers loses digits. That is rare, so the exact sum is computed
    # only then.
    cancelled = jnp.any(squared < everything / 16)
    squared = jax.lax.cond(
        cancelled, lambda: _outside_squares(users, items, pairs), lambda: squared
    )
    degrees = jax.ops.segment_sum(pairs.valid.astype(jnp.int32), pairs.rows, batch)
    rounding = 8 * np.finfo(users.dtype).eps * everything
    nonzero = (degrees < num_items) & (squared > rounding)
    norm = jnp.sqrt(jnp.where(nonzero, squared, 1.0))
    scale = jnp.where(nonzero, 1.0 / jnp.maximum(norm, 1e-12), 0.0)
    return RelationRows(users, items, pairs, products, scale)


def _outside_squares(
    users: Float[Array, "batch d"],
    items: Float[Array, "items d"],
    pairs: TrainingPairs,
    block: int = 1024,
) -> Float[Array, "batch"]:
    """`sum of (f . F_i)^2` over the items outside the user's training pairs, in blocks of items."""

    @jax.checkpoint
    def add(
        total: Float[Array, "batch"], index: Int[Array, "block"]
    ) -> tuple[Float[Array, "batch"], None]:
        related = block_relation(users, items, pairs, index)
        return total + jnp.sum(related**2, axis=1), None

    blocks = item_blocks(items.shape[0], min(block, items.shape[0]))
    return jax.lax.scan(add, jnp.zeros(users.shape[:1], users.dtype), blocks)[0]


def item_blocks(num_items: int, block: int) -> Int[Array, "blocks block"]:
    """All items in blocks; the last may go past the end."""
    count = -(-num_items // block)
    return jnp.arange(count * block, dtype=jnp.int32).reshape(count, block)


def block_mask(
    pairs: TrainingPairs, batch: int, block: Int[Array, "block"]
) -> Bool[Array, "batch block"]:
    """`A[u]` of a batch in a block of consecutive items."""
    column = pairs.items - block[0]
    inside = pairs.valid & (column >= 0) & (column < len(block))
    row = jnp.where(inside, pairs.rows, batch)
    mask = jnp.zeros((batch, len(block)), bool)
    return mask.at[row, jnp.where(inside, column, 0)].set(True, mode="drop")


def block_relation(
    users: Float[Array, "batch d"],
    items: Float[Array, "items d"],
    pairs: TrainingPairs,
    block: Int[Array, "block"],
) -> Float[Array, "batch block"]:
    """`(f F^T) * (1 - A[u])` in a block of items; 0 past the end."""
    features = items.at[block].get(mode="fill", fill_value=0)
    return jnp.where(block_mask(pairs, users.shape[0], block), 0.0, users @ features.T)


def project(groups: Sequence[RelationRows], kernel: Kernel) -> Float[Array, "rows hidden"]:
    """The rows of several groups times a kernel, stacked.

    Costs about d / batch of the dense product. All groups are of the same batch, one per modality,
    so they read the kernel once and share one gradient array.
    """
    batch = groups[0].users.shape[0]
    items = jnp.concatenate([group.items for group in groups], axis=1)
    weights = jnp.stack([group.products for group in groups])
    through, summed = kernel_products(items, weights, kernel, groups[0].pairs, batch)
    parts = zip(groups, jnp.split(through, len(groups)), summed, strict=True)
    return jnp.concatenate(
        [
            group.scale[:, None] * (group.users @ low_rank - sparse)
            for group, low_rank, sparse in parts
        ]
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def kernel_products(
    items: Float[Array, "items width"],
    weights: Float[Array, "groups pairs"],
    kernel: Kernel,
    pairs: TrainingPairs,
    batch: int,
) -> tuple[Float[Array, "width hidden"], Float[Array, "groups batch hidden"]]:
    """`F^T K`, and `sum over a row's training items i of weight * K[i]`.

    The sum works through chunks of pairs, and only as many as the batch has, so that padding costs
    nothing and no [pairs, hidden] array exists. Both products are one function because their
    gradients to the kernel are then made in one array.
    """
    chunks = _Chunks(pairs, weights)

    # Group by group: XLA scatters whole rows fast only in two dimensions.
    def add(index: Int[Array, ""], sums: list[Array]) -> list[Array]:
        rows, items, weight = chunks.at(index)
        read = kernel[items]
        return [
            group.at[rows].add(of_group[:, None] * read, mode="drop")
            for group, of_group in zip(sums, weight, strict=True)
        ]

    empty = [jnp.zeros((batch, kernel.shape[1]), kernel.dtype) for _ in weights]
    return items.T @ kernel, jnp.stack(jax.lax.fori_loop(0, chunks.count, add, empty))


_Products = tuple[Float[Array, "width hidden"], Float[Array, "groups batch hidden"]]
_Saved = tuple[Float[Array, "items width"], Float[Array, "groups pairs"], Kernel, TrainingPairs]


def _kernel_products_forward(
    items: Array, weights: Array, kernel: Kernel, pairs: TrainingPairs, batch: int
) -> tuple[_Products, _Saved]:
    return kernel_products(items, weights, kernel, pairs, batch), (items, weights, kernel, pairs)


def _kernel_products_backward(
    batch: int, saved: _Saved, cotangents: _Products
) -> tuple[Array, Array, Kernel, None]:
    all_items, weights, kernel, pairs = saved
    through, summed = cotangents
    chunks = _Chunks(pairs, weights)

    def add(index: Int[Array, ""], carry: tuple[Array, Array]) -> tuple[Array, Array]:
        to_weights, to_kernel = carry
        rows, items, weight = chunks.at(index)
        pulled = [group.at[rows].get(mode="fill", fill_value=0) for group in summed]
        weighted = [
            of_group[:, None] * group for of_group, group in zip(weight, pulled, strict=True)
        ]
        to_kernel = to_kernel.at[items].add(sum(weighted))
        read = kernel[items]
        along = jnp.stack([jnp.sum(group * read, axis=1) for group in pulled])
        return jax.lax.dynamic_update_slice(to_weights, along, (0, index * _CHUNK)), to_kernel

    begin = jnp.zeros_like(chunks.weights), all_items @ through
    to_weights, to_kernel = jax.lax.fori_loop(0, chunks.count, add, begin)
    return kernel @ through.T, to_weights[:, : weights.shape[1]], to_kernel, None


kernel_products.defvjp(_kernel_products_forward, _kernel_products_backward)

_CHUNK = 1024


class _Chunks:
    """Training pairs with weights, padded to whole chunks, of which `count` hold any."""

    def __init__(self, pairs: TrainingPairs, weights: Float[Array, "groups pairs"]):
        padding = (0, -weights.shape[1] % _CHUNK)
        self.rows = jnp.pad(pairs.rows, padding, constant_values=np.iinfo(np.int32).max)
        self.items = jnp.pad(pairs.items, padding)
        self.weights = jnp.pad(weights, ((0, 0), padding))
        self.count = -(-jnp.sum(pairs.valid.astype(jnp.int32)) // _CHUNK)

    def at(self, index: Int[Array, ""]) -> tuple[Array, Array, Array]:
        """Rows, items and weights of one chunk."""

        def chunk(x: Array) -> Array:
            return jax.lax.dynamic_slice_in_dim(x, index * _CHUNK, _CHUNK, axis=-1)

        return chunk(self.rows), chunk(self.items), chunk(self.weights)
