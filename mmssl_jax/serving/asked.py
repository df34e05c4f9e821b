"""Who gets lists: users of the data, a new one by the items that he has, or items themselves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from scipy.sparse import csr_array

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.models import Model
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.ranking.fallback import Fallback, fallback
from mmssl_jax.ranking.full_ranking import ScoreFn
from mmssl_jax.serving import options

TAKE_HISTORY = "ease, popularity, hybrid and lightgcn"  # tests hold it to the models


class Asked(NamedTuple):
    """Who gets lists."""

    score: ScoreFn
    users: np.ndarray  # rows of `owned`, and what `score` takes
    owned: csr_array | None  # pairs that are left out
    stand_in: Fallback  # for those of whom the model knows nothing
    about: list[dict[str, Any]]  # each of them, as JSON values


def of_users(users: np.ndarray, model: Model, rule: str, dataset: Dataset) -> Asked:
    """Users of the data, by their indices."""
    ids, _ = ranked_lists.user_and_item_ids(dataset)
    stand_in = fallback(dataset.train)
    about = [
        {"user_id": ids[user], "user": user, "known": bool(stand_in.trained[user])}
        for user in users.tolist()
    ]
    owned = options.known_pairs(rule, dataset)
    return Asked(model.score, users, owned, stand_in, about)


def of_history(items: np.ndarray, model: Model, rule: str, dataset: Dataset) -> Asked:
    """A user who is not in the data but has these items; InputError where no score is defined."""
    score_history = check_history(model)
    _, ids = ranked_lists.user_and_item_ids(dataset)
    history = [ids[item] for item in items.tolist()]
    ones = np.ones(len(items), np.float32)
    owned = csr_array((ones, items, [0, len(items)]), shape=(1, dataset.num_items))
    popularity = fallback(dataset.train).scores
    have = jnp.asarray(items, jnp.int32)
    # Of items that nobody had, a model knows nothing but by their features.
    known = model.scores_cold_items or bool(popularity[items].any())
    return Asked(
        score=lambda representation, users: score_history(representation, have)[None, :],
        users=np.zeros(1, np.int32),
        owned=None if rule == "none" else owned,
        stand_in=Fallback(np.array([known]), popularity),
        about=[{"user_id": None, "user": None, "known": known, "history": history}],
    )


def of_items(items: np.ndarray, model: Model, dataset: Dataset) -> Asked:
    """Items of the data, by their indices: they get the items that are most like them.

    Raises:
      InputError: the model cannot say which are alike, or knows nothing of one of them.
    """
    _, ids = ranked_lists.user_and_item_ids(dataset)
    counts = fallback(dataset.train).scores
    (similar, *_) = (check_similar(item, model, counts) for item in items.tolist())
    ones = np.ones(len(items), np.float32)
    themselves = (ones, (np.arange(len(items)), items))
    have = jnp.asarray(items, jnp.int32)
    return Asked(
        score=lambda representation, places: similar(representation, have[places]),
        users=np.arange(len(items), dtype=np.int32),
        owned=csr_array(themselves, shape=(len(items), dataset.num_items)),
        stand_in=Fallback(np.ones(len(items), bool), counts),
        about=[{"similar_to": ids[item], "item": item, "known": True} for item in items.tolist()],
    )


def check_history(model: Model) -> Callable[[Any, Array], Array]:
    """The `score_history` of a model; InputError where it has none."""
    if model.score_history is None:
        raise InputError(
            "this model has scores only for the users that it was trained on, and none for a "
            f"--history; {TAKE_HISTORY} have"
        )
    return model.score_history


def check_similar(item: int, model: Model, counts: np.ndarray) -> Callable[[Any, Array], Array]:
    """The `similar` of a model; InputError where it has none, or knows nothing of an item.

    Args:
      item: its index.
      model: the model.
      counts: training pairs of every item.
    """
    if model.similar is None:
        raise InputError("this model knows nothing by which items are alike; choose another run")
    if not (model.scores_cold_items or counts[item]):
        raise InputError(
            f"item {item} (by its place in the data) has no training pair, so this model knows "
            "nothing by which others are like it"
        )
    return model.similar
