"""What a run recommends to some users."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from rich.table import Table
from rich.text import Text
from scipy.sparse import csr_array

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.models import Model
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.ranking.fallback import Fallback, fallback
from mmssl_jax.ranking.full_ranking import ScoreFn
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.serving import ids, options
from mmssl_jax.serving.ids import Ids
from mmssl_jax.training import results
from mmssl_jax.training.session import Trained

TAKE_HISTORY = "ease, popularity and hybrid"  # tests hold it to the models


class Asked(NamedTuple):
    """Who gets lists: users of the data, or one that is known by his items alone."""

    score: ScoreFn
    users: np.ndarray  # rows of `owned`, and what `score` takes
    owned: csr_array | None  # pairs that are left out
    stand_in: Fallback  # for those of whom the model knows nothing
    about: list[dict[str, Any]]  # each of them, as JSON values


class Recommended(NamedTuple):
    """Lists, and what they are."""

    lists: list[dict[str, Any]]  # one a user, as JSON values
    title: str


def recommend(
    trained: Trained,
    *,
    users: Ids | None = None,
    history: Ids | None = None,
    top: int | None = None,
    exclude: Ids | None = None,
    only: Ids | None = None,
    exclude_known: str | None = None,
) -> Recommended:
    """The best items of users of the data, or of a new one; `ids.Ids` says what ids are.

    Args:
      trained: the run.
      users: ids of users.
      history: instead of users, ids of the items that one new user has.
      top: items for each user; None is 10.
      exclude: ids of items that are in no list.
      only: ids of items; no others are ranked.
      exclude_known: a rule of `options.LEFT_OUT`; None is by the data.

    Raises:
      InputError: an id or a rule is unknown, or the model cannot score a history.
    """
    flag, given, kind = _who(users, history)
    config, dataset, model = trained.config, trained.dataset, trained.model
    rule = options.known_rule(exclude_known, dataset)
    top = ranked_lists.length(top, 10, dataset)
    allowed = options.allowed_items(only, exclude, dataset)
    found = ids.find(flag, given, kind, dataset)
    allowed, unscored = options.scored_items(allowed, model.scores_cold_items, dataset)
    asked = (of_history if users is None else of_users)(found, model, rule, dataset)
    lists = ranked_lists.rank(
        trained.representation(),
        asked.score,
        asked.users,
        top,
        asked.owned,
        config.evaluation.user_block,
        dataset,
        allowed,
        asked.stand_in,
    )
    title = (
        results.title(dataset, config, trained.epoch),
        options.LEFT_OUT[rule],
        options.said_of_unscored(unscored, config.model.name),
    )
    return Recommended(described(asked.about, lists, dataset), "\n".join(filter(None, title)))


def _who(users: Ids | None, history: Ids | None) -> tuple[str, Ids, str]:
    """The flag that says who gets lists, its ids, and what they are of."""
    if users is not None and history is not None:
        raise InputError("--users are in the data, --history is of a new user; give one of them")
    if users is not None:
        return "--users", users, "user"
    if history is not None:
        return "--history", history, "item"
    raise InputError(
        "no --users given; name one or more, with commas between, or give --history, the "
        "items of a new user"
    )


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
    score_history = model.score_history
    if score_history is None:
        raise InputError(
            "this model has scores only for the users that it was trained on, and none for a "
            f"--history; {TAKE_HISTORY} have"
        )
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


def described(
    about: list[dict[str, Any]], lists: RankedLists, dataset: Dataset
) -> list[dict[str, Any]]:
    """The lists with raw ids, and titles where they are known, as JSON values."""
    _, item_ids = ranked_lists.user_and_item_ids(dataset)
    titles: Sequence[str] | None = dataset.item_titles
    result = []
    for each, items, scores in zip(about, *map(np.ndarray.tolist, lists), strict=True):
        left = [(item, score) for item, score in zip(items, scores, strict=True) if item >= 0]
        entries = [
            {
                "rank": rank,
                "item_id": item_ids[item],
                "item": item,
                "title": titles[item] if titles else None,
                "score": score,
            }
            for rank, (item, score) in enumerate(left, start=1)
        ]
        result.append(each | {"items": entries})
    return result


def table(recommended: Recommended) -> Table:
    """The lists, for a terminal."""
    found, title = recommended
    unknown = sum(not each["known"] for each in found)
    note = f"* by popularity: {unknown} without a training pair, of whom no model knows anything"
    result = Table(
        title=title,
        title_justify="left",
        caption=note if unknown else None,
        caption_justify="left",
    )
    with_titles = any(entry["title"] for each in found for entry in each["items"])
    result.add_column("user")
    result.add_column("rank", justify="right")
    result.add_column("item")
    if with_titles:
        result.add_column("title")
    result.add_column("score", justify="right")
    for each in found:
        who = ("(new)" if each["user_id"] is None else each["user_id"]) + " *" * (not each["known"])
        if not each["items"]:
            result.add_row(_shown(who), "-", "no item is left")
        for entry in each["items"]:
            cells = [who if entry["rank"] == 1 else "", str(entry["rank"])]
            cells += [entry["item_id"], *([entry["title"]] if with_titles else [])]
            result.add_row(*map(_shown, cells), f"{entry['score']:.4f}")
        result.add_section()
    return result


def _shown(text: str) -> Text:
    """Text of a file as it may go to a terminal."""
    return Text("".join(character for character in text if character.isprintable()))
