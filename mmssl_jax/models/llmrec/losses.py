"""LLMRec's losses: BPR on sampled and augmented triples, pruned, and the L2 terms (section 3.4)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.models import losses
from mmssl_jax.models.llmrec.encoder import Embeddings
from mmssl_jax.models.model import Batch, Terms


class Triples(NamedTuple):
    """A batch and the augmented triples behind it, of which some are not valid."""

    users: Int[Array, "triples"]
    positives: Int[Array, "triples"]
    negatives: Int[Array, "triples"]
    valid: Bool[Array, "triples"]
    kept: Int[Array, ""]  # how many triples each BPR keeps


def augmented_rows(config: Config) -> int:
    """How many users of a batch give their augmented pair."""
    return int(config.train.batch_size * config.llmrec.augmented_share)


def with_augmented(
    batch: Batch,
    drawn: Int[Array, "rows"],
    augmented: Int[Array, "users 2"],
    config: Config,
) -> Triples:
    """The triples of a batch, with the augmented pairs of the drawn users behind them.

    Args:
      batch: the sampled triples.
      drawn: users of the batch.
      augmented: liked and disliked item of every user, -1 where there are none.
      config: the run's config.
    """
    liked, disliked = augmented[drawn].T
    there = liked >= 0
    sampled = len(batch.users)
    valid = jnp.concatenate([jnp.ones(sampled, bool), there])
    users, positives, negatives = (
        jnp.concatenate([of_batch, jnp.where(there, added, 0)])
        for of_batch, added in zip(batch, (drawn, liked, disliked), strict=True)
    )
    # As many as the release keeps, whose product is one of doubles, for every possible count.
    share = 1.0 if config.llmrec.prune == "none" else 1 - config.llmrec.pruned
    counts = np.arange(sampled, sampled + len(drawn) + 1)
    table = jnp.asarray([int(share * count) for count in counts.tolist()], jnp.int32)
    kept = table[jnp.sum(there.astype(jnp.int32))]
    return Triples(users, positives, negatives, valid, kept)


def draw_users(key: PRNGKeyArray, batch: Batch, config: Config) -> Int[Array, "rows"]:
    """The users of a batch whose augmented pairs are added."""
    places = jax.random.permutation(key, len(batch.users))[: augmented_rows(config)]
    return batch.users[places]


def log_sigmoids(
    users: Float[Array, "users d"], items: Float[Array, "items d"], triples: Triples
) -> Float[Array, "triples"]:
    """`log sigmoid(u.p - u.n + 1e-8)` of each triple."""
    of_user = users[triples.users]
    margin = jnp.sum(of_user * items[triples.positives], axis=1)
    margin = margin - jnp.sum(of_user * items[triples.negatives], axis=1)
    return jax.nn.log_sigmoid(margin + 1e-8)


def kept(
    found: Float[Array, "triples"], triples: Triples, config: Config
) -> Bool[Array, "triples"]:
    """Which triples a BPR keeps, by their log sigmoids; the choice has no gradient."""
    hardness = -found if config.llmrec.prune == "easiest" else found
    hardness = jnp.where(triples.valid, jax.lax.stop_gradient(hardness), jnp.inf)
    rank = jnp.argsort(jnp.argsort(hardness))
    return (rank < triples.kept) & triples.valid


def pruned_bpr(
    users: Float[Array, "users d"], items: Float[Array, "items d"], triples: Triples, config: Config
) -> Float[Array, ""]:
    """`-mean log sigmoid` over the triples that are kept."""
    found = log_sigmoids(users, items, triples)
    chosen = jnp.where(kept(found, triples, config), found, 0.0)
    return -jnp.sum(chosen) / triples.kept


def embedding_l2(out: Embeddings, triples: Triples, config: Config) -> Float[Array, ""]:
    """The L2 of the triples' final embeddings.

    Ordinary: half the squares over the number of triples. The release's: the sum of 1 / squares of
    users, positives and negatives over the batch size, which makes them larger.
    """
    rows = [out.users[triples.users], out.items[triples.positives], out.items[triples.negatives]]
    rows = [jnp.where(triples.valid[:, None], x, 0.0) for x in rows]
    weight = config.train.embedding_l2
    if not config.llmrec.inverse_l2:
        return weight * losses.half_squares(rows) / jnp.sum(triples.valid)
    inverse = sum((1 / (2 * jnp.sum(x * x) + 1e-8) for x in rows), start=jnp.zeros(()))
    return weight * inverse / config.train.batch_size


def terms(out: Embeddings, triples: Triples, config: Config) -> Terms:
    """All terms but the restoration, without their weights; `total` adds them."""
    users, items = out.at_users, out.at_items
    modal = [
        pruned_bpr(x, items.modalities[name], triples, config)
        for name, x in users.modalities.items()
    ]
    augmented = [
        pruned_bpr(profile, attribute, triples, config)
        for profile in users.profiles.values()
        for attribute in items.attributes.values()
    ]
    squares = losses.half_squares([*users.modalities.values(), *items.modalities.values()])
    return {
        "bpr": pruned_bpr(out.users, out.items, triples, config),
        "modal": sum(modal, start=jnp.zeros(())),
        "augmented": sum(augmented, start=jnp.zeros(())),
        "embedding_l2": embedding_l2(out, triples, config),
        "feature_l2": config.llmrec.feature_l2 * squares / out.items.shape[0],
    }


def total(found: Terms, config: Config) -> Float[Array, ""]:
    """What is minimised."""
    own = config.llmrec
    weights = {"augmented": own.augmented_loss, "modal": own.modality_loss}
    weights |= {"restore": own.restore_weight}
    loss: Array = sum(
        (weights.get(name, 1.0) * term for name, term in found.items()), start=jnp.zeros(())
    )
    return loss
