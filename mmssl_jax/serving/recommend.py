"""Prints what a run recommends to some users: mmssl recommend --help"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text
from scipy.sparse import csr_array

from mmssl_jax import training
from mmssl_jax.commands import cli, running
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.models import Model
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.ranking.fallback import Fallback, fallback
from mmssl_jax.ranking.full_ranking import ScoreFn
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.serving import options
from mmssl_jax.training import results

USAGE = """usage: mmssl recommend --config FILE --users ID[,ID...] [--workdir DIR]
           [--top N] [--exclude ID,...] [--only ID,...]
           [--exclude-known all|train|none] [--json FILE]
       mmssl recommend --config FILE --history ID[,ID...] ...

  --config FILE     the config that the run was trained with
  --users ID,...    raw ids, or indices where the data has no raw ids
  --history ID,...  instead of --users: the items of one new user (EASE and popularity)
  --workdir DIR     the run's folder (default: runs/<config name>)
  --top N           items for each user (default: 10)
  --exclude ID,...  items that are in no list
  --only ID,...     only these items are ranked
  --exclude-known RULE
                    what a list leaves out: all, a user's items of train, val and test (the
                    default); train, those of training alone; or none (the default where
                    pairs return)
  --json FILE       also write the lists as JSON

The run's own config.json is used; only --config.data.path may be given on top.
"""


class Asked(NamedTuple):
    """Who gets lists: users of the data, or one that is known by his items alone."""

    score: ScoreFn
    users: np.ndarray  # rows of `owned`, and what `score` takes
    owned: csr_array | None  # pairs that are left out
    stand_in: Fallback  # for those of whom the model knows nothing
    about: list[dict[str, Any]]  # each of them, as JSON values


def main(argv: list[str]) -> None:
    """Prints the best items of the users asked for, with titles where they are known."""
    values = cli.parse(
        argv,
        USAGE,
        users="raw ids",
        history="raw ids of items",
        top="items for each user",
        exclude="raw ids of items",
        only="raw ids of items",
        json="file to write the lists to",
        **{"exclude-known": "all, train or none"},
    )
    users, history = values["users"].value, values["history"].value
    if users is None and history is None:
        raise InputError(
            "no --users given; name one or more, with commas between, or give --history, the "
            "items of a new user"
        )
    if users is not None and history is not None:
        raise InputError("--users are in the data, --history is of a new user; give one of them")
    to_json = cli.path(values, "json")
    if to_json is not None:
        atomic.check_writable(to_json)
    config, dataset, run = cli.open_run(values, "recommend")
    rule = options.known_rule(values["exclude-known"].value, dataset)
    top = ranked_lists.parse_top(values["top"].value, 10, dataset)
    allowed = options.allowed_items(values["only"].value, values["exclude"].value, dataset)
    flag, text, kind = ("--users", users, "user") if users else ("--history", history, "item")
    found = options.find(flag, text, kind, dataset)
    best_epoch, model, state = training.best_of_run(config, dataset, run)
    allowed, unscored = options.scored_items(allowed, model.scores_cold_items, dataset)
    asked = (of_users if users else of_history)(found, model, rule, dataset)
    lists = ranked_lists.rank(
        jax.jit(model.embed)(state.params, model.inputs, state.held),
        asked.score,
        asked.users,
        top,
        asked.owned,
        config.evaluation.user_block,
        dataset,
        allowed,
        asked.stand_in,
    )
    found = described(asked.about, lists, dataset)
    lines = (
        results.title(dataset, config, best_epoch),
        options.LEFT_OUT[rule],
        options.said_of_unscored(unscored, config.model.name),
    )
    Console().print(_table(found, "\n".join(filter(None, lines))))
    if to_json is not None:
        atomic.write_json(to_json, found)


def of_users(users: np.ndarray, model: Model, rule: str, dataset: Dataset) -> Asked:
    """Users of the data, by their indices."""
    ids, _ = ranked_lists.user_and_item_ids(dataset)
    stand_in = fallback(dataset.train)
    about = [
        {"user_id": ids[user], "user": user, "known": bool(stand_in.known[user])}
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
            "--history; ease and popularity have"
        )
    _, ids = ranked_lists.user_and_item_ids(dataset)
    history = [ids[item] for item in items.tolist()]
    ones = np.ones(len(items), np.float32)
    owned = csr_array((ones, items, [0, len(items)]), shape=(1, dataset.num_items))
    popularity = fallback(dataset.train).scores
    known = bool(popularity[items].any())  # of items that nobody had, a model knows nothing
    return Asked(
        score=lambda representation, users: score_history(representation, items)[None, :],
        users=np.zeros(1, np.int32),
        owned=None if rule == "none" else owned,
        stand_in=Fallback(np.array([known]), popularity),
        about=[{"user_id": None, "user": None, "known": known, "history": history}],
    )


def described(about: list[dict], lists: RankedLists, dataset: Dataset) -> list[dict]:
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


def _table(found: list[dict], title: str) -> Table:
    unknown = sum(not each["known"] for each in found)
    note = f"* by popularity: {unknown} without a training pair, of whom no model knows anything"
    table = Table(
        title=title,
        title_justify="left",
        caption=note if unknown else None,
        caption_justify="left",
    )
    with_titles = any(entry["title"] for each in found for entry in each["items"])
    table.add_column("user")
    table.add_column("rank", justify="right")
    table.add_column("item")
    if with_titles:
        table.add_column("title")
    table.add_column("score", justify="right")
    for each in found:
        who = ("(new)" if each["user_id"] is None else each["user_id"]) + " *" * (not each["known"])
        if not each["items"]:
            table.add_row(_shown(who), "-", "no item is left")
        for entry in each["items"]:
            cells = [who if entry["rank"] == 1 else "", str(entry["rank"])]
            cells += [entry["item_id"], *([entry["title"]] if with_titles else [])]
            table.add_row(*map(_shown, cells), f"{entry['score']:.4f}")
        table.add_section()
    return table


def _shown(text: str) -> Text:
    """Text of a file as it may go to a terminal."""
    return Text("".join(character for character in text if character.isprintable()))


if __name__ == "__main__":
    running.run(main)
