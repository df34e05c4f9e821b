"""MICRO (Zhang et al., "Latent structure mining with contrastive modality fusion", TKDE 2022)."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.nearest import Neighbors, join, normalize, symmetric_weights
from mmssl_jax.models import cf, lattice, learned_item_graphs
from mmssl_jax.models.learned_item_graphs import Held, Inputs, Nearest
from mmssl_jax.models.model import Batch, Definition, Model, Params, Terms

Rows = Float[Array, "items d"]


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
    return learned_item_graphs.init_params(params_key, config, dataset) | {"attention": attention}


def edges(
    learner: dict[str, Any], nearest: Nearest, raw: dict[str, Neighbors], *, raw_weight: float
) -> dict[str, Neighbors]:
    """A graph of every modality: `(1 - lambda) D^-1/2 S_m D^-1/2 + lambda raw_m`."""
    joined = {}
    for modality, learned in learned_item_graphs.similarities(learner, nearest).items():
        weights = (1 - raw_weight) * symmetric_weights(learned)
        of_raw = Neighbors(raw[modality].items, raw_weight * raw[modality].weights)
        joined[modality] = join([Neighbors(learned.items, weights), of_raw])
    return joined


def forward(
    params: dict[str, Any],
    inputs: Inputs,
    held: Held,
    config: Config,
    key: PRNGKeyArray | None = None,
) -> Embeddings:
    """The backbone's users and items; to the items the normalised fused view `n(h)` is added."""
    users, items = learned_item_graphs.backbone_embeddings(params, inputs, config, key)
    own_edges = partial(edges, raw_weight=config.item_graph.raw_weight)
    views = learned_item_graphs.products(
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
    """`losses.contrastive` without epsilon, from at most [block, 2 items] values at a time."""
    a, b = normalize(view), normalize(anchor)
    own = jnp.sum(a * b, axis=1) / temperature
    others: Array = _mean_log_others(a, b, temperature, block)
    return others - jnp.mean(own)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _mean_log_others(a: Rows, b: Rows, temperature: float, block: int) -> Float[Array, ""]:
    """`mean_i log(sum_j s(a_i, a_j) + sum_j s(a_i, b_j) - s(a_i, a_i))`, s(x, y) = exp(x.y / t)."""
    return _with_gradients(a, b, temperature, block)[0]


def _with_gradients(
    a: Rows, b: Rows, temperature: float, block: int
) -> tuple[Float[Array, ""], tuple[Rows, Rows]]:
    """The value and both gradients in one pass over blocks of rows.

    A block holds whole rows, so its gradient needs no other block, and the similarities (most of
    MICRO's cost) are computed once.
    """
    num_items, both = a.shape[0], jnp.concatenate([a, b])
    block = min(block, num_items)
    starts = jnp.arange(-(-num_items // block)) * block
    columns = jnp.arange(2 * num_items)[None, :]

    def add_block(
        index: Int[Array, ""], carry: tuple[Array, Array, Array]
    ) -> tuple[Array, Array, Array]:
        value, to_rows, to_both = carry
        first = jnp.minimum(starts[index], num_items - block)  # the last block overlaps another
        rows = first + jnp.arange(block)
        counts = (rows >= starts[index]) / num_items  # weight 0 where it was counted before
        x = jax.lax.dynamic_slice_in_dim(a, first, block)
        others = jnp.where(columns == rows[:, None], 0.0, jnp.exp(x / temperature @ both.T))
        total = jnp.sum(others, axis=1)
        scale = (counts / (total * temperature))[:, None]
        part = jax.lax.dynamic_slice_in_dim(to_rows, first, block) + scale * (others @ both)
        to_rows = jax.lax.dynamic_update_slice_in_dim(to_rows, part, first, 0)
        return value + counts @ jnp.log(total), to_rows, to_both + others.T @ (scale * x)

    carry = jnp.zeros(()), jnp.zeros_like(a), jnp.zeros_like(both)
    value, to_rows, to_both = jax.lax.fori_loop(0, len(starts), add_block, carry)
    return value, (to_rows + to_both[:num_items], to_both[num_items:])


_mean_log_others.defvjp(
    _with_gradients,
    lambda temperature, block, gradients, cotangent: tuple(cotangent * g for g in gradients),
)


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

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        return loss_terms(forward(params["model"], inputs, held, config, key), batch, config)

    def embed(params: Any, inputs: Inputs, held: Held) -> cf.Embeddings:
        embeddings = forward(params, inputs, held, config)
        return embeddings.users, embeddings.items

    return learned_item_graphs.build(
        config,
        dataset,
        steps_per_epoch,
        init=lambda key: init_params(key, config, dataset),
        edges=partial(edges, raw_weight=config.item_graph.raw_weight),
        loss=loss,
        embed=embed,
    )


MODEL = Definition(build, lattice.DEFAULTS, lattice.SETTINGS)
