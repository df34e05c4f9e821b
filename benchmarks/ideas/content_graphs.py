"""Ideas about the content graph: what else its edges are for, and other graphs in its place."""

import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Float, Int, PRNGKeyArray

from benchmarks.ideas.features import content_of, features_of, with_table
from benchmarks.ideas.pairs import with_items_loss
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import sparse
from mmssl_jax.graphs.content_graph import content_graph
from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.graphs.training_pairs import max_training_pairs, training_pairs_of
from mmssl_jax.models import Model
from mmssl_jax.models.hybrid.inputs import Inputs
from mmssl_jax.models.hybrid.losses import product
from mmssl_jax.models.hybrid.scores import Held, Representation, content_scores
from mmssl_jax.models.model import Batch, Params, Terms

BLOCK = 1024  # rows of cosines that exist at a time


def edges_of(model: Model) -> scipy.sparse.csr_array:
    """The content graph as a matrix [items, items]."""
    near, weights = map(np.asarray, content_of(model).neighbors)
    rows = np.repeat(np.arange(len(near)), near.shape[1])
    matrix = scipy.sparse.coo_array((weights.ravel(), (rows, near.ravel())), (len(near), len(near)))
    return scipy.sparse.csr_array(matrix)


def over_row_sums(matrix: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """The matrix over its row sums; rows without weight stay without."""
    sums = np.asarray(matrix.sum(axis=1))
    scale = np.divide(1.0, sums, out=np.zeros(len(sums)), where=sums > 0)
    return scipy.sparse.csr_array(scipy.sparse.diags_array(scale) @ matrix)


def smoothed(model: Model, config: Config, dataset: Dataset, *, weight: float) -> Model:
    """A vector is its own plus `weight` times the mean of its content neighbours', by edge.

    It is so in training and for scores; cold items have the mean vector as in the hybrid.
    """
    del config, dataset
    graph, base = sparse.from_scipy(over_row_sums(edges_of(model))), model.losses["items"]

    def joined(params: Params) -> Params:
        table = params["items"]["item_embedding"]
        return with_table(params, table + weight * product(graph, table))

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        return base(joined(params), inputs, held, batch, key)

    def embed(params: Params, inputs: Inputs, held: Held) -> Representation:
        return model.embed(params, inputs, held._replace(average=joined(held.average)))

    return with_items_loss(model._replace(embed=embed), loss)


def separate_modalities(model: Model, config: Config, dataset: Dataset) -> Model:
    """Content's score is the sum over the modalities of `log(1 + C)`, each of a graph of its own.

    Its edges are `exp(sharpness / modalities * cos)`: the factor that the modality has in the edges
    of the hybrid's one graph.
    """
    own, content = config.hybrid, content_of(model)
    first, *others = (
        content_graph(
            {name: values},
            dataset.present,
            sharpness=own.sharpness / len(dataset.features),
            rank=own.rank,
            neighbors=min(own.neighbors, dataset.num_items - 1),
            tie_order=dataset.tie_order,
        )
        for name, values in dataset.features.items()
    )

    def score(
        representation: Representation, users: Int[Array, "block"]
    ) -> Float[Array, "block items"]:
        scores = model.score(representation, users)
        most = max_training_pairs(dataset.train, len(users))
        pairs = training_pairs_of(representation.pairs, users, most)
        for neighbors in others:
            of_modality = representation.content._replace(neighbors=neighbors)
            scores = scores + content_scores(of_modality, pairs, len(users))
        return scores

    inputs = model.inputs._replace(content=content._replace(neighbors=first))
    return model._replace(inputs=inputs, score=score)


def cosine_graph(features: np.ndarray, neighbors: int) -> Neighbors:
    """`content_graph` where E is the inner product of the features' rows, 0 where it is negative.

    Args:
      features: [items, _].
      neighbors: edges of an item, less than the number of items.
    """
    items = len(features)

    def edges(start: int) -> np.ndarray:
        block = np.maximum(features[start : start + BLOCK] @ features.T, 0)
        rows = np.arange(len(block))
        block[rows, start + rows] = 0
        return block

    starts = range(0, items, BLOCK)
    sums = np.concatenate([edges(start).sum(axis=1) for start in starts])
    scale = np.where(sums > 0, sums, np.inf) ** -0.5
    near, weights = [], []
    for start in starts:
        found = items * scale[start : start + BLOCK, None] * edges(start) * scale[None, :]
        near.append(np.argpartition(-found, neighbors - 1, axis=1)[:, :neighbors])
        weights.append(np.take_along_axis(found, near[-1], axis=1))
    return Neighbors(jnp.int32(np.concatenate(near)), jnp.float32(np.concatenate(weights)))


def linear_content(model: Model, config: Config, dataset: Dataset) -> Model:
    """The content graph has the mean cosine in place of `exp(sharpness * mean cosine)`."""
    features = features_of(config, dataset) / np.sqrt(len(dataset.features))
    neighbors = cosine_graph(features, min(config.hybrid.neighbors, dataset.num_items - 1))
    content = content_of(model)._replace(neighbors=neighbors)
    return model._replace(inputs=model.inputs._replace(content=content))
