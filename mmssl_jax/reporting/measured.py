"""What a report says of one run, in numbers: how it learnt, its scores, its lists, its items."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import candidates, groups, ranked_lists
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.reporting import item_space, spread
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving import options
from mmssl_jax.training import results, session
from mmssl_jax.training.session import Trained

TOP = 20  # items in a list
MOST_LISTS = 20_000  # users whose lists are counted


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """One run."""

    name: str  # different from those of the report's other runs
    folder: Path
    about: dict[str, Any]  # `results.about_run` and the best epoch
    finished: bool  # otherwise the best epoch is that so far
    rows: list[dict[str, Any]]  # of metrics.jsonl
    users: np.ndarray  # [n] the test users
    per_user: dict[str, np.ndarray]  # metric -> [n]
    groups: dict[str, Any]  # `ranking.groups.scores_of` on test
    listed: np.ndarray  # [m] the users with lists, ascending
    lists: RankedLists  # theirs, without their training items
    spread: spread.Spread
    space: item_space.ItemSpace


def opened(run: RunFolder, path: str | None, warn: Any) -> tuple[Config, Dataset]:
    """The config of a run and its data.

    Args:
      run: its folder.
      path: of its data, where they are elsewhere now.
      warn: is called with each warning of the data.

    Raises:
      InputError: there is no run, it was trained on all pairs, or its data is another now.
    """
    config, dataset = session.open_run(run, path=path, warn=warn)
    if dataset.final:
        raise InputError(
            f"the run in {run.folder} was trained with --final, on all pairs: there are none left "
            "to report scores of; give the run that its epochs come from"
        )
    return config, dataset


def measure(run: RunFolder, name: str, config: Config, dataset: Dataset) -> Measured:
    """Measures the best epoch of a run, which the report calls `name`.

    Raises:
      InputError: there is no checkpoint, or a file of the run is damaged.
    """
    trained = session.best_of_run(config, dataset, run)
    rows = run.read_metrics(np.iinfo(np.int64).max, has=trained.epoch)
    finished = _finished(run, rows)
    rankings = results.rank_splits(trained, ("test",))
    ranking = rankings["test"]
    representation = trained.representation()
    listed = _listed(dataset)
    lists = _lists(trained, representation, listed)
    return Measured(
        name=name,
        folder=run.folder,
        about=results.about_run(config, dataset, trained.model)
        | results.of_epoch(config, trained.epoch)
        | {"kind_of_data": results.kind_of_data(dataset, config)},
        finished=finished,
        rows=rows,
        users=ranking.users,
        per_user=ranking.per_user(config.evaluation.cutoffs),
        groups=groups.scores_of(rankings, dataset),
        listed=listed,
        lists=lists,
        spread=spread.spread(lists, dataset),
        space=item_space.of(trained.model, representation, dataset),
    )


def _finished(run: RunFolder, rows: list[dict[str, Any]]) -> bool:
    """Whether a run has ended: it has results, and no epochs after those that they are of."""
    if not run.results.is_file():
        return False
    results_of_run = run.read_results()
    epochs = results_of_run.get("epochs") if isinstance(results_of_run, dict) else None
    return not (isinstance(epochs, int) and rows and rows[-1]["epoch"] > epochs)


def _listed(dataset: Dataset) -> np.ndarray:
    """The users whose lists are looked at: all, or as many as `MOST_LISTS`, evenly spaced."""
    count = min(dataset.num_users, MOST_LISTS)
    return np.unique(np.linspace(0, dataset.num_users - 1, count).astype(np.int64))


def _lists(trained: Trained, representation: Any, users: np.ndarray) -> RankedLists:
    dataset, model = trained.dataset, trained.model
    ranked = candidates.candidates(dataset, trained.config.evaluation)
    allowed, _ = options.scored_items(ranked, model.scores_cold_items, dataset)
    return ranked_lists.rank(
        representation,
        model.score,
        users,
        min(TOP, dataset.num_items),
        options.known_pairs("none" if dataset.repeats else "train", dataset),
        trained.config.evaluation.user_block,
        dataset,
        allowed,
    )
