"""One training step of any model, and a chunk of steps as one call to the device."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Int, PRNGKeyArray

from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import Model
from mmssl_jax.models.model import LossFn, Params
from mmssl_jax.training import batches, devices
from mmssl_jax.training.state import TrainState

Terms = dict[str, Array]  # 'player/term' -> scalar
Constants = tuple[
    training_pairs.PairTables, Any, PRNGKeyArray
]  # tables, the model's inputs, run key
Step = Callable[[TrainState, Constants], tuple[TrainState, Terms]]
RunSteps = Callable[[TrainState, Constants, Int[Array, ""]], tuple[TrainState, Terms]]


def train_step(
    state: TrainState,
    constants: Constants,
    *,
    model: Model,
    transforms: dict[str, optax.GradientTransformation],
    batch_size: int,
    mesh: Mesh,
    augmented_share: float = 0.0,
    by_cipher: bool = False,
) -> tuple[TrainState, Terms]:
    """Draws a batch and updates the players in turn, each with the others' newest parameters.

    `by_cipher` is for `batches.sample`.
    """
    tables, inputs, run_key = constants
    rows = batch_size * model.batches
    augmented = int(augmented_share * rows)
    sample_key, *player_keys = jax.random.split(
        jax.random.fold_in(run_key, state.step), 1 + len(model.losses)
    )
    drawn = batches.sample(sample_key, tables, rows, augmented, by_cipher=by_cipher)
    batch = devices.split_batch(drawn, mesh)
    keys = dict(zip(model.losses, player_keys, strict=True))
    held = model.refresh(state.params, inputs, state.held, state.step)
    held = model.collect(state.params, inputs, held, batch, keys)
    params, optimiser_states, history = state.params, state.optimiser_states, {}
    for player, loss_fn in model.losses.items():

        def player_loss(
            own: Any,
            player: str = player,
            loss_fn: LossFn = loss_fn,
            params: Params = params,
        ) -> tuple[Array, Terms]:
            return loss_fn(params | {player: own}, inputs, held, batch, keys[player])

        (loss, terms), gradients = jax.value_and_grad(player_loss, has_aux=True)(params[player])
        updates, optimiser_state = transforms[player].update(
            gradients, optimiser_states[player], params[player]
        )
        params = params | {player: optax.apply_updates(params[player], updates)}
        optimiser_states = optimiser_states | {player: optimiser_state}
        history[f"{player}/loss"] = loss
        history |= {f"{player}/{name}": value for name, value in terms.items()}
    state = dataclasses.replace(
        state, step=state.step + 1, params=params, optimiser_states=optimiser_states, held=held
    )
    return state, history


def compile_steps(
    step: Step, state: TrainState, constants: Constants, steps_per_call: int
) -> RunSteps:
    """Compiles a call that runs up to `steps_per_call` steps.

    The number of steps is an argument, so the shorter last call of an epoch needs no second
    compilation. It returns the terms of each step, in rows; rows past the number of steps are zero.
    The state is donated, and stays where it is on the devices.
    """
    return lower_steps(step, state, constants, steps_per_call).compile()


def lower_steps(step: Step, state: Any, constants: Any, steps_per_call: int) -> jax.stages.Lowered:
    """The program of `compile_steps`, lowered. Shapes are enough as arguments."""
    step = jax.jit(step, inline=True)  # so that it is traced once, not for its shapes and again

    def steps(
        state: TrainState, constants: Constants, count: Int[Array, ""]
    ) -> tuple[TrainState, Terms]:
        _, shapes = jax.eval_shape(step, state, constants)
        rows = jax.tree.map(lambda x: jnp.zeros((steps_per_call, *x.shape), x.dtype), shapes)

        def body(
            index: Int[Array, ""], carry: tuple[TrainState, Terms]
        ) -> tuple[TrainState, Terms]:
            state, history = carry
            state, terms = step(state, constants)
            return state, jax.tree.map(lambda row, x: row.at[index].set(x), history, terms)

        after: tuple[TrainState, Terms] = jax.lax.fori_loop(0, count, body, (state, rows))
        return after

    places = jax.tree.map(lambda array: array.sharding, state)
    # The losses are where the step's number is: on every device.
    jitted = jax.jit(steps, donate_argnums=0, out_shardings=(places, places.step))
    return jitted.lower(state, constants, jax.ShapeDtypeStruct((), jnp.int32))
