"""MMSSL: multi-modal self-supervised learning for recommendation (Wei et al., WWW 2023).

The losses of both players and what the training loop needs; the embeddings are made in
`mmssl_generator`. `VARIANTS` in config.py lists where the paper and the release differ.
"""

from collections.abc import Mapping
from types import ModuleType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial import real_rows, relation_rows
from mmssl_jax.adversarial.critic import Rows
from mmssl_jax.adversarial.relation_rows import RelationRows
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import interactions as graphs
from mmssl_jax.graphs import training_pairs
from mmssl_jax.graphs.training_pairs import Batch, SeenPairs
from mmssl_jax.models import losses, missing
from mmssl_jax.models.mmssl_generator import (
    Embeddings,
    Inputs,
    forward,
    init_generator,
)
from mmssl_jax.models.model import Model

DEFAULTS = {
    "data.standardize": False,
    "model.layers": 2,
    "train.epochs": 250,
    "train.steps_per_epoch": 0,
    "train.learning_rate": "mmssl.learning_rate",
    "train.lr_decay": 1.0,
    "train.weight_decay": 1e-2,
    "train.evaluate_every": 1,
    "train.patience": 7,
}


def generator_terms(
    embeddings: Embeddings, batch: Batch, config: Config
) -> dict[str, Float[Array, ""]]:
    """The generator's losses, all but the adversarial one; `generator_total` weighs them."""
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
    """The contrastive loss of every modality with a graph; without one it is a constant.

    Modalities whose graph is the same have the same view, whose loss is computed once.
    """
    anchor = embeddings.fused_users if config.mmssl.contrast_fused else embeddings.users
    views = {name: view.ids for name, view in embeddings.user_views.items()}
    distinct = {id(ids): ids for ids in views.values() if ids is not None}
    contrasts = {
        key: losses.contrastive(ids[users], anchor[users], temperature=config.mmssl.temperature)
        for key, ids in distinct.items()
    }
    return {
        f"contrastive_{name}": contrasts[id(ids)] for name, ids in views.items() if ids is not None
    }


def generator_total(terms: Mapping[str, Float[Array, ""]], config: Config) -> Float[Array, ""]:
    """What the generator minimises: BPR and the L2 terms, and the weighted others."""
    contrastive = [value for name, value in terms.items() if name.startswith("contrastive_")]
    return (
        terms["bpr"]
        + terms["embedding_l2"]
        + terms["feature_l2"]
        + config.mmssl.contrastive_weight * sum(contrastive)
        + config.mmssl.adversarial_weight * terms.get("adversarial", 0.0)
    )


def fake_rows(
    embeddings: Embeddings, users: Int[Array, "batch"], seen: SeenPairs
) -> list[RelationRows]:
    """The relation rows of every modality: what the critic should tell from real ones."""
    return [
        relation_rows.relation_rows(
            view.feature[users], embeddings.item_views[modality].feature, seen
        )
        for modality, view in embeddings.user_views.items()
    ]


def batch_real_rows(
    embeddings: Embeddings,
    users: Int[Array, "batch"],
    seen: SeenPairs,
    key: PRNGKeyArray,
    config: Config,
) -> Rows:
    """The real rows of a batch: softened interactions plus the final embeddings' relation."""
    spec = real_rows.RealRowsSpec(
        config.mmssl.real_temperature,
        config.mmssl.real_relation_weight,
        config.mmssl.temper_all,
    )
    relation = relation_rows.relation_rows(embeddings.users[users], embeddings.items, seen)
    if config.critic.item_block:
        return real_rows.BlockedRealRows(relation, key, spec, config.critic.item_block)
    uniform = real_rows.item_noise(key, len(users), jnp.arange(embeddings.items.shape[0]))
    return real_rows.real_rows(spec, relation, uniform)


def build(
    config: Config, dataset: Dataset, steps_per_epoch: int, game: ModuleType = critics
) -> Model:
    """MMSSL for a data set, as the training loop wants it.

    Args:
      config: the run's config, resolved.
      dataset: its features may be empty, which leaves the graph recommender without content.
      steps_per_epoch: the default interval between rebuilds of the modality graphs.
      game: what has `critic_loss` and `generator_loss`; a benchmark passes the dense formulation.
    """
    widths = {modality: array.shape[1] for modality, array in dataset.features.items()}
    adversarial = config.critic.enabled and bool(widths)
    batch_size, blocks = config.train.batch_size, graphs.user_blocks(dataset.train)
    if config.critic.hidden > 4 * dataset.num_items:
        raise InputError(
            f"config field 'critic.hidden' is {config.critic.hidden}; it must be at most four "
            f"times the number of items, {dataset.num_items}"
        )
    heads, d = config.mmssl.heads, config.model.embedding_dim
    if config.mmssl.attention and d % heads:
        raise InputError(
            f"config field 'model.embedding_dim' is {d}; it must be a multiple of mmssl.heads "
            f"({heads})"
        )
    critic = critics.Critic(
        dataset.num_items,
        config.critic.hidden or max(dataset.num_items // 4, 2),
        config.critic.slope,
        precision=config.critic.precision,
    )
    tables = training_pairs.sampling_tables(dataset.train)
    max_pairs = training_pairs.max_seen_pairs(
        dataset.train, batch_size, distinct=batch_size <= len(tables.users)
    )
    symmetric = config.mmssl.normalization == "symmetric"
    inputs = Inputs(
        interactions=graphs.bipartite_graphs(dataset.train, symmetric=symmetric),
        features={name: jnp.asarray(array) for name, array in dataset.features.items()},
        tables=tables,
        present=missing.present(config, dataset),
        tie_order=jnp.asarray(dataset.tie_order, jnp.int32),
    )

    def init(key):
        generator_key, critic_key = jax.random.split(key)
        sizes = (dataset.num_users, dataset.num_items)
        params = {"generator": init_generator(generator_key, config, *sizes, widths)}
        if inputs.present:
            params["generator"]["missing"] = missing.init_vectors(config, dataset)
        if adversarial:
            params["critic"] = critics.init_critic(critic, critic_key)
        return params

    def embeddings_of(params, inputs, held, key=None):
        observed = config.mmssl.modality_graph == "observed"
        modality_graphs = dict.fromkeys(inputs.features, inputs.interactions) if observed else held
        return forward(params["generator"], inputs, modality_graphs, config, key)

    def critic_loss(params, inputs, held, batch, key):
        forward_key, noise_key, alpha_key, score_key = jax.random.split(key, 4)
        embeddings = embeddings_of(params, inputs, held, forward_key)
        embeddings = jax.lax.stop_gradient(embeddings)
        seen = training_pairs.seen_pairs(inputs.tables, batch.users, max_pairs)
        return game.critic_loss(
            critic,
            params["critic"],
            batch_real_rows(embeddings, batch.users, seen, noise_key, config),
            fake_rows(embeddings, batch.users, seen),
            jax.random.uniform(alpha_key, (len(widths) * batch_size, 1)),
            score_key,
            penalty_weight=config.critic.penalty_weight,
        )

    def generator_loss(params, inputs, held, batch, key):
        forward_key, score_key = jax.random.split(key)
        embeddings = embeddings_of(params, inputs, held, forward_key)
        terms = generator_terms(embeddings, batch, config)
        if adversarial:
            seen = training_pairs.seen_pairs(inputs.tables, batch.users, max_pairs)
            fake = fake_rows(embeddings, batch.users, seen)
            fixed = jax.lax.stop_gradient(params["critic"])
            terms["adversarial"] = game.generator_loss(critic, fixed, fake, score_key)
        return generator_total(terms, config), terms

    def rebuild(params, inputs):
        views = forward(params["generator"], inputs, {}, config)
        return {
            modality: graphs.relation_graph(
                view.feature,
                views.item_views[modality].feature,
                inputs.tables,
                k,
                blocks,
                symmetric=symmetric,
                tie_order=inputs.tie_order,
            )
            for modality, view in views.user_views.items()
        }

    def refresh(params, inputs, held, step):
        due = step % refresh_every == 0
        return jax.lax.cond(due, lambda: rebuild(params, inputs), lambda: held)

    def embed(params, inputs, held):
        embeddings = embeddings_of(params, inputs, held)
        return embeddings.users, embeddings.items

    players = {"critic": critic_loss} if adversarial else {}
    model = Model(inputs, init, players | {"generator": generator_loss}, embed)
    if not (config.mmssl.modality_graph == "top_k" and widths):
        return model._replace(held={})
    k, refresh_every = config.mmssl.graph_items, config.mmssl.graph_refresh or steps_per_epoch
    if k > dataset.num_items:
        raise InputError(
            f"config field 'mmssl.graph_items' is {k}; it must be at most the number of items, "
            f"{dataset.num_items}"
        )
    if k * dataset.num_users >= 2**31:
        raise InputError(f"mmssl.graph_items = {k} makes more edges than int32 can count")
    empty = jax.eval_shape(lambda key: rebuild(init(key), inputs), jax.random.key(0))
    held = jax.tree.map(lambda array: jnp.zeros(array.shape, array.dtype), empty)
    return model._replace(held=held, refresh=refresh)
