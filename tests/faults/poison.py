"""A number in the state of a run that becomes NaN or infinite at a step, within a compiled call."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from mmssl_jax.training import loop, session
from mmssl_jax.training.session import Session
from mmssl_jax.training.step import train_step

VALUES = (np.nan, np.inf, -np.inf)


class Poison(NamedTuple):
    """What is put in; numbers, so that one program serves all faults."""

    step: Any  # int32: after this step; 0 for never
    leaf: Any  # int32: of the floating-point leaves of the state
    place: Any  # int32: of the leaf's values
    value: Any  # float32


NONE = Poison(np.int32(0), np.int32(0), np.int32(0), np.float32(0))


def drawn(rng: np.random.Generator, state: Any, steps: int) -> Poison:
    """A random poison for a state."""
    leaf = int(rng.integers(len(floats(state))))
    place = int(rng.integers(floats(state)[leaf][1].size))
    numbers = (int(rng.integers(1, steps + 1)), leaf, place)
    return Poison(*map(np.int32, numbers), np.float32(VALUES[int(rng.integers(len(VALUES)))]))


def floats(state: Any) -> list[tuple[str, Any]]:
    """Name and leaf of all floating-point leaves."""
    leaves = jax.tree.leaves_with_path(state)
    return [
        (jax.tree_util.keystr(path), leaf)
        for path, leaf in leaves
        if jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size
    ]


def poisoned_step(state: Any, constants: Any, **kwargs: Any) -> Any:
    """`train_step` with inputs as `with_poison` makes them."""
    tables, (inputs, poison), key = constants
    after, terms = train_step(state, (tables, inputs, key), **kwargs)
    number = 0

    def spoil(leaf: Any) -> Any:
        nonlocal number
        if not (jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size):
            return leaf
        hit = (after.step == poison.step) & (poison.leaf == number)
        number += 1
        flat = leaf.reshape(-1)
        # Not beyond its end: jax would clip the place.
        new = flat.at[jnp.minimum(poison.place, leaf.size - 1)].set(poison.value.astype(leaf.dtype))
        return jnp.where(hit, new, flat).reshape(leaf.shape)

    return jax.tree.map(spoil, after), terms


@contextmanager
def in_training(poison: Poison) -> Iterator[None]:
    """Within it, every run that is trained gets the poison."""
    constants, validation, trained = Session.constants, loop._validation, loop.Trained
    with (
        mock.patch.object(session, "train_step", poisoned_step),
        mock.patch.object(
            Session, "constants", lambda *args: with_poison(constants(*args), poison)
        ),
        mock.patch.object(
            loop, "_validation", lambda own, inputs, mesh: validation(own, inputs[0], mesh)
        ),
        mock.patch.object(loop, "Trained", lambda *args: trained(*args[:5], args[5][0], *args[6:])),
    ):
        yield


def with_poison(constants: Any, poison: Poison) -> Any:
    """The constants of a run, with the poison beside the model's inputs."""
    tables, inputs, key = constants
    return tables, (inputs, jax.tree.map(jnp.asarray, poison)), key


def replaced(state: Any, **changes: Any) -> Any:
    """A copy of a state, as a call takes its own."""
    return dataclasses.replace(jax.tree.map(jnp.copy, state), **changes)
