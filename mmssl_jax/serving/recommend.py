"""What a run recommends to some users."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table
from rich.text import Text

from mmssl_jax.data import Dataset
from mmssl_jax.data.features import item_attributes
from mmssl_jax.errors import InputError
from mmssl_jax.models import Model
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.serving import asked, ids, options
from mmssl_jax.serving.ids import Ids
from mmssl_jax.serving.new_items import items_of
from mmssl_jax.training import results
from mmssl_jax.training.session import Trained


class Recommended(NamedTuple):
    """Lists, and what they are."""

    lists: list[dict[str, Any]]  # one a user, as JSON values
    title: str


def recommend(
    trained: Trained,
    *,
    users: Ids | None = None,
    history: Ids | None = None,
    similar_to: Ids | None = None,
    top: int | None = None,
    exclude: Ids | None = None,
    only: Ids | None = None,
    where: str | None = None,
    exclude_known: str | None = None,
    new_items: Path | None = None,
) -> Recommended:
    """The best items of users of the data, of a new one, or for items; `ids.Ids` says what ids are.

    Args:
      trained: the run.
      users: ids of users.
      history: instead of users, ids of the items that one new user has.
      similar_to: instead of users, ids of items: those most like them are listed.
      top: items for each user; None is 10.
      exclude: ids of items that are in no list.
      only: ids of items; no others are ranked.
      where: a condition on the items' attributes, as `where.matching` takes it.
      exclude_known: a rule of `options.LEFT_OUT`; None is by the data.
      new_items: a folder of items that came after training, as `layouts.new_items` reads it; they
        are ranked with the others.

    Raises:
      InputError: an id, a rule or a column is unknown, or the model cannot do what is asked.
    """
    flag, given, kind = _who(users, history, similar_to)
    trained, attributes = items_of(trained, new_items)
    config, dataset, model = trained.config, trained.dataset, trained.model
    rule = options.known_rule(exclude_known, dataset)
    top = ranked_lists.length(top, 10, dataset)
    allowed = options.allowed_items(only, exclude, where, attributes, dataset)
    found = ids.find(flag, given, kind, dataset)
    allowed, unscored = options.scored_items(allowed, model.scores_cold_items, dataset)
    who = _asked(flag, found, model, rule, dataset)
    lists = _ranked(trained, who, top, allowed)
    title = (
        results.title(dataset, config, trained.epoch),
        "" if similar_to else options.LEFT_OUT[rule],
        options.said_of_unscored(unscored, config.model.name),
    )
    titles = attributes[item_attributes.TITLE].to_list()
    found_lists = described(who.about, lists, titles, dataset)
    return Recommended(found_lists, "\n".join(filter(None, title)))


def _ranked(
    trained: Trained, who: asked.Asked, top: int, allowed: np.ndarray | None
) -> RankedLists:
    return ranked_lists.rank(
        trained.representation(),
        who.score,
        who.users,
        top,
        who.owned,
        trained.config.evaluation.user_block,
        trained.dataset,
        allowed,
        who.stand_in,
    )


def _who(users: Ids | None, history: Ids | None, similar_to: Ids | None) -> tuple[str, Ids, str]:
    """The flag that says who gets lists, its ids, and what they are of."""
    if users is not None and history is not None:
        raise InputError("--users are in the data, --history is of a new user; give one of them")
    if similar_to is not None and (users is not None or history is not None):
        raise InputError("--similar-to lists what is like items, whoever asks; give it alone")
    if users is not None:
        return "--users", users, "user"
    if history is not None:
        return "--history", history, "item"
    if similar_to is not None:
        return "--similar-to", similar_to, "item"
    raise InputError(
        "no --users given; name one or more, with commas between, or give --history, the "
        "items of a new user, or --similar-to"
    )


def _asked(flag: str, found: np.ndarray, model: Model, rule: str, dataset: Dataset) -> asked.Asked:
    if flag == "--users":
        return asked.of_users(found, model, rule, dataset)
    if flag == "--history":
        return asked.of_history(found, model, rule, dataset)
    return asked.of_items(found, model, dataset)


def described(
    about: list[dict[str, Any]],
    lists: RankedLists,
    titles: Sequence[str | None],
    dataset: Dataset,
) -> list[dict[str, Any]]:
    """The lists with raw ids, and titles where they are known, as JSON values."""
    _, item_ids = ranked_lists.user_and_item_ids(dataset)
    result = []
    for each, items, scores in zip(about, *map(np.ndarray.tolist, lists), strict=True):
        left = [(item, score) for item, score in zip(items, scores, strict=True) if item >= 0]
        entries = [
            {
                "rank": rank,
                "item_id": item_ids[item],
                "item": item,
                "title": titles[item],
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
    result.add_column("similar to" if "similar_to" in found[0] else "user")
    result.add_column("rank", justify="right")
    result.add_column("item")
    if with_titles:
        result.add_column("title")
    result.add_column("score", justify="right")
    for each in found:
        who = _name(each) + " *" * (not each["known"])
        if not each["items"]:
            result.add_row(_shown(who), "-", "no item is left")
        for entry in each["items"]:
            cells = [who if entry["rank"] == 1 else "", str(entry["rank"])]
            cells += [entry["item_id"], *([entry["title"] or ""] if with_titles else [])]
            result.add_row(*map(_shown, cells), f"{entry['score']:.4f}")
        result.add_section()
    return result


def _name(entry: dict[str, Any]) -> str:
    """Who gets a list."""
    if "similar_to" in entry:
        return str(entry["similar_to"])
    return "(new)" if entry["user_id"] is None else str(entry["user_id"])


def _shown(text: str) -> Text:
    """Text of a file as it may go to a terminal."""
    return Text("".join(character for character in text if character.isprintable()))
