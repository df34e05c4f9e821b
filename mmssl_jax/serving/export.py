"""Writes what a run recommends: vectors and lists."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import checksums
from mmssl_jax.files.new_folder import new_folder
from mmssl_jax.models.model import Model, dot_scores
from mmssl_jax.ranking import fallback, ranked_lists
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.serving import export_files, options
from mmssl_jax.training import results
from mmssl_jax.training.session import Trained

FORMATS = ("npz", "parquet", "tsv")
MAX_ID_BYTES = 1 << 32  # numpy stores all ids as long as the longest


def export(
    trained: Trained,
    folder: pathlib.Path,
    *,
    top: int | None = None,
    kind: str = FORMATS[0],
    exclude_known: str | None = None,
    also: Sequence[str] = (),
    scores: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Writes vectors.npz (for models that have vectors), lists.<kind> and export.json.

    Args:
      trained: the run.
      folder: new or empty.
      top: items for each user; None is 20.
      kind: one of `FORMATS`, of the lists.
      exclude_known: a rule of `options.LEFT_OUT`; None is by the data.
      also: what else is written, of `export_files.ALSO`.
      scores: what results.json says, for a model card; None where there is none.
      say: is told what is written.

    Raises:
      InputError: the folder cannot be written, a rule is unknown, or `also` has what it lacks.
    """
    export_files.check(also)
    config, dataset, model = trained.config, trained.dataset, trained.model
    rule = options.known_rule(exclude_known, dataset)
    top = ranked_lists.length(top, 20, dataset)
    representation = trained.representation()
    allowed, unscored = options.scored_items(None, model.scores_cold_items, dataset)
    left_out = options.known_pairs(rule, dataset)
    lists = _ranked(trained, representation, top, left_out, allowed)
    vectors = vectors_of(model, representation, dataset)
    about = results.about_run(config, dataset, model)
    about |= {"best_epoch": trained.epoch, "top": top}
    about |= {"exclude_known": rule, "unscored_items": unscored}
    ids = ranked_lists.user_and_item_ids(dataset)

    def write_others(partial: pathlib.Path) -> None:
        export_files.write(
            partial, also, trained, representation, vectors, ids, about, scores or {}
        )

    _write(folder, kind, lists, vectors, ids, about, write_others)
    say(f"{folder / f'lists.{kind}'}: the best {top} items for each of {dataset.num_users} users")
    others = [f"{folder}: also {', '.join(also)}"] if also else []
    for line in (*_said(folder, about, vectors), *others):
        say(line)


def _ranked(
    trained: Trained,
    representation: Any,
    top: int,
    left_out: csr_array | None,
    allowed: np.ndarray | None,
) -> RankedLists:
    """The lists of all users."""
    return ranked_lists.rank(
        representation,
        trained.model.score,
        np.arange(trained.dataset.num_users),
        top,
        left_out,
        trained.config.evaluation.user_block,
        trained.dataset,
        allowed,
    )


def _said(
    folder: pathlib.Path, about: Mapping[str, Any], vectors: Mapping[str, np.ndarray]
) -> list[str]:
    """What was left out of the lists, and which vectors were written."""
    model, unscored = about["model"], about["unscored_items"]
    told = f"no vectors, as the scores of {model} are no inner products"
    if vectors:
        width = vectors["users"].shape[1]
        told = f"{folder / 'vectors.npz'}: {width} numbers for every user and item"
    lines = [options.LEFT_OUT[about["exclude_known"]]]
    lines += [options.said_of_unscored(unscored, model)] if unscored else []
    return [*lines, told]


def vectors_of(model: Model, representation: Any, dataset: Dataset) -> dict[str, np.ndarray]:
    """Vectors of users and items whose inner products are a model's scores; none where none are.

    Those of users without a training pair are zero.
    """
    if model.score is not dot_scores:
        return {}
    users, items = map(np.asarray, representation)
    trained = fallback.fallback(dataset.train).trained
    return {"users": np.where(trained[:, None], users, 0), "items": items, "known_users": trained}


def _write(
    folder: pathlib.Path,
    kind: str,
    lists: RankedLists,
    vectors: Mapping[str, np.ndarray],
    ids: tuple[Sequence[str], Sequence[str]],
    about: Mapping[str, Any],
    write_others: Callable[[pathlib.Path], None],
) -> None:
    """All files, or none."""
    try:
        with new_folder(folder) as partial:
            _write_lists(partial, kind, lists, ids)
            if vectors:
                _save(partial / "vectors.npz", ids, **vectors)
            (partial / "export.json").write_text(json.dumps(about, indent=2) + "\n")
            write_others(partial)
            checksums.write(partial, [path.name for path in partial.iterdir()])
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {folder}: {reason}") from error


def check_empty(folder: pathlib.Path, flag: str = "--to") -> None:
    """Raises InputError where the folder of a flag holds something."""
    try:
        occupied = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except (OSError, ValueError) as error:
        message = f"{flag} {str(folder)!a} cannot be used ({error}); name another folder"
        raise InputError(message) from error
    if occupied:
        raise InputError(f"{flag} {folder} exists and is not empty; name another folder")


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
