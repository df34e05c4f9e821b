"""Ideas that put features into the item vectors, or hold them to the vectors."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from benchmarks.ideas.pairs import rows_of, with_items_loss
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.graphs.content_graph import whitened
from mmssl_jax.graphs.nearest import normalize
from mmssl_jax.models import Model
from mmssl_jax.models.hybrid.inputs import Content, Inputs
from mmssl_jax.models.hybrid.losses import Tables
from mmssl_jax.models.hybrid.scores import Held, Representation
from mmssl_jax.models.model import Batch, Params, Terms

MOST_EVIDENCE, PENALTY = 5.0, 3.0  # of the ridge regression


def content_of(model: Model) -> Content:
    """The content of the hybrid; InputError where it has none."""
    if model.inputs.content is None:
        raise InputError("this idea is about content: it needs features, and a hybrid.content")
    return model.inputs.content


def features_of(config: Config, dataset: Dataset) -> np.ndarray:
    """The whitened features of all modalities, side by side: float32 [items, features]."""
    everywhere = np.ones(dataset.num_items, bool)
    parts = [
        whitened(values, dataset.present.get(name, everywhere), config.hybrid.rank)
        for name, values in dataset.features.items()
    ]
    return np.concatenate(parts, axis=1)


def evidence(dataset: Dataset) -> np.ndarray:
    """How often training draws an item, as in `Content`: float [items]."""
    counts = np.diff(dataset.train.indptr)
    shares = np.repeat(1 / np.maximum(counts, 1), counts)
    return np.bincount(dataset.train.indices, shares, minlength=dataset.num_items)


def with_table(params: Params, table: Tables) -> Params:
    """The parameters with other item vectors."""
    return params | {"items": {"item_embedding": table}}


def with_map(model: Model, features: int) -> Model:
    """The model whose item vectors come with a linear map of so many features, to be learned."""
    xavier = jax.nn.initializers.xavier_uniform()

    def init(key: PRNGKeyArray) -> Params:
        params = model.init(key)
        members, _, d = params["items"]["item_embedding"].shape
        keys = jax.random.split(jax.random.fold_in(key, 3), members)  # the hybrid takes 0, 1, 2
        maps = jax.vmap(lambda own: xavier(own, (features, d)))(keys)
        return params | {"items": params["items"] | {"content_map": maps}}

    shapes = jax.eval_shape(init, jax.random.key(0))
    average = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return model._replace(init=init, held=model.held._replace(average=average))


def every_item(inputs: Inputs) -> Inputs:
    """With these, cold items are ranked by vectors of their own, and inherit nothing."""
    content = inputs.content
    if content is not None:
        none = jax.tree.map(lambda x: x[:0], (content.cold, content.inherited))
        content = content._replace(cold=none[0], inherited=none[1])
    return inputs._replace(trained=jnp.ones_like(inputs.trained), content=content)


def in_vectors(
    model: Model, config: Config, dataset: Dataset, *, dropped: float, cold: bool
) -> Model:
    """An item's vector is its own plus a linear map of its features.

    In training its own is dropped out in a share of the items. A cold item has the mean vector as
    in the hybrid, or with `cold` what the map gives.
    """
    content_of(model)
    features = jnp.asarray(features_of(config, dataset))
    base = model.losses["items"]

    def mapped(items: dict[str, Array]) -> Tables:
        return jnp.einsum("if,mfd->mid", features, items["content_map"])

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        drop, own = jax.random.split(key)
        table = params["items"]["item_embedding"]
        kept = jax.random.bernoulli(drop, 1 - dropped, table.shape[:2])
        table = jnp.where(kept[:, :, None], table, 0.0) + mapped(params["items"])
        return base(with_table(params, table), inputs, held, batch, own)

    def embed(params: Params, inputs: Inputs, held: Held) -> Representation:
        table = held.average["items"]["item_embedding"]
        if cold:
            table = jnp.where(inputs.trained[None, :, None], table, 0.0)
            inputs = every_item(inputs)
        average = with_table(held.average, table + mapped(held.average["items"]))
        return model.embed(params, inputs, held._replace(average=average))

    changed = with_map(model, features.shape[1])._replace(embed=embed)
    return with_items_loss(changed, loss)


def info_nce(
    views: Float[Array, "batch d"],
    vectors: Float[Array, "batch d"],
    items: Int[Array, "batch"],
    *,
    temperature: float,
) -> Float[Array, ""]:
    """InfoNCE between two sides of the same items, both ways; another row of an item is left out.

    An item without features, whose view is zero, takes no part as the one that is looked for.
    """
    logits = normalize(views) @ normalize(vectors).T / temperature
    again = (items[:, None] == items[None, :]) & ~jnp.eye(len(items), dtype=bool)
    logits = jnp.where(again, -jnp.inf, logits)
    own = jnp.diagonal(logits)
    both = jax.nn.logsumexp(logits, axis=1) + jax.nn.logsumexp(logits, axis=0) - 2 * own
    has = jnp.any(views != 0, axis=1)
    return 0.5 * jnp.sum(jnp.where(has, both, 0.0)) / jnp.maximum(jnp.sum(has), 1)


def contrast(
    model: Model, config: Config, dataset: Dataset, *, weight: float, temperature: float
) -> Model:
    """The loss has a contrast of an item's vector with a linear map of its features.

    As MMSSL has between the view of a modality and the final embedding; of a batch's positives.
    """
    content_of(model)
    features = jnp.asarray(features_of(config, dataset))
    base = model.losses["items"]

    def loss(
        params: Params, inputs: Inputs, held: Held, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, Terms]:
        total, terms = base(params, inputs, held, batch, key)
        table, maps = params["items"]["item_embedding"], params["items"]["content_map"]
        positives = batch.positives.reshape(len(table), -1)
        views = jnp.einsum("mbf,mfd->mbd", features[positives], maps)

        def own(*rows: Array) -> Array:
            return weight * info_nce(*rows, temperature=temperature)

        found = jax.vmap(own)(views, rows_of(table, positives), positives)
        return total + jnp.sum(found), terms | {"contrast": jnp.mean(found)}

    return with_items_loss(with_map(model, features.shape[1]), loss)


def with_cold(model: Model, fill: Callable[[Tables], Tables]) -> Model:
    """The model whose cold items have the vectors that `fill` makes of those of all items."""

    def embed(params: Params, inputs: Inputs, held: Held) -> Representation:
        table = held.average["items"]["item_embedding"]
        table = jnp.where(inputs.trained[None, :, None], table, fill(table))
        average = with_table(held.average, table)
        return model.embed(params, every_item(inputs), held._replace(average=average))

    return model._replace(embed=embed)


def ridge(features: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The matrices [items, f], [f, items] whose product regresses vectors on features.

    The vectors are to have a mean, by these weights [items], of 0.
    """
    weighed = features * weights[:, None]
    gram = weighed.T @ features + PENALTY * np.eye(features.shape[1])
    return features, np.linalg.solve(gram, weighed.T)


def distilled_ridge(model: Model, config: Config, dataset: Dataset) -> Model:
    """A cold item's vector is what a ridge regression of the others on the features gives.

    An item counts by its evidence, up to a bound.
    """
    content_of(model)
    weights = np.minimum(evidence(dataset), MOST_EVIDENCE)
    left, right = map(jnp.float32, ridge(features_of(config, dataset), weights))
    shares = jnp.float32(weights / weights.sum())

    def fill(table: Tables) -> Tables:
        mean = jnp.einsum("i,mid->md", shares, table)[:, None, :]
        return mean + jnp.einsum("if,fj,mjd->mid", left, right, table - mean)

    return with_cold(model, fill)
