"""Writes what a run recommends: vectors and lists."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import polars as pl

from mmssl_jax import training
from mmssl_jax.commands import cli, running
from mmssl_jax.errors import InputError
from mmssl_jax.files.new_folder import new_folder
from mmssl_jax.models.model import dot_scores
from mmssl_jax.ranking import fallback, ranked_lists
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.serving import options
from mmssl_jax.training import results

USAGE = """usage: mmssl export --config FILE --to FOLDER [--workdir DIR]
           [--top N] [--format npz|parquet|tsv]
           [--exclude-known all|train|none]

  --config FILE     the config that the run was trained with
  --to FOLDER       where vectors and lists are written; must be new or empty
  --workdir DIR     the run's folder (default: runs/<config name>)
  --top N           items for each user (default: 20)
  --format NAME     of the lists: npz, parquet or tsv (default: npz)
  --exclude-known RULE
                    what a list leaves out: all, a user's items of train, val and test (the
                    default); train, those of training alone; or none (the default where
                    pairs return)

The run's own config.json is used; only --config.data.path may be given on top.
"""

FORMATS = ("npz", "parquet", "tsv")
MAX_ID_BYTES = 1 << 32  # numpy stores all ids as long as the longest


def main(argv: list[str]) -> None:
    """Writes vectors.npz (for models that have vectors), lists.<format> and export.json."""
    values = cli.parse(
        argv,
        USAGE,
        to="folder to write to",
        top="items for each user",
        format="of the lists",
        **{"exclude-known": "all, train or none"},
    )
    kind = values["format"].value or FORMATS[0]
    if kind not in FORMATS:
        raise InputError(f"--format is {kind!r}; it must be one of {', '.join(FORMATS)}")
    folder = cli.path(values, "to")
    if folder is None:
        raise InputError("no --to given; name a folder for what is exported")
    _check_empty(folder)
    config, dataset, run = cli.open_run(values, "export")
    rule = options.known_rule(values["exclude-known"].value, dataset)
    top = ranked_lists.parse_top(values["top"].value, 20, dataset)
    best_epoch, model, state = training.best_of_run(config, dataset, run)
    representation = jax.jit(model.embed)(state.params, model.inputs, state.held)
    allowed, unscored = options.scored_items(None, model.scores_cold_items, dataset)
    lists = ranked_lists.rank(
        representation,
        model.score,
        np.arange(dataset.num_users),
        top,
        options.known_pairs(rule, dataset),
        config.evaluation.user_block,
        dataset,
        allowed,
    )
    ids = ranked_lists.user_and_item_ids(dataset)
    vectors = None
    if model.score is dot_scores:
        users, items = map(np.asarray, representation)
        known = fallback.fallback(dataset.train).known
        vectors = {
            "users": np.where(known[:, None], users, 0),
            "items": items,
            "known_users": known,
        }
    about = results.about_run(config, dataset, model)
    about |= {"best_epoch": best_epoch, "top": top, "exclude_known": rule}
    about["unscored_items"] = unscored
    try:
        with new_folder(folder) as partial:
            _write_lists(partial, kind, lists, ids)
            if vectors:
                _save(partial / "vectors.npz", ids, **vectors)
            (partial / "export.json").write_text(json.dumps(about, indent=2) + "\n")
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {folder}: {reason}") from error
    print(f"{folder / f'lists.{kind}'}: the best {top} items for each of {dataset.num_users} users")
    print(options.LEFT_OUT[rule])
    if unscored:
        print(options.said_of_unscored(unscored, config.model.name))
    if vectors:
        width = vectors["users"].shape[1]
        print(f"{folder / 'vectors.npz'}: {width} numbers for every user and item")
    else:
        print(f"no vectors, as the scores of {config.model.name} are no inner products")


def _check_empty(folder: pathlib.Path) -> None:
    """Raises InputError where the folder of --to holds something."""
    try:
        occupied = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except (OSError, ValueError) as error:
        message = f"--to {str(folder)!a} cannot be used ({error}); name another folder"
        raise InputError(message) from error
    if occupied:
        raise InputError(f"--to {folder} exists and is not empty; name another folder")


def _write_lists(
    folder: pathlib.Path, kind: str, lists: RankedLists, ids: tuple[Sequence[str], Sequence[str]]
) -> None:
    if kind == "npz":
        _save(folder / "lists.npz", ids, **lists._asdict())
        return
    frame = table(lists, *ids)
    if kind == "parquet":
        frame.write_parquet(folder / "lists.parquet")
    else:
        frame.write_csv(folder / "lists.tsv", separator="\t")


def table(lists: RankedLists, user_ids: Sequence[str], item_ids: Sequence[str]) -> pl.DataFrame:
    """The lists of all users as rows: user_id, user, rank from 1, item_id, item, score."""
    left = lists.items >= 0
    users, ranks = (place.astype(np.int32) for place in np.nonzero(left))
    items = lists.items[left]
    return pl.DataFrame(
        {
            "user_id": pl.Series(user_ids, dtype=pl.String).gather(users),
            "user": users,
            "rank": ranks + 1,
            "item_id": pl.Series(item_ids, dtype=pl.String).gather(items),
            "item": items,
            "score": lists.scores[left],
        }
    )


def _save(path: pathlib.Path, ids: tuple[Sequence[str], Sequence[str]], **arrays: Any) -> None:
    """An npz file of arrays, with the raw ids as `user_ids` and `item_ids`."""
    for each in ids:
        if 4 * len(each) * max(map(len, each)) > MAX_ID_BYTES:
            raise InputError(
                f"{path.name}: a raw id has {max(map(len, each))} characters, and npz makes all as "
                "long as the longest; shorten it"
            )
    user_ids, item_ids = map(np.array, ids)
    np.savez(path, **arrays, user_ids=user_ids, item_ids=item_ids)


if __name__ == "__main__":
    running.run(main)
