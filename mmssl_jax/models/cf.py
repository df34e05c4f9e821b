"""What the models that learn from pairs share: embeddings, backbones, the BPR loss."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import sampled_neighbors
from mmssl_jax.graphs.sampled_neighbors import Tree
from mmssl_jax.graphs.sparse import Graph
from mmssl_jax.models import losses
from mmssl_jax.models.model import Batch, Model, Params, Terms

DEFAULTS = {
    "data.standardize": False,
    "model.embedding_dim": 64,
    "model.layers": 2,
    "train.epochs": 1000,
    "train.steps_per_epoch": 0,
    "train.learning_rate": 1e-3,
    "train.lr_decay": 1.0,
    "train.weight_decay": 0.0,
    "train.embedding_l2": 1e-5,
    "train.evaluate_every": 1,
    "train.patience": 20,
}

Embeddings = tuple[Float[Array, "users d"], Float[Array, "items d"]]
# (params, tree, config, key) -> the final embeddings of the tree's seeds.
Around = Callable[[dict[str, Any], Tree, Config, PRNGKeyArray], Float[Array, "seeds d"]]


class Backbone(NamedTuple):
    """A recommender that uses no features: a model of its own, or the base of LATTICE and MICRO.

    Attributes:
      init_layers: (key, config) -> its parameters besides the embeddings.
      propagate: (params, graph, config, key) -> the nodes [users + items, d] after every layer, the
        embeddings first; a key of None turns dropout off.
    """

    init_layers: Callable[[PRNGKeyArray, Config], Any]
    propagate: Callable[..., list[Array]]


def init_backbone(
    backbone: Backbone, key: PRNGKeyArray, config: Config, dataset: Dataset
) -> dict[str, Any]:
    """Embeddings (Xavier uniform), and the parameters of the backbone's layers."""
    d, xavier = config.model.embedding_dim, jax.nn.initializers.xavier_uniform()
    user_key, item_key, layer_key = jax.random.split(key, 3)
    return {
        "user_embedding": xavier(user_key, (dataset.num_users, d)),
        "item_embedding": xavier(item_key, (dataset.num_items, d)),
        "layers": backbone.init_layers(layer_key, config),
    }


def no_layers(key: PRNGKeyArray, config: Config) -> tuple[()]:
    """The `init_layers` of a backbone whose layers have no parameters."""
    del key, config
    return ()


def init_linear(key: PRNGKeyArray, fan_in: int, fan_out: int) -> dict[str, Array]:
    """A linear map with all its parameters uniform in +-1/sqrt(fan_in), as in torch."""
    kernel_key, bias_key = jax.random.split(key)
    bound = fan_in**-0.5
    return {
        "kernel": jax.random.uniform(kernel_key, (fan_in, fan_out), minval=-bound, maxval=bound),
        "bias": jax.random.uniform(bias_key, (fan_out,), minval=-bound, maxval=bound),
    }


def linear(params: dict[str, Array], x: Float[Array, "n a"]) -> Float[Array, "n b"]:
    """`x W + b`."""
    return x @ params["kernel"] + params["bias"][None, :]


def nodes(params: dict[str, Any]) -> Float[Array, "nodes d"]:
    """The embeddings of users then items."""
    return jnp.concatenate([params["user_embedding"], params["item_embedding"]])


def mean(layers: Sequence[Array]) -> Array:
    """The mean of arrays of one shape, such as the nodes after every layer."""
    return sum(layers, start=jnp.zeros(())) / len(layers)


def split_nodes(x: Float[Array, "nodes d"], params: dict[str, Any]) -> Embeddings:
    """The users and the items of `nodes`."""
    num_users = params["user_embedding"].shape[0]
    return x[:num_users], x[num_users:]


def sampled(
    around: Around,
    params: dict[str, Any],
    graph: Graph,
    batch: Batch,
    config: Config,
    key: PRNGKeyArray,
) -> Embeddings:
    """The final embeddings of a batch alone, from sampled neighbours; `own_rows` finds them."""
    tree_key, key = jax.random.split(key)
    items = len(params["user_embedding"]) + jnp.concatenate([batch.positives, batch.negatives])
    seeds, fanout = jnp.concatenate([batch.users, items]), config.train.fanout
    tree = sampled_neighbors.tree(tree_key, [graph] * len(fanout), seeds, fanout)
    final = around(params, tree, config, key)
    return final[: len(batch.users)], final[len(batch.users) :]


def own_rows(batch: Batch) -> Batch:
    """A batch by its rows in the embeddings of its users, and of its positives then negatives."""
    rows = jnp.arange(len(batch.users), dtype=jnp.int32)
    return Batch(rows, rows, len(rows) + rows)


def layers(config: Config) -> int:
    """The `hops` of a model whose layers are one hop each."""
    return config.model.layers


def bpr_terms(embeddings: Embeddings, batch: Batch, config: Config) -> tuple[Array, Terms]:
    """BPR plus the L2 of the batch's final embeddings. Returns the sum, and the terms by name."""
    users, items = embeddings
    rows = [users[batch.users], items[batch.positives], items[batch.negatives]]
    terms = {
        "bpr": losses.bpr(*rows),
        "embedding_l2": config.train.embedding_l2 * losses.half_squares(rows) / len(batch.users),
    }
    return terms["bpr"] + terms["embedding_l2"], terms


def build(
    config: Config,
    dataset: Dataset,
    backbone: Backbone,
    graph: Graph | None = None,
    combine: Callable[[list[Array]], Array] = mean,
    around: Around | None = None,
) -> Model:
    """A backbone as a model of its own.

    Args:
      config: the run's config, resolved.
      dataset: its features are not used.
      backbone: the backbone.
      graph: what it propagates over.
      combine: its layers -> the final nodes [users + items, d].
      around: how it trains on sampled neighbours, if it can.
    """

    def forward(params: Params, graph: Graph | None, key: PRNGKeyArray | None = None) -> Embeddings:
        layers = backbone.propagate(params["model"], graph, config, key)
        return split_nodes(combine(layers), params["model"])

    def init(key: PRNGKeyArray) -> Params:
        return {"model": init_backbone(backbone, key, config, dataset)}

    def loss(
        params: Params, inputs: Graph | None, held: Any, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        del held
        if config.train.fanout and around is not None and inputs is not None:
            found = sampled(around, params["model"], inputs, batch, config, key)
            return bpr_terms(found, own_rows(batch), config)
        return bpr_terms(forward(params, inputs, key), batch, config)

    def embed(params: Params, inputs: Graph | None, held: Any) -> Embeddings:
        del held
        return forward(params, inputs)

    return Model(graph, init, {"model": loss}, embed)


def require_features(dataset: Dataset, config: Config) -> None:
    """Raises InputError if the model needs features and the data has none."""
    if not dataset.features:
        raise InputError(
            f"model '{config.model.name}' needs item features, but '{dataset.name}' is loaded "
            "with none; set data.modalities, or choose a model without content"
        )
