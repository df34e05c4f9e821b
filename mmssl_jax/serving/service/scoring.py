"""Ranks by a model's own scores, in shapes of which there are few, as each is compiled."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.models.model import Model

MOST_AT_ONCE = 64  # queries
SIZES, TOPS = (1, 8, MOST_AT_ONCE), (16, 128, 512)  # each pair of them is compiled once
HISTORIES = (8, 64, 1024)


def rankers(model: Model) -> dict[str, Any]:
    """Kind of query -> its ranking, compiled for each shape; for those that the model can answer.

    Made for each engine, so that what is compiled goes with it.
    """
    found: dict[str, Any] = {"user": model.score}
    if model.score_history is not None:
        found["history"] = jax.vmap(model.score_history, (None, 0))
    if model.similar is not None:
        found["item"] = model.similar
    return {
        kind: jax.jit(partial(_best, score=score), static_argnames="top")
        for kind, score in found.items()
    }


def _best(
    representation: Any,
    asked: Int[Array, "rows ..."],
    rows: Int[Array, "rows"],
    mask: Bool[Array, "rows items"],
    known: Bool[Array, "rows"],
    popularity: Float[Array, "items"],
    order: Int[Array, "items"],
    *,
    score: Any,
    top: int,
) -> tuple[Float[Array, "rows top"], Int[Array, "rows top"]]:
    """The best scores of each row and their items, as `ranked_lists.rank` has them."""
    scores = score(representation, asked)[rows]
    scores = jnp.where(known[:, None], scores, popularity[None, :])
    scores = jnp.where(mask, scores, -jnp.inf)
    best, place = jax.lax.top_k(scores[:, order], top)
    return best, order[place]


def distinct(
    kind: str, queries: Sequence[Any], size: int, num_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """What is scored, each once and then padding, and which row of it each query reads."""
    if kind == "history":
        histories = [query.history or () for query in queries]
        width = at_least(max(map(len, histories)), HISTORIES)
        padded = np.full((size, width), num_items, np.int32)
        for row, history in enumerate(histories):
            padded[row, : len(history)] = history
        return padded, np.arange(size)
    different, own = np.unique([getattr(query, kind) for query in queries], return_inverse=True)
    asked = np.zeros(size, np.int32)
    asked[: len(different)] = different
    rows = np.zeros(size, np.int64)
    rows[: len(own)] = own
    return asked, rows


def at_least(count: int, sizes: Sequence[int]) -> int:
    return next((size for size in sizes if size >= count), count)
