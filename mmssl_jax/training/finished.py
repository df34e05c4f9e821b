"""The best epoch of a run, as its folder has it, and the scores of that epoch."""

from functools import partial
from typing import Any

import jax

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.models import Model
from mmssl_jax.ranking import groups
from mmssl_jax.runs.checkpoints import Checkpoints
from mmssl_jax.runs.folder import Workdir
from mmssl_jax.training import results
from mmssl_jax.training import state as states
from mmssl_jax.training.loop import build_model


def evaluate_run(config: Config, dataset: Dataset, workdir: Workdir) -> dict[str, Any]:
    """The scores of the best checkpoint of a run on validation and test, with those of groups.

    Raises:
      InputError: there is no checkpoint, or it does not fit the config and the data.
    """
    if dataset.final:
        raise InputError(
            f"the run in {workdir.folder} was trained with --final, on all pairs: there are none "
            "left to score it on; recommend and export take it"
        )
    best_epoch, model, state = best_of_run(config, dataset, workdir)
    rankings = results.rank_splits(model, state, dataset, config)
    scores = results.scores_of(rankings, config.evaluation.cutoffs)
    scores |= groups.scores_of(rankings, dataset)
    scores |= results.not_modelled(dataset, model)
    return results.about_run(config, dataset, model) | {"best_epoch": best_epoch} | scores


def best_of_run(
    config: Config, dataset: Dataset, workdir: Workdir
) -> tuple[int, Model, states.TrainState]:
    """The best epoch of a run, its model, and the state after that epoch; raises the same."""
    if not workdir.checkpoints.is_dir():
        raise InputError(f"{workdir.folder} holds no checkpoint yet; run train.py first")
    model, steps_per_epoch = build_model(config, dataset)
    transforms = states.optimisers(config, list(model.losses), steps_per_epoch)
    like = jax.eval_shape(partial(states.init_state, model, transforms), jax.random.key(0))
    with Checkpoints(workdir.checkpoints, clean=False) as checkpoints:
        if checkpoints.best_epoch is None:
            raise InputError(f"{workdir.folder} holds no checkpoint yet; run train.py first")
        best_epoch = checkpoints.best_epoch
        state = checkpoints.restore(best_epoch, like)
    return best_epoch, model, state
