"""The critic's real rows: a user's training pairs, softened by noise, plus a relation row.

The relation row is of the final embeddings. Each item has its own noise, so the rows are dense.
`BlockedRealRows` makes them in blocks of items to save memory.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.adversarial.precision import Precision, matmul
from mmssl_jax.adversarial.relation_rows import (
    Kernel,
    RelationRows,
    block_mask,
    block_relation,
    item_blocks,
)
from mmssl_jax.graphs.nearest import normalize


def gumbel(uniform: Array) -> Array:
    """Gumbel noise of uniform draws, kept finite by 1e-8 at both logarithms."""
    return -jnp.log(-jnp.log(uniform + 1e-8) + 1e-8)


def item_noise(
    key: PRNGKeyArray, batch: int, items: Int[Array, "block"]
) -> Float[Array, "batch block"]:
    """Uniform draws for a batch and some items. An item gets the same in whichever block it is."""
    keys = jax.vmap(lambda item: jax.random.fold_in(key, item))(items)
    return jax.vmap(lambda item_key: jax.random.uniform(item_key, (batch,)), out_axes=1)(keys)


@dataclasses.dataclass(frozen=True)
class RealRowsSpec:
    """What a real row is made of (static numbers).

    A row is `n(softmax(logits) + relation_weight * relation)`. The paper divides the whole logit by
    the temperature, (A[u] + gumbel) / temperature (`temper_all`); the release only the noise, and
    scales it by 1e-5 on top, A[u] + 1e-5 / temperature * gumbel.
    """

    temperature: float
    relation_weight: float
    temper_all: bool

    def logits(self, mask: Array, uniform: Array) -> Array:
        noise = gumbel(uniform)
        if self.temper_all:
            return (mask + noise) / self.temperature
        return mask + 1e-5 / self.temperature * noise


def real_rows(
    spec: RealRowsSpec, relation: RelationRows, uniform: Float[Array, "batch items"]
) -> Float[Array, "batch items"]:
    """The real rows: the softened training pairs plus the relation row of the final embeddings.

    Args:
      spec: temperature and weights.
      relation: of the final embeddings.
      uniform: draws for the Gumbel noise.
    """
    logits = spec.logits(relation.training_mask(), uniform)
    return normalize(jax.nn.softmax(logits, axis=1) + spec.relation_weight * relation.dense())


@dataclasses.dataclass(frozen=True)
class BlockedRealRows:
    """`real_rows` a block of items at a time, for when [batch, items] is too much memory.

    The noise of a block is drawn again wherever the block is needed. The rows are constants: the
    gradient of `project` reaches the kernel only.
    """

    relation: RelationRows
    key: PRNGKeyArray
    spec: RealRowsSpec
    item_block: int

    def project(self, kernel: Kernel, precision: Precision) -> Float[Array, "batch hidden"]:
        """The rows times a kernel."""
        static = (self.spec, self.item_block, precision)
        return _blocked_project(static, kernel, self.relation, self.key)

    def _blocks(self) -> Int[Array, "blocks block"]:
        num_items = self.relation.items.shape[0]
        return item_blocks(num_items, min(self.item_block, num_items))

    def _block(
        self, items: Int[Array, "block"]
    ) -> tuple[Float[Array, "batch block"], Float[Array, "batch block"]]:
        """(logits, relation) of a block; items past the end get -inf and 0."""
        users, features, pairs, _, scale = self.relation
        related = scale[:, None] * block_relation(users, features, pairs, items)
        mask = block_mask(pairs, users.shape[0], items)
        logits = self.spec.logits(mask, item_noise(self.key, users.shape[0], items))
        return jnp.where(items[None, :] < features.shape[0], logits, -jnp.inf), related

    def _softmax_statistics(self) -> tuple[Float[Array, "batch"], Float[Array, "batch"]]:
        """Maximum and sum of exponentials of every row's logits."""

        def add(
            carry: tuple[Array, Array], items: Int[Array, "block"]
        ) -> tuple[tuple[Array, Array], None]:
            largest, total = carry
            logits, _ = self._block(items)
            new = jnp.maximum(largest, jnp.max(logits, axis=1))
            total = total * jnp.exp(largest - new) + jnp.sum(jnp.exp(logits - new[:, None]), axis=1)
            return (new, total), None

        batch, dtype = self.relation.users.shape[0], self.relation.users.dtype
        start = jnp.full((batch,), -jnp.inf, dtype), jnp.zeros((batch,), dtype)
        return jax.lax.scan(add, start, self._blocks())[0]

    def _rows(
        self, items: Int[Array, "block"], statistics: tuple[Array, Array]
    ) -> Float[Array, "batch block"]:
        """The rows of a block before they are normalised."""
        logits, related = self._block(items)
        largest, total = statistics
        softened = jnp.exp(logits - largest[:, None]) / total[:, None]
        return softened + self.spec.relation_weight * related


_Static = tuple[RealRowsSpec, int, Precision]  # with the number of items in a block
# Kernel, relation, key, the softmax's statistics, and 1 / norm of every row.
_Saved = tuple[Kernel, RelationRows, PRNGKeyArray, tuple[Array, Array], Float[Array, "batch"]]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blocked_project(
    static: _Static, kernel: Kernel, relation: RelationRows, key: PRNGKeyArray
) -> Float[Array, "batch hidden"]:
    return _blocked_project_forward(static, kernel, relation, key)[0]


def _blocked_project_forward(
    static: _Static, kernel: Kernel, relation: RelationRows, key: PRNGKeyArray
) -> tuple[Float[Array, "batch hidden"], _Saved]:
    spec, item_block, precision = static
    real = BlockedRealRows(relation, key, spec, item_block)
    statistics = real._softmax_statistics()

    def add(
        carry: tuple[Array, Array], items: Int[Array, "block"]
    ) -> tuple[tuple[Array, Array], None]:
        projected, squared = carry
        rows = real._rows(items, statistics)
        block = kernel.at[items].get(mode="fill", fill_value=0)
        projected = projected + matmul(rows, block, precision)
        return (projected, squared + jnp.sum(rows**2, axis=1)), None

    batch = real.relation.users.shape[0]
    start = jnp.zeros((batch, kernel.shape[1]), kernel.dtype), jnp.zeros((batch,), kernel.dtype)
    (projected, squared), _ = jax.lax.scan(add, start, real._blocks())
    scale = 1.0 / jnp.maximum(jnp.sqrt(squared), 1e-12)
    return projected * scale[:, None], (kernel, relation, key, statistics, scale)


def _blocked_project_backward(
    static: _Static, saved: _Saved, cotangent: Float[Array, "batch hidden"]
) -> tuple[Kernel, None, None]:
    spec, item_block, precision = static
    kernel, relation, key, statistics, scale = saved
    real = BlockedRealRows(relation, key, spec, item_block)
    scaled = cotangent * scale[:, None]

    def add(to_kernel: Kernel, items: Int[Array, "block"]) -> tuple[Kernel, None]:
        to_block = matmul(real._rows(items, statistics).T, scaled, precision)
        return to_kernel.at[items].set(to_block, mode="drop"), None

    return jax.lax.scan(add, jnp.zeros_like(kernel), real._blocks())[0], None, None


_blocked_project.defvjp(_blocked_project_forward, _blocked_project_backward)
