"""Ideas about the pairs that item vectors are trained on, and about how they make a user."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import sparse
from mmssl_jax.graphs.training_pairs import PairTables
from mmssl_jax.models import Model
from mmssl_jax.models.hybrid.inputs import Inputs
from mmssl_jax.models.hybrid.losses import Tables, bpr_of, l2_of, product
from mmssl_jax.models.hybrid.scores import Held
from mmssl_jax.models.model import Batch, LossFn, Params, Terms
from mmssl_jax.training import batches


def with_items_loss(model: Model, loss: LossFn) -> Model:
    """The model with another loss of its item vectors."""
    return model._replace(losses={**model.losses, "items": loss})


def rows_of(tables: Tables, rows: Int[Array, "members batch"]) -> Float[Array, "members batch d"]:
    """The rows of each member's table."""
    return jnp.take_along_axis(tables, rows[:, :, None], axis=1)


def negatives_of(
    key: PRNGKeyArray, tables: PairTables, users: Int[Array, "rows"], count: int
) -> Int[Array, "rows count"]:
    """For each of these users so many items outside the training pairs, drawn as training does."""
    wanted = jnp.repeat(users, count)
    # Training draws distinct users: of as many as it is to draw, each place once, in any order.
    drawn = batches.sample(key, tables._replace(users=wanted), len(wanted))
    places, found = jnp.argsort(wanted), drawn.negatives[jnp.argsort(drawn.users)]
    return jnp.zeros_like(found).at[places].set(found).reshape(len(users), count)


def users_in_training(
    table: Tables,
    inputs: Inputs,
    batch: Batch,
    key: PRNGKeyArray,
    *,
    hidden: float,
    weights: Float[Array, "items"],
) -> Float[Array, "members batch d"]:
    """The users that the hybrid's loss of item vectors makes of this key.

    Args:
      table: the item vectors.
      inputs: of the hybrid; `user_items` has the weights.
      batch: of all members [members * batch].
      key: what the loss gets.
      hidden: `hybrid.hidden`.
      weights: of an item in its users' sums; 1 in the hybrid.
    """
    users, positives = (x.reshape(len(table), -1) for x in (batch.users, batch.positives))
    left_out = jax.random.bernoulli(key, hidden, users.shape) | inputs.single[users]
    share = jnp.where(left_out, inputs.share[users] * weights[positives], 0.0)
    sums = rows_of(product(inputs.user_items, table), users)
    return sums - share[:, :, None] * rows_of(table, positives)


def hardest(
    users: Float[Array, "members batch d"], table: Tables, candidates: Int[Array, "rows count"]
) -> Int[Array, "rows"]:
    """Of the candidates of each row [members * batch] the one of the highest score."""
    members, batch, d = users.shape
    items = rows_of(table, candidates.reshape(members, -1)).reshape(members, batch, -1, d)
    best = jnp.argmax(jnp.einsum("mbd,mbcd->mbc", users, items), axis=2).reshape(-1, 1)
    return jnp.take_along_axis(candidates, best, axis=1)[:, 0]


def hard_negatives(model: Model, config: Config, dataset: Dataset, *, count: int) -> Model:
    """The negative of a pair is, of `count`, the one that its user scores highest (DNS)."""
    base, ones = model.losses["items"], jnp.ones(dataset.num_items)

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        draw, own = jax.random.split(key)
        candidates = negatives_of(draw, inputs.pairs, batch.users, count)
        table = params["items"]["item_embedding"]
        users = users_in_training(
            table,
            inputs,
            batch,
            jax.random.clone(own),  # the users of the loss below
            hidden=config.hybrid.hidden,
            weights=ones,
        )
        negatives = hardest(users, table, candidates)
        return base(params, inputs, held, batch._replace(negatives=negatives), own)

    return with_items_loss(model, loss)


def more_negatives(model: Model, config: Config, dataset: Dataset, *, count: int) -> Model:
    """Every pair of a batch is trained on with `count` negatives."""
    del config, dataset
    base = model.losses["items"]

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        draw, own = jax.random.split(key)
        negatives = negatives_of(draw, inputs.pairs, batch.users, count).reshape(-1)
        users, positives = (jnp.repeat(x, count) for x in (batch.users, batch.positives))
        return base(params, inputs, held, Batch(users, positives, negatives), own)

    return with_items_loss(model, loss)


def by_degree(key: PRNGKeyArray, tables: PairTables, rows: int, power: float) -> Batch:
    """A batch whose users are drawn, with replacement, in proportion to (their pairs)**power."""
    user_key, pair_key = jax.random.split(key)
    shares = tables.degrees[tables.users].astype(jnp.float32) ** power
    users = jax.random.choice(user_key, tables.users, (rows,), p=shares / jnp.sum(shares))
    return batches.sample(pair_key, tables._replace(users=users), rows)


def users_by_degree(model: Model, config: Config, dataset: Dataset, *, power: float) -> Model:
    """Who has more pairs is trained on more often."""
    del config, dataset
    base = model.losses["items"]

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        draw, own = jax.random.split(key)
        return base(
            params, inputs, held, by_degree(draw, inputs.pairs, len(batch.users), power), own
        )

    return with_items_loss(model, loss)


def item_weights(model: Model, config: Config, dataset: Dataset, *, power: float) -> Model:
    """In a user's sum an item counts by 1 / (its number of pairs)**power.

    The sum is over (the sum of these weights)**user_exponent, where the hybrid has the number of
    items.
    """
    train = dataset.train
    degrees = np.bincount(train.indices, minlength=dataset.num_items)
    weighed = train @ scipy.sparse.diags_array(np.maximum(degrees, 1.0) ** -power)
    sums = np.asarray(weighed.sum(axis=1))
    share = np.where(sums > 0, sums, 1.0) ** -config.hybrid.user_exponent
    weights = jnp.asarray(np.maximum(degrees, 1.0) ** -power, jnp.float32)
    inputs = model.inputs._replace(
        user_items=sparse.from_scipy(scipy.sparse.diags_array(share) @ weighed),
        share=jnp.asarray(share, jnp.float32),
    )

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        del held
        table, hidden = params["items"]["item_embedding"], config.hybrid.hidden
        users = users_in_training(table, inputs, batch, key, hidden=hidden, weights=weights)
        items = (rows_of(table, x.reshape(len(table), -1)) for x in batch[1:])
        of_rows = l2_of(batch.users.reshape(len(table), -1), inputs, config)
        return bpr_of((users, *items), of_rows)

    return with_items_loss(model._replace(inputs=inputs), loss)
