"""The scores of the best epoch of a run, as its folder has it."""

from typing import Any

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import groups
from mmssl_jax.runs.folder import Workdir
from mmssl_jax.training import results, session


def evaluate_run(config: Config, dataset: Dataset, run: Workdir) -> dict[str, Any]:
    """The scores of the best checkpoint of a run on validation and test, with those of groups.

    Raises:
      InputError: there is no checkpoint, or it does not fit the config and the data.
    """
    if dataset.final:
        raise InputError(
            f"the run in {run.folder} was trained with --final, on all pairs: there are none "
            "left to score it on; recommend and export take it"
        )
    trained = session.best_of_run(config, dataset, run)
    rankings = results.rank_splits(trained)
    scores: dict[str, Any] = results.scores_of(rankings, config.evaluation.cutoffs)
    scores |= groups.scores_of(rankings, dataset)
    scores |= results.not_modelled(dataset, trained.model)
    about = results.about_run(config, dataset, trained.model)
    return about | {"best_epoch": trained.epoch} | scores
