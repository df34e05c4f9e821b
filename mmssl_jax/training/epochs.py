"""The steps between two validations, and how they are cut short and gone on with."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mmssl_jax.runs import processes
from mmssl_jax.training import finite
from mmssl_jax.training.progress import Progress
from mmssl_jax.training.session import Session
from mmssl_jax.training.state import TrainState
from mmssl_jax.training.step import Constants, RunSteps, Terms

History = dict[str, np.ndarray]  # loss term -> its value in every step


class Programs(NamedTuple):
    """What the epochs of a run have in common: compiled, and on the devices."""

    session: Session
    mesh: Mesh
    constants: Constants
    steps: RunSteps
    per_call: int  # steps in a call, at most
    validate: Callable[[TrainState], dict[str, float]]  # metric on val -> value
    compile_seconds: float


class Outside(NamedTuple):
    """What a run asks and tells those who run it while it goes on."""

    asked: Callable[[], bool] = lambda: False  # whether to save the state and end, at any step
    moved: Callable[[], object] = lambda: None  # a part of the work is done
    told: Callable[[dict[str, Any]], object] = lambda row: None  # each row of metrics, once
    quiet: bool = False  # whether nothing is shown while it goes on


ALONE = Outside()


class _Call(NamedTuple):
    """Some steps in one call to the devices."""

    terms: Terms
    whole: finite.Finite  # whether the state after them is
    first_step: int  # that were taken before them
    steps: int
    asked: jax.Array | None  # of several processes: whether any was asked to stop; bool []


def run_steps(
    programs: Programs,
    state: TrainState,
    steps: int,
    before: History,
    progress: Progress,
    outside: Outside,
) -> tuple[TrainState, History, bool]:
    """Takes steps up to a number since the last validation, or until it is asked to stop.

    The losses of one call are read while the next one runs, so that what is no finite number ends
    the run at most one call later.

    Args:
      programs: of the run.
      state: after the steps that `before` is of.
      steps: how many there are between two validations.
      before: the loss terms of those that were taken earlier.
      progress: shows them.
      outside: says whether to stop.

    Returns:
      The state, the terms of all steps since the last validation, and whether it was asked to stop.

    Raises:
      InputError: a loss, or anything in the state, is no finite number.
    """
    first, per_call = length(before), programs.per_call
    number, read = int(state.step) - first, [before] if first else []
    pending: list[_Call] = []  # that are not read yet
    stop = False
    for start in range(first, steps, per_call):
        count = min(per_call, steps - start)  # all calls are full but the last
        state, history = programs.steps(state, programs.constants, jnp.asarray(count, jnp.int32))
        asked = processes.any_of(outside.asked(), programs.mesh) if processes.several() else None
        pending.append(_Call(history, finite.of(state), number + start, count, asked))
        if len(pending) > 1:
            stop = _read(programs, pending.pop(0), read, progress, outside)
        if stop:
            break
    while pending:
        stop = _read(programs, pending.pop(0), read, progress, outside) or stop
    return state, {name: np.concatenate([part[name] for part in read]) for name in read[0]}, stop


def length(history: History) -> int:
    """How many steps it is of."""
    return len(next(iter(history.values()), ()))


def _read(
    programs: Programs, call: _Call, read: list[History], progress: Progress, outside: Outside
) -> bool:
    """Reads the losses of a call; returns whether any process was asked to stop by then.

    Raises:
      InputError: a loss, or anything in the state after the call, is no finite number.
    """
    terms = {name: np.asarray(values[: call.steps]) for name, values in call.terms.items()}
    config = programs.session.config
    finite.check_terms(terms, call.first_step, config)
    finite.check(call.whole, call.first_step, call.steps, config)
    progress.steps(call.steps, {name: float(values[-1]) for name, values in terms.items()})
    read.append(terms)
    outside.moved()
    return outside.asked() if call.asked is None else bool(call.asked)
