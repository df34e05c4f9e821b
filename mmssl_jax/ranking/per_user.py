"""Scores user by user, as a table that goes into any tool of statistics."""

import io
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.ranking import groups, ranked_lists
from mmssl_jax.ranking.full_ranking import Ranking

# The columns that say of whom a row is; those after them are metrics.
ABOUT = ("split", "user_id", "user", "training_pairs", "quartile", "group", "truth")


def table(
    rankings: Mapping[str, Ranking], dataset: Dataset, cutoffs: Sequence[int]
) -> pl.DataFrame:
    """A row for every ranked user of every split.

    Its columns are: split; user_id, the raw id; user, the index; training_pairs; quartile and
    group of `groups.members`, the first of them null for a cold user; truth, how many items there
    are to be found; and every metric at every cutoff, such as recall@20.
    """
    user_ids, _ = ranked_lists.user_and_item_ids(dataset)
    pairs = dataset.user_degrees
    inside = groups.members(pairs)
    of_user = {
        "quartile": _names(groups.QUARTILES, inside, len(pairs)),
        "group": _names(tuple(groups.FIXED), inside, len(pairs)),
    }
    every = []
    for split, ranking in rankings.items():
        users = ranking.users
        columns = {
            "split": pl.repeat(split, len(users), dtype=pl.String, eager=True),
            "user_id": pl.Series(user_ids, dtype=pl.String).gather(users),
            "user": users.astype(np.int32),
            "training_pairs": pairs[users].astype(np.int32),
            **{name: names.gather(users) for name, names in of_user.items()},
            "truth": np.asarray(ranking.places.truth_sizes).astype(np.int32),
        }
        scores = pl.DataFrame(ranking.per_user(cutoffs))
        every.append(pl.DataFrame(columns).select(ABOUT).hstack(scores))
    return pl.concat(every)


def _names(names: Sequence[str], inside: Mapping[str, np.ndarray], count: int) -> pl.Series:
    """The name of the group that each user is in, null for none."""
    place = np.full(count, len(names))
    for index, name in enumerate(names):
        place[inside[name]] = index
    return pl.Series([*names, None], dtype=pl.String).gather(place)


def check_writable(path: pathlib.Path) -> None:
    """Raises InputError where `write` would, before any work is done."""
    if path.suffix != ".parquet":
        raise InputError(f"--per-user {path}: is written as Parquet; give a name with .parquet")
    atomic.check_writable(path)


def write(path: pathlib.Path, frame: pl.DataFrame) -> None:
    """Writes the table as Parquet, whole or not at all."""
    content = io.BytesIO()
    frame.write_parquet(content)
    atomic.write_bytes(path, content.getvalue())
