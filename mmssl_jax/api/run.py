"""A run in a notebook: trained or opened; its scores, lists and vectors."""

import dataclasses
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax import config as configs
from mmssl_jax import models, training
from mmssl_jax.api.data import AnyPath, load_config
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.loading import IN_MEMORY
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import full_ranking, ranked_lists
from mmssl_jax.runs.folder import RunFolder, check_dataset
from mmssl_jax.serving import export, recommend
from mmssl_jax.serving.ids import Ids
from mmssl_jax.training import devices, results, session

_COLUMNS = ("rank", "item_id", "title", "score")
_SCHEMA = {
    "user_id": pl.String,
    "rank": pl.Int32,
    "item_id": pl.String,
    "title": pl.String,
    "score": pl.Float32,
    "by_popularity": pl.Boolean,
}


class Vectors(NamedTuple):
    """Vectors whose inner products are a model's scores.

    Attributes:
      users: float32 [users, d]; zero for a user without a training pair.
      items: float32 [items, d].
      user_ids: raw ids, or indices as text where the data has none.
      item_ids: likewise.
    """

    users: np.ndarray
    items: np.ndarray
    user_ids: tuple[str, ...]
    item_ids: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A trained model at its best epoch, with the data it was trained on."""

    folder: Path
    _trained: session.Trained = dataclasses.field(repr=False)

    @property
    def config(self) -> Config:
        """All settings, those of the model too; frozen."""
        return self._trained.config

    @property
    def data(self) -> Dataset:
        """What it was trained on."""
        return self._trained.dataset

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the highest validation Recall@20; without validation the last."""
        return self._trained.epoch

    def evaluate(self, split: str = "test") -> dict[str, float]:
        """The metrics over all users of a split, such as 'recall@20', each from 0 to 1.

        Args:
          split: 'test' or 'val'.

        Raises:
          InputError: there is no such split, or every pair was trained on.
        """
        if split not in results.SPLITS:
            raise InputError(f"split is {split!r}; it must be one of {', '.join(results.SPLITS)}")
        if self.data.final:
            raise InputError(
                f"{self.folder} was trained on all pairs: none are left to score it on"
            )
        ranking = results.rank_splits(self._trained, (split,))[split]
        return full_ranking.means(ranking.per_user(self.config.evaluation.cutoffs))

    def recommend(
        self,
        users: Ids | None = None,
        *,
        history: Ids | None = None,
        top: int = 10,
        exclude: Ids | None = None,
        only: Ids | None = None,
        where: str | None = None,
        exclude_known: str | None = None,
        new_items: AnyPath | None = None,
    ) -> pl.DataFrame:
        """The best items of users of the data, or of a new one.

        Args:
          users: raw ids, or indices where the data has no raw ids.
          history: instead of users, the items that one new user has; some models can.
          top: items for each user.
          exclude: ids of items that are in no list.
          only: ids of items; no others are ranked.
          where: a condition on the items' attributes, such as "category == 'toys'".
          exclude_known: what is left out of a list: 'all', a user's items of train, val and test;
            'train'; or 'none'. None is 'all', or 'none' for data with repeats.
          new_items: a folder of items that came after training, to be ranked with the others.

        Returns:
          A row an item: user_id (null for a new user), rank from 1, item_id, title (null where
          none is known), score, and by_popularity: true for a user without a training pair.

        Raises:
          InputError: an id is unknown, or the model cannot score a history or new items.
        """
        found = recommend.recommend(
            self._trained,
            users=users,
            history=history,
            top=top,
            exclude=exclude,
            only=only,
            where=where,
            exclude_known=exclude_known,
            new_items=None if new_items is None else Path(new_items),
        )
        rows = [
            (each["user_id"], *(item[name] for name in _COLUMNS), not each["known"])
            for each in found.lists
            for item in each["items"]
        ]
        return pl.DataFrame(rows, schema=_SCHEMA, orient="row")

    def vectors(self) -> Vectors:
        """The vectors of all users and items, for an index of nearest neighbours.

        Raises:
          InputError: the model's scores are no inner products.
        """
        trained = self._trained
        found = export.vectors_of(trained.model, trained.representation(), trained.dataset)
        if not found:
            name = self.config.model.name
            raise InputError(f"'{name}' has no vectors, as its scores are no inner products")
        users, items = ranked_lists.user_and_item_ids(self.data)
        return Vectors(found["users"], found["items"], tuple(users), tuple(items))


def train(
    data: Dataset,
    *,
    model: str | None = None,
    workdir: AnyPath,
    seed: int | None = None,
    config: Config | AnyPath | None = None,
) -> Run:
    """Trains a model, with a progress bar, or goes on with a run that was stopped.

    Args:
      data: from `load_data` or `import_table`.
      model: such as 'mmssl', 'lightgcn' or 'ease'; None is the config's.
      workdir: the run's folder. A run of the same data and config that is in it goes on; one that
        is finished is not trained again.
      seed: None is the config's.
      config: its other settings, or a config by name or path; None has the defaults of the model.
        It is not changed.

    Returns:
      The run, at its best epoch by validation.

    Raises:
      InputError: a setting is unknown or does not fit the data, the folder holds another run, or
        the loss is no number any more.
    """
    if not isinstance(data, Dataset):
        raise InputError(f"data is {data!r}; give what load_data or import_table returns")
    if config is not None and not isinstance(config, Config):
        config = load_config(config)
    given = configs.unflatten(configs.flatten(config or Config()))
    in_memory = {"path": IN_MEMORY, "modalities": ",".join(data.features) or "none"}
    for field, value in (data.source or in_memory).items():
        setattr(given.data, field, value)
    if model is not None:
        given.model.name = model
    if seed is not None:
        given.train.seed = seed
    resolved = models.resolve(given)
    devices.check_devices()
    folder = Path(workdir)
    training.train(resolved, data, folder)
    return Run(folder, session.best_of_run(resolved, data, RunFolder(folder)))


def open_run(workdir: AnyPath, *, data: Dataset | None = None) -> Run:
    """A run that was trained, by `train` or by `mmssl train`.

    Args:
      workdir: the run's folder.
      data: the data it was trained on; None reads them where they were.

    Raises:
      InputError: there is no run, or the data is not what it was trained on.
    """
    run = RunFolder(Path(workdir))
    stored, known = run.read()
    if data is None:
        config, data = session.open_run(run, warn=warnings.warn)
    else:
        config = models.resolve(stored)
        devices.check_devices()
        data = models.as_read(config, data)
        check_dataset(known, data, run.folder)
    return Run(run.folder, session.best_of_run(config, data, run))
