"""Ideas that were tried to improve the hybrid, and are not in the product.

An idea takes the hybrid, its config and the data set whose features are prepared, and gives the
changed model. All change the item vectors or the content; LightGCN stays as it is. `python -m
benchmarks.ideas` trains them.
"""

from collections.abc import Callable
from functools import partial

from benchmarks.ideas import content_graphs, features, pairs
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.models import Model

Idea = Callable[[Model, Config, Dataset], Model]


def as_it_is(model: Model, config: Config, dataset: Dataset) -> Model:
    """The hybrid itself."""
    del config, dataset
    return model


IDEAS: dict[str, Idea] = {
    "none": as_it_is,
    "hard_negatives": partial(pairs.hard_negatives, count=4),
    "more_negatives": partial(pairs.more_negatives, count=8),
    "users_by_square_root": partial(pairs.users_by_degree, power=0.5),
    "users_by_fourth_root": partial(pairs.users_by_degree, power=0.25),
    "item_weights": partial(pairs.item_weights, power=0.25),
    "content_in_vectors": partial(features.in_vectors, dropped=0.3, cold=False),
    "content_in_vectors_cold": partial(features.in_vectors, dropped=0.3, cold=True),
    "contrast_.01": partial(features.contrast, weight=0.01, temperature=0.2),
    "contrast_.1": partial(features.contrast, weight=0.1, temperature=0.2),
    "distilled_ridge": features.distilled_ridge,
    "smoothed": partial(content_graphs.smoothed, weight=0.3),
    "separate_modalities": content_graphs.separate_modalities,
    "linear_content": content_graphs.linear_content,
}
