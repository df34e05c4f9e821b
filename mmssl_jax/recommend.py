"""Prints what a run recommends to some users: python -m mmssl_jax.recommend --help"""

import difflib
from collections.abc import Sequence

import jax
import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mmssl_jax import cli, command, files, ranked_lists, results, training
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.ranked_lists import RankedLists

USAGE = """usage: python -m mmssl_jax.recommend --config FILE --users ID[,ID...] [--workdir DIR]
           [--top N] [--include-seen] [--json FILE]

  --config FILE     the config that the run was trained with
  --users ID,...    raw ids, or indices where the data has no raw ids
  --workdir DIR     the run's folder (default: runs/<config name>)
  --top N           items for each user (default: 10)
  --include-seen    a user's training items may be in the list
  --json FILE       also write the lists as JSON

The run's own config.json is used; only --config.data.path may be given on top.
"""

_FEW = 20_000  # among so many users, names that are like another are found at once


def main(argv: list[str]) -> None:
    """Prints the best items of the users asked for, with titles where they are known."""
    values = cli.parse(
        argv,
        USAGE,
        switches=("include-seen",),
        users="raw ids",
        top="items for each user",
        json="file to write the lists to",
    )
    if values["users"].value is None:
        raise InputError("no --users given; name one or more, with commas between")
    to_json = cli.path(values, "json")
    if to_json is not None:
        files.check_writable(to_json)
    config, dataset, run = cli.open_run(values, "recommend")
    top = ranked_lists.parse_top(values["top"].value, 10, dataset)
    users = find_users(values["users"].value, dataset)
    best_epoch, model, state = training.best_of_run(config, dataset, run)
    lists = ranked_lists.rank(
        jax.jit(model.embed)(state.params, model.inputs, state.held),
        model.score,
        users,
        top,
        None if values["include-seen"].value else dataset.train,
        config.evaluation.user_block,
        dataset,
    )
    found = described(users, lists, dataset)
    Console().print(_table(found, results.title(dataset, config, best_epoch)))
    if to_json is not None:
        files.write_json(to_json, found)


def find_users(text: str, dataset: Dataset) -> np.ndarray:
    """The indices of comma-separated ids, each once; InputError for an unknown one."""
    known, _ = ranked_lists.user_and_item_ids(dataset)
    index = {name: place for place, name in enumerate(known)}
    names = [text] if text in index else [name.strip() for name in text.split(",")]
    for name in names:
        if name in index:
            continue
        if dataset.user_ids is None:
            raise InputError(
                f"--users has {name[:60]!a}; the data has no raw ids, so users are numbers from 0 "
                f"to {len(known) - 1}"
            )
        close = difflib.get_close_matches(name, known, cutoff=0.7) if len(known) <= _FEW else []
        hint = f"; did you mean {' or '.join(ascii(each) for each in close)}?" if close else ""
        raise InputError(f"--users has {name[:60]!a}, which is no user of the data{hint}")
    return np.array(list(dict.fromkeys(index[name] for name in names)))


def described(users: np.ndarray, lists: RankedLists, dataset: Dataset) -> list[dict]:
    """The lists with raw ids, and titles where they are known, as JSON values."""
    user_ids, item_ids = ranked_lists.user_and_item_ids(dataset)
    titles: Sequence[str] | None = dataset.item_titles
    result = []
    for user, items, scores in zip(users.tolist(), *map(np.ndarray.tolist, lists), strict=True):
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
        result.append({"user_id": user_ids[user], "user": user, "items": entries})
    return result


def _table(found: list[dict], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    with_titles = any(entry["title"] for each in found for entry in each["items"])
    table.add_column("user")
    table.add_column("rank", justify="right")
    table.add_column("item")
    if with_titles:
        table.add_column("title")
    table.add_column("score", justify="right")
    for each in found:
        for entry in each["items"]:
            cells = [each["user_id"] if entry["rank"] == 1 else "", str(entry["rank"])]
            cells += [entry["item_id"], *([entry["title"]] if with_titles else [])]
            table.add_row(*map(_shown, cells), f"{entry['score']:.4f}")
        table.add_section()
    return table


def _shown(text: str) -> Text:
    """Text of a file as it may go to a terminal."""
    return Text("".join(character for character in text if character.isprintable()))


if __name__ == "__main__":
    command.run(main)
