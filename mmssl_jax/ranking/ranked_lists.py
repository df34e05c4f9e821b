"""The best items for any users, ranked as in evaluation. Used by export and recommend."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.ranking.fallback import Fallback, fallback
from mmssl_jax.ranking.full_ranking import ScoreFn
from mmssl_jax.ranking.metrics import OnEither


class RankedLists(NamedTuple):
    """Items and scores, the best first, of equal scores the first in `Dataset.tie_order`.

    Where a user has fewer than `top` items left, the rest is item -1 with score -inf.
    """

    items: np.ndarray  # int32 [users, top]
    scores: np.ndarray  # float32 [users, top]


def rank(
    representation: Any,
    score: ScoreFn,
    users: np.ndarray,
    top: int,
    left_out: scipy.sparse.csr_array | None,
    user_block: int,
    dataset: Dataset,
    allowed: np.ndarray | None = None,
    stand_in: Fallback | None = None,
) -> RankedLists:
    """The `top` best items of each user; those without a training pair get the fallback's.

    Args:
      representation: what `score` needs, from the model's `embed`.
      score: the model's.
      users: indices [n], each once.
      top: the length of the lists; at most the number of items.
      left_out: pairs [users, items] that are in no list, such as those of training; None for none.
      user_block: users ranked at a time.
      dataset: what the model was trained on.
      allowed: bool [items], whether an item may be in a list at all; None allows all.
      stand_in: the users without a training pair, and their scores; None takes what `dataset` says.
    """
    order = jnp.asarray(dataset.tie_order, jnp.int32)
    stand_in = stand_in or fallback(dataset.train)
    found = []
    for count, padded, dropped in _blocks(users, left_out, min(user_block, len(users))):
        best, items = _best(
            representation,
            padded,
            stand_in.trained[padded],
            stand_in.scores,
            dropped,
            allowed,
            order,
            score=score,
            top=top,
        )
        found.append((np.asarray(items)[:count], np.asarray(best)[:count]))
    items, scores = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    left = scores > -np.inf
    return RankedLists(np.where(left, items, -1), scores)


def user_and_item_ids(dataset: Dataset) -> tuple[Sequence[str], Sequence[str]]:
    """Raw ids by index; where a data set has none, the index is the id."""
    users = dataset.user_ids or tuple(map(str, range(dataset.num_users)))
    return users, dataset.item_ids or tuple(map(str, range(dataset.num_items)))


def length(top: int | None, default: int, dataset: Dataset) -> int:
    """The length of lists that are asked for; InputError where there are not so many items."""
    if top is None:
        return min(default, dataset.num_items)
    if not 1 <= top <= dataset.num_items:
        raise InputError(
            f"--top is '{top}'; it must be a number from 1 to {dataset.num_items}, the items"
        )
    return top


def _blocks(
    users: np.ndarray, left_out: scipy.sparse.csr_array | None, block: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(how many, users [block], pairs left out) of every block, each padded to the same shapes."""
    parts = [users[start : start + block] for start in range(0, len(users), block)]
    pairs = [_pairs(left_out, part) for part in parts]
    most = max(map(len, pairs))
    for part, own in zip(parts, pairs, strict=True):
        padded = np.zeros(block, np.int32)
        padded[: len(part)] = part
        dropped = np.full((most, 2), block, np.int32)  # a row out of range is none
        dropped[: len(own)] = own
        yield len(part), padded, dropped


def _pairs(left_out: scipy.sparse.csr_array | None, users: np.ndarray) -> np.ndarray:
    """(row in the block, item) of what is left out for these users: int32 [pairs, 2]."""
    if left_out is None:
        return np.zeros((0, 2), np.int32)
    chosen = left_out[users].tocoo()
    return np.stack([chosen.row, chosen.col], axis=1).astype(np.int32)


@functools.partial(jax.jit, static_argnames=("score", "top"))
def _best(
    representation: Any,
    users: Int[OnEither, "block"],
    trained: Bool[OnEither, "block"],
    popularity: Float[OnEither, "items"],
    left_out: Int[OnEither, "pairs 2"],
    allowed: Bool[OnEither, "items"] | None,
    order: Int[OnEither, "items"],
    *,
    score: ScoreFn,
    top: int,
) -> tuple[Float[Array, "block top"], Int[Array, "block top"]]:
    """The best scores of a block of users and their items."""
    scores = score(representation, jnp.asarray(users))
    scores = jnp.where(trained[:, None], scores, popularity[None, :])
    scores = scores.at[left_out[:, 0], left_out[:, 1]].set(-jnp.inf, mode="drop")
    if allowed is not None:
        scores = jnp.where(allowed[None, :], scores, -jnp.inf)
    best, place = jax.lax.top_k(scores[:, order], top)  # of equal ones the first
    return best, order[place]
