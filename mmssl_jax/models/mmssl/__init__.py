"""MMSSL: multi-modal self-supervised learning for recommendation (Wei et al., WWW 2023).

The model as the training loop wants it: two players, each with parameters and a loss. `settings`
has what can be set, `generator` makes the embeddings, `losses` has the terms of the losses.
"""

from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax.adversarial import critic as critics
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import interaction_graph, training_pairs
from mmssl_jax.models import missing
from mmssl_jax.models.mmssl import losses, released_graphs, sampled, top_k_graphs
from mmssl_jax.models.mmssl.generator import Embeddings, Inputs, forward, init_generator
from mmssl_jax.models.mmssl.settings import DEFAULTS, MMSSL, VARIANTS, Critic
from mmssl_jax.models.model import Adam, Batch, Definition, Model, Terms, to_place


class Parts(NamedTuple):
    """What the functions of one MMSSL share, and no program traces."""

    config: Config
    dataset: Dataset
    critic: critics.Critic
    max_pairs: int  # training pairs of a batch, at most
    game: ModuleType  # has `critic_loss` and `generator_loss`
    released: released_graphs.Rules | None  # None where the modality graphs are others

    @property
    def widths(self) -> dict[str, int]:
        """Modality -> width of its features."""
        return {name: array.shape[1] for name, array in self.dataset.features.items()}

    @property
    def adversarial(self) -> bool:
        """Whether a critic plays: without features there is nothing to judge."""
        return self.config.critic.enabled and bool(self.dataset.features)


def build(
    config: Config, dataset: Dataset, steps_per_epoch: int, game: ModuleType = critics
) -> Model:
    """Builds MMSSL for a data set.

    Args:
      config: the run's config, resolved.
      dataset: may have no features; the model is then plain graph propagation.
      steps_per_epoch: the default interval between rebuilds of the modality graphs.
      game: a module with `critic_loss` and `generator_loss`; a benchmark passes the dense version.

    Raises:
      InputError: a size in the config does not fit the data.
    """
    _check_sizes(config, dataset)
    inputs = _inputs(config, dataset)
    parts = parts_of(config, dataset, steps_per_epoch, game)
    players, optimisers = {"generator": partial(generator_loss, parts)}, {}
    if parts.adversarial:
        players = {"critic": partial(critic_loss, parts)} | players  # the critic moves first
        rates = config.critic
        optimisers["critic"] = Adam(rates.learning_rate, rates.beta1, rates.beta2)
    model = Model(inputs, partial(init, parts), players, partial(embed, parts), held={})
    model = model._replace(optimisers=optimisers)
    if not dataset.features:
        return model
    if parts.released is not None:
        views = partial(embeddings_of, parts)
        return released_graphs.kept_by(model, parts.released, dataset, views, parts.max_pairs)
    if config.mmssl.modality_graph != "top_k":
        return model
    return top_k_graphs.kept_by(model, config, dataset, steps_per_epoch)


def parts_of(
    config: Config, dataset: Dataset, steps_per_epoch: int, game: ModuleType = critics
) -> Parts:
    """What the functions of this MMSSL share; the arguments are those of `build`."""
    users = len(training_pairs.sampled_users(dataset.train))
    pairs = training_pairs.max_training_pairs(
        dataset.train, config.train.batch_size, distinct=config.train.batch_size <= users
    )
    released = _released(config, dataset, steps_per_epoch)
    return Parts(config, dataset, _critic(config, dataset), pairs, game, released)


def _check_sizes(config: Config, dataset: Dataset) -> None:
    """Raises InputError for sizes in the config that do not fit the data, or one another."""
    items, hidden, heads = dataset.num_items, config.critic.hidden, config.mmssl.heads
    if hidden > 4 * items:
        raise InputError(
            f"config field 'critic.hidden' is {hidden}; it must be at most four times the number "
            f"of items, {items}"
        )
    if config.mmssl.attention and config.model.embedding_dim % heads:
        raise InputError(
            f"config field 'model.embedding_dim' is {config.model.embedding_dim}; it must be a "
            f"multiple of mmssl.heads ({heads})"
        )
    if config.mmssl.modality_graph != "top_k" or not dataset.features:
        return
    k = config.mmssl.graph_items
    if k > items:
        raise InputError(
            f"config field 'mmssl.graph_items' is {k}; it must be at most the number of items, "
            f"{items}"
        )
    if k * dataset.num_users >= 2**31:
        raise InputError(f"mmssl.graph_items = {k} makes more edges than int32 can count")


def _released(
    config: Config, dataset: Dataset, steps_per_epoch: int
) -> released_graphs.Rules | None:
    """How the release's modality graphs evolve; None if they do not."""
    if config.mmssl.modality_graph != "released":
        return None
    rules = released_graphs.rules_of(config, dataset, steps_per_epoch)
    return rules if rules.steps > rules.every else None


def _critic(config: Config, dataset: Dataset) -> critics.Critic:
    hidden = config.critic.hidden or max(dataset.num_items // 4, 2)
    return critics.Critic(
        dataset.num_items, hidden, config.critic.slope, precision=config.critic.precision
    )


def _inputs(config: Config, dataset: Dataset) -> Inputs:
    symmetric = config.mmssl.normalization == "symmetric"
    return Inputs(
        interactions=interaction_graph.bipartite_graphs(
            dataset.train, dataset.by_item, symmetric=symmetric
        ),
        features=to_place(dict(dataset.features)),
        tables=to_place(training_pairs.host_tables(dataset.train)),
        present=missing.present(config, dataset),
        tie_order=jnp.asarray(dataset.tie_order, jnp.int32),
    )


def init(parts: Parts, key: PRNGKeyArray) -> dict[str, Any]:
    """The parameters of both players, or of the generator alone."""
    generator_key, critic_key = jax.random.split(key)
    config, dataset = parts.config, parts.dataset
    sizes = (dataset.num_users, dataset.num_items)
    params = {"generator": init_generator(generator_key, config, *sizes, parts.widths)}
    if missing.present(config, dataset):
        params["generator"]["missing"] = missing.init_vectors(config, dataset)
    if parts.adversarial:
        params["critic"] = critics.init_critic(parts.critic, critic_key)
    return params


def embeddings_of(
    parts: Parts, params: dict[str, Any], inputs: Inputs, held: Any, key: PRNGKeyArray | None
) -> Embeddings:
    """The generator's forward pass; a key of None turns dropout off."""
    generator, config = params["generator"], parts.config
    if parts.released is not None and inputs.features:
        return forward(generator, inputs, held.graphs, config, key, held.filled)
    # The release's graphs are the training pairs for good where no epoch has a rebuild.
    observed = config.mmssl.modality_graph in ("observed", "released")
    modality_graphs = dict.fromkeys(inputs.features, inputs.interactions) if observed else held
    return forward(generator, inputs, modality_graphs, config, key)


def critic_loss(
    parts: Parts, params: dict[str, Any], inputs: Inputs, held: Any, batch: Batch, key: PRNGKeyArray
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The critic's loss on the rows of a batch, and its terms; the generator is fixed."""
    forward_key, noise_key, alpha_key, score_key = jax.random.split(key, 4)
    embeddings = embeddings_of(parts, params, inputs, held, forward_key)
    embeddings = jax.lax.stop_gradient(embeddings)
    pairs = training_pairs.training_pairs_of(inputs.tables, batch.users, parts.max_pairs)
    count = len(parts.widths) * parts.config.train.batch_size
    loss: tuple[Array, Terms] = parts.game.critic_loss(
        parts.critic,
        params["critic"],
        losses.batch_real_rows(embeddings, batch.users, pairs, noise_key, parts.config),
        losses.fake_rows(embeddings, batch.users, pairs),
        jax.random.uniform(alpha_key, (count, 1)),
        score_key,
        penalty_weight=parts.config.critic.penalty_weight,
    )
    return loss


def generator_loss(
    parts: Parts, params: dict[str, Any], inputs: Inputs, held: Any, batch: Batch, key: PRNGKeyArray
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The generator's loss on a batch, and its terms; the critic is fixed."""
    if parts.config.train.fanout:
        terms = sampled.generator_terms(params["generator"], inputs, batch, parts.config, key)
        return losses.generator_total(terms, parts.config), terms
    forward_key, score_key = jax.random.split(key)
    embeddings = embeddings_of(parts, params, inputs, held, forward_key)
    terms = losses.generator_terms(embeddings, batch, parts.config)
    if parts.adversarial:
        pairs = training_pairs.training_pairs_of(inputs.tables, batch.users, parts.max_pairs)
        fake = losses.fake_rows(embeddings, batch.users, pairs)
        fixed = jax.lax.stop_gradient(params["critic"])
        terms["adversarial"] = parts.game.generator_loss(parts.critic, fixed, fake, score_key)
    return losses.generator_total(terms, parts.config), terms


def embed(
    parts: Parts, params: dict[str, Any], inputs: Inputs, held: Any
) -> tuple[Float[Array, "users d"], Float[Array, "items d"]]:
    """The final embeddings, without dropout."""
    embeddings = embeddings_of(parts, params, inputs, held, None)
    return embeddings.users, embeddings.items


MODEL = Definition(
    build,
    defaults=DEFAULTS,
    settings={"mmssl": MMSSL, "critic": Critic},
    variants=VARIANTS,
    hops=sampled.hops,
)
