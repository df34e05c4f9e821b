"""How the learned parts of the hybrid are trained: item vectors, and LightGCN.

Tables have a leading axis of members. A batch holds the rows of all of them, one after the other.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import scipy.sparse
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.graphs import sparse
from mmssl_jax.graphs.sparse import Graph
from mmssl_jax.graphs.training_pairs import max_training_pairs, row_sums, training_pairs_of
from mmssl_jax.models import losses
from mmssl_jax.models.hybrid.inputs import Inputs
from mmssl_jax.models.model import Batch, LossFn, Params, Terms

Tables = Float[Array, "members nodes d"]


def init_tables(
    key: PRNGKeyArray, players: tuple[str, ...], members: int, sizes: dict[str, tuple[int, int]]
) -> Params:
    """Xavier uniform tables of every member: item vectors, and for the graph users and items."""
    xavier = jax.nn.initializers.xavier_uniform()

    def table(index: int, name: str) -> Tables:
        keys = jax.random.split(jax.random.fold_in(key, index), members)
        return jax.vmap(lambda own: xavier(own, sizes[name]))(keys)

    params = {"items": {"item_embedding": table(0, "items")}}
    if "graph" in players:
        params["graph"] = {"user_embedding": table(1, "users"), "item_embedding": table(2, "items")}
    return params


def product(graph: Graph, x: Float[Array, "members columns d"]) -> Float[Array, "members rows d"]:
    """The product of one graph [rows, columns] with the table of each member."""
    members, columns, d = x.shape
    side_by_side = jnp.moveaxis(x, 0, 1).reshape(columns, members * d)
    return jnp.moveaxis(sparse.spmm(graph, side_by_side).reshape(-1, members, d), 1, 0)


def graph_layers(graph_params: dict[str, Any], graph: Graph, layers: int) -> list[Tables]:
    """The nodes, users then items, after every layer of LightGCN."""
    found = [jnp.concatenate([graph_params["user_embedding"], graph_params["item_embedding"]], 1)]
    for _ in range(layers):
        found.append(product(graph, found[-1]))
    return found


def _rows(tables: Tables, rows: Int[Array, "members batch"]) -> Float[Array, "members batch d"]:
    """The rows of each member's table."""

    def own(table: Float[Array, "nodes d"], rows: Int[Array, "batch"]) -> Float[Array, "batch d"]:
        return table[rows]

    return jax.vmap(own)(tables, rows)


def _split(batch: Batch, members: int) -> Batch:
    """The batch of each member: [members, batch]."""
    return Batch(*(x.reshape(members, -1) for x in batch))


def l2_of(users: Int[Array, "members batch"], inputs: Inputs, config: Config) -> Array:
    """The L2 weight of each pair, which is lower where its user has more items."""
    items = inputs.pairs.degrees[users].astype(jnp.float32)
    weights: Array = config.train.embedding_l2 * items**-config.hybrid.l2_exponent
    return weights


def bpr_of(
    rows: Sequence[Float[Array, "members batch d"]], l2: Float[Array, "members batch"]
) -> tuple[Array, Terms]:
    """BPR and L2 of users, positives and negatives, and their terms as means over the members.

    The loss is the members' sum, so that none changes another's gradient.
    """
    bpr = jax.vmap(losses.bpr)(*rows)
    squares = sum(0.5 * jnp.sum(row * row, axis=2) for row in rows)
    terms = {"bpr": bpr, "embedding_l2": jnp.mean(l2 * squares, axis=1)}
    return sum(map(jnp.sum, terms.values()), jnp.zeros(())), jax.tree.map(jnp.mean, terms)


def most_pairs_of(config: Config, inputs: Inputs, train: scipy.sparse.csr_array) -> int | None:
    """The most training pairs of a member's batch, or None where all pairs are no more work."""
    size, members = config.train.batch_size, config.hybrid.members
    if size * members > len(inputs.pairs.users):  # users are drawn with replacement
        return None
    most = max_training_pairs(train, size)
    return most if most < train.nnz else None


def users_of(
    table: Tables, users: Int[Array, "members batch"], inputs: Inputs, most_pairs: int | None
) -> Float[Array, "members batch d"]:
    """The users of each member's batch, by that member's table; see `most_pairs_of`."""
    if most_pairs is None:
        return _rows(product(inputs.user_items, table), users)

    def own(member: tuple[Float[Array, "items d"], Int[Array, "batch"]]) -> Array:
        pairs = training_pairs_of(inputs.pairs, member[1], most_pairs)
        return row_sums(member[0], pairs, len(member[1]))

    sums: Array = jax.lax.map(own, (table, users))
    return inputs.share[users][:, :, None] * sums


def items_loss(
    params: Params,
    inputs: Inputs,
    held: Any,
    batch: Batch,
    key: PRNGKeyArray,
    *,
    config: Config,
    most_pairs: int | None,
) -> tuple[Array, Terms]:
    """BPR where a user is the sum of the vectors of his items, weighed by `Inputs.share`.

    In a share of the pairs, and where the user has one item only, the positive is no part of its
    user: else a vector would learn to score itself.
    """
    del held
    own, table = config.hybrid, params["items"]["item_embedding"]
    batch = _split(batch, own.members)
    positives = _rows(table, batch.positives)
    hidden = jax.random.bernoulli(key, own.hidden, batch.users.shape) | inputs.single[batch.users]
    left_out = jnp.where(hidden, inputs.share[batch.users], 0.0)
    users = users_of(table, batch.users, inputs, most_pairs) - left_out[:, :, None] * positives
    rows = users, positives, _rows(table, batch.negatives)
    return bpr_of(rows, l2_of(batch.users, inputs, config))


def graph_loss(
    params: Params, inputs: Inputs, held: Any, batch: Batch, key: PRNGKeyArray, *, config: Config
) -> tuple[Array, Terms]:
    """BPR of LightGCN: the mean of the layers."""
    del held, key
    assert inputs.joint is not None
    batch, num_users = _split(batch, config.hybrid.members), len(inputs.share)
    layers = graph_layers(params["graph"], inputs.joint, config.model.layers)
    final = jnp.mean(jnp.stack(layers), axis=0)
    users, items = final[:, :num_users], final[:, num_users:]
    rows = (
        _rows(users, batch.users),
        _rows(items, batch.positives),
        _rows(items, batch.negatives),
    )
    return bpr_of(rows, l2_of(batch.users, inputs, config))


def losses_of(config: Config, inputs: Inputs, train: scipy.sparse.csr_array) -> dict[str, LossFn]:
    """The players: the item vectors, and the graph where it has a weight."""
    most = most_pairs_of(config, inputs, train)
    players: dict[str, LossFn] = {"items": partial(items_loss, config=config, most_pairs=most)}
    if config.hybrid.graph:
        players["graph"] = partial(graph_loss, config=config)
    return players
