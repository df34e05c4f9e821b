"""The losses of MMSSL's generator, and the rows that its critic is shown (WWW 2023, section 3)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.adversarial import real_rows, relation_rows
from mmssl_jax.adversarial.critic import Rows
from mmssl_jax.adversarial.relation_rows import RelationRows
from mmssl_jax.config import Config
from mmssl_jax.graphs.training_pairs import TrainingPairs
from mmssl_jax.models import losses
from mmssl_jax.models.mmssl.generator import Embeddings
from mmssl_jax.models.model import Batch


def generator_terms(
    embeddings: Embeddings, batch: Batch, config: Config
) -> dict[str, Float[Array, ""]]:
    """The generator's loss terms but the adversarial one. `generator_total` adds them, weighted."""
    users = embeddings.users[batch.users]
    positives, negatives = embeddings.items[batch.positives], embeddings.items[batch.negatives]
    features = [view.feature for view in embeddings.user_views.values()]
    features += [view.feature for view in embeddings.item_views.values()]
    num_items = embeddings.items.shape[0]
    terms = {
        "bpr": losses.bpr(users, positives, negatives),
        "embedding_l2": config.train.embedding_l2
        * losses.half_squares([users, positives, negatives])
        / users.shape[0],
        "feature_l2": config.mmssl.feature_l2 * losses.half_squares(features) / num_items,
    }
    return terms | contrastive_terms(embeddings, batch.users, config)


def contrastive_terms(
    embeddings: Embeddings, users: Int[Array, "batch"], config: Config
) -> dict[str, Float[Array, ""]]:
    """The contrastive loss of each modality that has a graph; without one it would be a constant.

    Modalities that share a graph share the view, so its loss is computed once. Views of graphs
    that have no edges yet, or no more, are zero, and so is the gradient.
    """
    anchor = embeddings.users
    if config.mmssl.contrast_fused and embeddings.fused_users is not None:
        anchor = embeddings.fused_users
    views = {name: view.ids for name, view in embeddings.user_views.items()}
    distinct = {id(ids): ids for ids in views.values() if ids is not None}

    def contrast(ids: Float[Array, "users d"]) -> Float[Array, ""]:
        return losses.contrastive(ids[users], anchor[users], temperature=config.mmssl.temperature)

    def of(ids: Float[Array, "users d"]) -> Float[Array, ""]:
        if embeddings.filled is True:
            return contrast(ids)
        constant = losses.contrastive_of_zeros(users.shape[0]).astype(ids.dtype)
        value: Array = jax.lax.cond(embeddings.filled, contrast, lambda _: constant, ids)
        return value

    contrasts = {key: of(ids) for key, ids in distinct.items()}
    return {
        f"contrastive_{name}": contrasts[id(ids)] for name, ids in views.items() if ids is not None
    }


def generator_total(terms: Mapping[str, Float[Array, ""]], config: Config) -> Float[Array, ""]:
    """What the generator minimises: BPR and the L2 terms, and the weighted others."""
    contrastive = [value for name, value in terms.items() if name.startswith("contrastive_")]
    total: Array = (
        terms["bpr"]
        + terms["embedding_l2"]
        + terms["feature_l2"]
        + config.mmssl.contrastive_weight * sum(contrastive)
        + config.mmssl.adversarial_weight * terms.get("adversarial", 0.0)
    )
    return total


def fake_rows(
    embeddings: Embeddings, users: Int[Array, "batch"], pairs: TrainingPairs
) -> list[RelationRows]:
    """The relation rows of each modality, which the critic learns to tell from real rows."""
    return [
        relation_rows.relation_rows(
            view.feature[users], embeddings.item_views[modality].feature, pairs
        )
        for modality, view in embeddings.user_views.items()
    ]


def batch_real_rows(
    embeddings: Embeddings,
    users: Int[Array, "batch"],
    pairs: TrainingPairs,
    key: PRNGKeyArray,
    config: Config,
) -> Rows:
    """The real rows of a batch: the users' training pairs, softened, plus the final scores."""
    spec = real_rows.RealRowsSpec(
        config.mmssl.real_temperature,
        config.mmssl.real_relation_weight,
        config.mmssl.temper_all,
    )
    relation = relation_rows.relation_rows(embeddings.users[users], embeddings.items, pairs)
    if config.critic.item_block:
        return real_rows.BlockedRealRows(relation, key, spec, config.critic.item_block)
    uniform = real_rows.item_noise(key, len(users), jnp.arange(embeddings.items.shape[0]))
    return real_rows.real_rows(spec, relation, uniform)
