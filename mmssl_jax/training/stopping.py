"""A run that was asked to end between two validations: its state, kept until it goes on."""

from typing import Any, NamedTuple

import numpy as np

from mmssl_jax.runs.checkpoints import Checkpoints
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training.epochs import History
from mmssl_jax.training.state import TrainState


class Stopped(Exception):
    """A run was asked to end, and has saved its state."""

    def __init__(self, step: int):
        super().__init__(f"stopped and saved at step {step}; the same command goes on from there")


class Part(NamedTuple):
    """Of an interval between two validations, what has been done."""

    state: TrainState
    terms: History  # of its steps
    seconds: float


def save(run: RunFolder, part: Part, about: dict[str, Any]) -> None:
    """Keeps a part of an interval, in place of an earlier one."""
    terms = {name: values.tolist() for name, values in part.terms.items()}
    step = int(part.state.step)
    with _kept(run) as kept:
        about = about | {"terms": terms, "seconds": part.seconds}
        kept.save(step, part.state, float(step), about)


def load(run: RunFolder, state: TrainState, step: int) -> Part:
    """The part that was kept after `step`, at which the last validation was; else an empty one.

    Args:
      run: the run.
      state: gives structure and places, and is the result's where nothing was kept.
      step: at the last validation.
    """
    if run.stopped.is_dir():
        with _kept(run, clean=False) as kept:
            latest = kept.latest_epoch or 0
            if latest > step:
                about = kept.about(latest)
                terms = {name: np.array(each, np.float32) for name, each in about["terms"].items()}
                return Part(kept.restore(latest, state), terms, about["seconds"])
    return Part(state, {}, 0.0)


def _kept(run: RunFolder, *, clean: bool = True) -> Checkpoints:
    return Checkpoints(run.stopped, lambda step, _: (step, 0), clean=clean)
