"""Where a run puts the items: as vectors, on a map of two dimensions, and beside which others.

The vectors are the run's item embeddings, if its scores are inner products with them. For other
models an item's vector is made of the scores that a sample of users gives it; so items are near
each other that the same users are recommended.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmssl_jax.data import Dataset
from mmssl_jax.models.model import Model, dot_scores
from mmssl_jax.ranking.fallback import fallback

EMBEDDINGS, SCORES = "item embeddings", "scores of a sample of users"
_USERS = 256  # whose scores stand for vectors


class ItemSpace(NamedTuple):
    """Where the items are.

    Attributes:
      vectors: float32 [items, d], of length 1; zero for an item of which the model knows nothing.
      known: bool [items], the others.
      made_of: `EMBEDDINGS` or `SCORES`.
    """

    vectors: np.ndarray
    known: np.ndarray
    made_of: str

    def neighbours(self, items: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest others of these items, and their cosines: [n, count] each, nearest first.

        Where there are fewer, the rest is item -1.
        """
        cosines = self.vectors[items] @ self.vectors.T
        cosines[:, ~self.known] = -np.inf
        cosines[np.arange(len(items)), items] = -np.inf
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
        found = np.take_along_axis(cosines, nearest, axis=1)
        return np.where(found > -np.inf, nearest, -1), found

    def map(self, items: np.ndarray) -> tuple[np.ndarray, float]:
        """The first two principal components of these items' vectors: [n, 2], and their share.

        The share is that of the variance which the map shows. Each axis points to where its
        farthest item is, so that the map does not depend on the signs that a solver chose.
        """
        vectors = self.vectors[items].astype(np.float64)
        centred = vectors - vectors.mean(axis=0)
        covariance = centred.T @ centred
        variances, directions = np.linalg.eigh(covariance)
        axes = directions[:, ::-1][:, :2]
        if axes.shape[1] < 2:
            axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
        places = centred @ axes
        farthest = np.abs(places).argmax(axis=0)
        places *= np.where(places[farthest, [0, 1]] < 0, -1, 1)
        total = variances.sum()
        return places, float(variances[::-1][:2].sum() / total) if total > 0 else 0.0


def of(model: Model, representation: Any, dataset: Dataset) -> ItemSpace:
    """The space of a run's items."""
    if model.score is dot_scores:
        vectors, made_of = np.asarray(representation[1], np.float32), EMBEDDINGS
    else:
        vectors, made_of = _by_scores(model, representation, dataset), SCORES
    known = dataset.item_degrees > 0
    if model.scores_cold_items:
        known = np.ones_like(known)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    known = known & (lengths[:, 0] > 0)
    return ItemSpace(
        np.where(known[:, None], vectors / np.maximum(lengths, 1e-12), 0), known, made_of
    )


def _by_scores(model: Model, representation: Any, dataset: Dataset) -> np.ndarray:
    """float32 [items, users of the sample]: each user's scores, centred and of one scale."""
    trained = np.flatnonzero(fallback(dataset.train).trained)
    count = min(_USERS, len(trained))
    users = trained[np.unique(np.linspace(0, len(trained) - 1, count).astype(np.int64))]
    score = jax.jit(model.score)
    scores = np.asarray(score(representation, jnp.asarray(users, jnp.int32)), np.float32)
    scores = scores - scores.mean(axis=1, keepdims=True)
    vectors: np.ndarray = (scores / np.maximum(scores.std(axis=1, keepdims=True), 1e-12)).T
    return vectors
