"""MICRO (Zhang et al., "Latent structure mining with contrastive modality fusion", TKDE 2022)."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax import graph as graphs
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graph import Neighbors
from mmssl_jax.losses import normalize
from mmssl_jax.models import cf, item_graphs
from mmssl_jax.models.item_graphs import Held, Inputs, Nearest
from mmssl_jax.models.model import Model, Terms
from mmssl_jax.sampling import Batch

DEFAULTS = item_graphs.DEFAULTS


class Embeddings(NamedTuple):
    """What one forward pass gives."""

    users: Float[Array, "users d"]
    items: Float[Array, "items d"]
    views: dict[str, Float[Array, "items d"]]  # modality -> its graph times the item embeddings
    fused: Float[Array, "items d"]


def init_params(key: PRNGKeyArray, config: Config, dataset: Dataset) -> dict[str, Any]:
    """The parameters of backbone and learner, and of the attention over modalities."""
    d = config.model.embedding_dim
    params_key, hidden_key, query_key = jax.random.split(key, 3)
    attention = {
        "hidden": cf.init_linear(hidden_key, d, d),
        "query": jax.random.uniform(query_key, (d, 1), minval=-(d**-0.5), maxval=d**-0.5),
    }
    return item_graphs.init_params(params_key, config, dataset) | {"attention": attention}


def edges(
    learner: dict[str, Any], nearest: Nearest, raw: dict[str, Neighbors], *, raw_weight: float
) -> dict[str, Neighbors]:
    """A graph of every modality: `(1 - lambda) D^-1/2 S_m D^-1/2 + lambda raw_m`."""
    joined = {}
    for modality, learned in item_graphs.similarities(learner, nearest).items():
        weights = (1 - raw_weight) * graphs.symmetric_weights(learned)
        of_raw = Neighbors(raw[modality].items, raw_weight * raw[modality].weights)
        joined[modality] = item_graphs.join([Neighbors(learned.items, weights), of_raw])
    return joined


def forward(
    params: dict[str, Any],
    inputs: Inputs,
    held: Held,
    config: Config,
    key: PRNGKeyArray | None = None,
) -> Embeddings:
    """Users and items of the backbone; items gain `n(h)`, h the fused views."""
    users, items = item_graphs.backbone_embeddings(params, inputs, config, key)
    own_edges = partial(edges, raw_weight=config.item_graph.raw_weight)
    views = item_graphs.products(
        own_edges, params["learner"], inputs, held, params["item_embedding"]
    )
    fused = fuse(params["attention"], views)
    return Embeddings(users, items + normalize(fused), views, fused)


def fuse(
    attention: dict[str, Any], views: dict[str, Float[Array, "items d"]]
) -> Float[Array, "items d"]:
    """The views weighted for each item by a softmax over modalities of `q^T tanh(W h_m + b)`."""
    logits = [
        jnp.tanh(cf.linear(attention["hidden"], view)) @ attention["query"]
        for view in views.values()
    ]
    shares = jax.nn.softmax(jnp.concatenate(logits, axis=1), axis=1)
    return jnp.einsum("im,mid->id", shares, jnp.stack(list(views.values())))


def contrastive(
    view: Float[Array, "items d"],
    anchor: Float[Array, "items d"],
    *,
    temperature: float,
    block: int = 512,
) -> Float[Array, ""]:
    """`losses.contrastive` without its epsilon, with [block, items] similarities at a time.

    The similarities of a block are computed again for the gradient, not kept.
    """
    a, b = normalize(view), normalize(anchor)
    num_items = a.shape[0]
    block = min(block, num_items)
    count = -(-num_items // block)
    rows = jnp.arange(count * block) % num_items

    @jax.checkpoint
    def total(rows):
        both = jnp.exp(a[rows] @ a.T / temperature), jnp.exp(a[rows] @ b.T / temperature)
        return jnp.sum(both[0], axis=1) + jnp.sum(both[1], axis=1)

    totals = jax.lax.map(total, rows.reshape(count, block)).reshape(-1)[:num_items]
    itself = jnp.exp(jnp.sum(a * a, axis=1) / temperature)
    return jnp.mean(jnp.log(totals - itself) - jnp.sum(a * b, axis=1) / temperature)


def loss_terms(embeddings: Embeddings, batch: Batch, config: Config) -> tuple[Array, Terms]:
    """BPR, L2 and the contrast of every view with the fused items: their sum, and each."""
    total, terms = cf.bpr_terms((embeddings.users, embeddings.items), batch, config)
    gaps = [
        contrastive(view, embeddings.fused, temperature=config.item_graph.temperature)
        for view in embeddings.views.values()
    ]
    terms["contrastive"] = jnp.sum(jnp.stack(gaps))
    return total + config.item_graph.contrastive_weight * terms["contrastive"], terms


def build(config: Config, dataset: Dataset, steps_per_epoch: int) -> Model:
    """MICRO with any number of modalities, as released."""

    def loss(params, inputs, held, batch, key):
        return loss_terms(forward(params["model"], inputs, held, config, key), batch, config)

    def embed(params, inputs, held):
        embeddings = forward(params, inputs, held, config)
        return embeddings.users, embeddings.items

    return item_graphs.build(
        config,
        dataset,
        steps_per_epoch,
        init=lambda key: init_params(key, config, dataset),
        edges=partial(edges, raw_weight=config.item_graph.raw_weight),
        loss=loss,
        embed=embed,
    )
