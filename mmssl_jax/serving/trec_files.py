"""What a run ranks in validation and test as TREC files, so that other programs can score it."""

import pathlib

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import checksums
from mmssl_jax.files.new_folder import new_folder
from mmssl_jax.ranking import candidates, ranked_lists
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.runs import processes
from mmssl_jax.training.results import SPLITS
from mmssl_jax.training.session import Trained


def check(dataset: Dataset) -> None:
    """Raises InputError for several processes, and for ids that `write` refuses."""
    if processes.several():
        raise InputError("--trec cannot be given with --distributed; give it to one process")
    _checked_ids(dataset)


def write(trained: Trained, folder: pathlib.Path) -> None:
    """Writes test.run, test.qrels, val.run and val.qrels; `check` says where it cannot.

    The lists are as long as the largest cutoff, of the candidates that `evaluate` ranks. Items with
    equal scores are put in the order of `Dataset.tie_order`, and their scores are parted by the
    smallest step of a float32, as trec_eval would put them in an order of its own.

    Raises:
      InputError: the folder cannot be written, or a raw id has a blank, which parts the fields of
        these files.
    """
    config, dataset = trained.config, trained.dataset
    ids = _checked_ids(dataset)
    representation = trained.representation()
    ranked = candidates.candidates(dataset, config.evaluation)
    try:
        with new_folder(folder) as partial:
            for split, truth in candidates.truths(dataset, config.evaluation, SPLITS).items():
                users = np.flatnonzero(np.diff(truth.indptr))
                lists = ranked_lists.rank(
                    representation,
                    trained.model.score,
                    users,
                    max(config.evaluation.cutoffs),
                    dataset.unranked,
                    config.evaluation.user_block,
                    dataset,
                    ranked,
                )
                run = _run(lists, users, *ids, f"mmssl_jax-{config.model.name}")
                _write(partial / f"{split}.run", run)
                _write(partial / f"{split}.qrels", _qrels(truth, *ids))
            checksums.write(partial, [path.name for path in partial.iterdir()])
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {folder}: {reason}") from error


def _checked_ids(dataset: Dataset) -> tuple[pl.Series, pl.Series]:
    """Raw ids of users and of items, without a blank."""
    known = ranked_lists.user_and_item_ids(dataset)
    users, items = (pl.Series(ids, dtype=pl.String) for ids in known)
    for kind, ids in (("user", users), ("item", items)):
        blank = ids.filter(ids.str.contains(r"\s") | (ids == ""))
        if len(blank):
            raise InputError(
                f"--trec cannot write the {kind} {blank[0][:60]!r}: blanks part the fields of TREC "
                "files; give --per-user, or mmssl export --format parquet"
            )
    return users, items


def _run(
    lists: RankedLists, users: np.ndarray, user_ids: pl.Series, item_ids: pl.Series, name: str
) -> pl.DataFrame:
    """The lines of a run: user Q0 item rank score name."""
    scores = _falling(lists.scores)
    row, place = np.nonzero(lists.items >= 0)
    columns = {
        "user": user_ids.gather(users[row]),
        "q0": pl.repeat("Q0", len(row), eager=True),
        "item": item_ids.gather(lists.items[row, place]),
        "rank": place + 1,
        "score": scores[row, place],
        "name": pl.repeat(name, len(row), eager=True),
    }
    return pl.DataFrame(columns)


def _falling(scores: np.ndarray) -> np.ndarray:
    """Scores [users, top] in float32, each below the one before it, and else as they were."""
    falling = scores.astype(np.float32)
    for place in range(1, falling.shape[1]):
        below = np.nextafter(falling[:, place - 1], np.float32(-np.inf))
        falling[:, place] = np.minimum(falling[:, place], below)
    return falling


def _qrels(truth: csr_array, user_ids: pl.Series, item_ids: pl.Series) -> pl.DataFrame:
    """The lines of the truth: user 0 item 1."""
    rows = np.repeat(np.arange(truth.shape[0]), np.diff(truth.indptr))
    columns = {
        "user": user_ids.gather(rows),
        "zero": np.zeros(truth.nnz, np.int8),
        "item": item_ids.gather(truth.indices),
        "relevance": np.ones(truth.nnz, np.int8),
    }
    return pl.DataFrame(columns)


def _write(path: pathlib.Path, lines: pl.DataFrame) -> None:
    lines.write_csv(path, separator=" ", include_header=False, quote_style="never")
