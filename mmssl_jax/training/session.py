"""Everything that a run needs, made from its config: the one chain that every run goes through.

config -> data -> graphs and model -> optimisers -> state -> run folder.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax
from jax.sharding import Mesh
from jaxtyping import PRNGKeyArray

from mmssl_jax import config as configs
from mmssl_jax import data, models
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.data.features import content
from mmssl_jax.errors import InputError
from mmssl_jax.graphs import split_graph, training_pairs
from mmssl_jax.models import Model
from mmssl_jax.ranking import candidates
from mmssl_jax.runs import processes
from mmssl_jax.runs.checkpoints import Checkpoints
from mmssl_jax.runs.folder import RunFolder, check_dataset
from mmssl_jax.training import devices, selection
from mmssl_jax.training import state as states
from mmssl_jax.training.step import Constants, RunSteps, compile_steps, train_step

# Fields of a config's `data` by which a data set is loaded; the others prepare its features.
LOADED_BY = ("path", "modalities", "demo_seed", "repeats")


class Session(NamedTuple):
    """A config, and what it stands for on this machine."""

    config: Config  # resolved
    dataset: Dataset
    model: Model
    steps_per_epoch: int
    transforms: dict[str, optax.GradientTransformation]  # player -> optimiser

    def initial_state(self, key: PRNGKeyArray, mesh: Mesh) -> states.TrainState:
        """The state before the first step, made where it belongs on a mesh."""
        init = partial(states.init_state, self.model, self.transforms)
        places = devices.shardings(self.shape_of_state(), mesh)
        state: states.TrainState = jax.jit(init, out_shardings=places)(key)
        return state

    def shape_of_state(self) -> states.TrainState:
        """Shapes and types of the state, without its values."""
        init = partial(states.init_state, self.model, self.transforms)
        shapes: states.TrainState = jax.eval_shape(init, jax.random.key(0))
        return shapes

    def constants(self, run_key: PRNGKeyArray, mesh: Mesh) -> Constants:
        """What every step reads and none changes, on the devices of a mesh."""
        augmented = self.dataset.augmented if self.config.train.augmented_share else None
        tables = training_pairs.host_tables(self.dataset.train, augmented)
        if mesh.size > 1:
            tables = devices.split_pairs(tables, mesh)
        placed: Constants = devices.place((tables, self.inputs(mesh), run_key), mesh)
        return placed

    def inputs(self, mesh: Mesh) -> Any:
        """The model's constant arrays on the devices of a mesh."""
        graphs = split_graph.whole if self.config.train.fanout else split_graph.split
        if mesh.size > 1:  # sampled steps draw from the whole graph
            return devices.place(devices.split_pairs(graphs(self.model.inputs, mesh), mesh), mesh)
        return devices.place(self.model.inputs, mesh)

    def compiled(
        self, state: states.TrainState, constants: Constants, per_call: int, mesh: Mesh
    ) -> RunSteps:
        """A call that takes up to `per_call` steps; see `compile_steps`."""
        step = partial(
            train_step,
            model=self.model,
            transforms=self.transforms,
            batch_size=self.config.train.batch_size,
            mesh=mesh,
            augmented_share=self.config.train.augmented_share,
            by_cipher=bool(self.config.train.fanout),  # a sampled step costs what its batch does
        )
        return compile_steps(step, state, constants, per_call)


def load_data(
    config: Config, *, final: bool = False, warn: Callable[[str], None] = lambda line: None
) -> Dataset:
    """The data set of a config, as far as the config reads it.

    Args:
      config: resolved.
      final: whether the pairs of validation and test are trained on as well.
      warn: is called with each warning.

    Raises:
      InputError: there is no device as asked for, or the data cannot be read.
    """
    devices.check_devices()
    dataset = data.load(**{name: getattr(config.data, name) for name in LOADED_BY}, final=final)
    for warning in dataset.warnings:
        warn(warning)
    if lacking := models.lacks(config, dataset):
        how = f"{config.model.name} trains without (docs/llmrec.md)"
        warn(f"'{dataset.name}' has no {lacking}; {how}")
    return models.as_read(config, dataset)


def prepare(config: Config, dataset: Dataset) -> Session:
    """The session of a config on a data set: features prepared, graphs and model built.

    Raises:
      InputError: the config does not fit the data.
    """
    devices.compute_in_float32()
    if not dataset.final:
        candidates.check_cutoffs(dataset, config.evaluation)
    if config.train.augmented_share and dataset.augmented is None:
        raise InputError(
            f"config field 'train.augmented_share' is {config.train.augmented_share}, but "
            f"'{dataset.name}' has no augmented_edges.npy; set it to 0, or see docs/llmrec.md"
        )
    steps_per_epoch = config.train.steps_per_epoch or protocol_steps(config, dataset)
    prepared = content.prepare(
        dataset,
        missing=config.data.missing,
        zeros_missing=config.data.zeros_missing,
        standardize=config.data.standardize,
    )
    model = models.defined(config).build(config, prepared, steps_per_epoch)
    transforms = states.optimisers(config, model, steps_per_epoch)
    return Session(config, dataset, model, steps_per_epoch, transforms)


def protocol_steps(config: Config, dataset: Dataset) -> int:
    """Steps of an epoch by the published protocol: training pairs // batch size + 1."""
    return int(dataset.train.nnz) // config.train.batch_size + 1


def checkpoints_of(run: RunFolder, *, clean: bool = True) -> Checkpoints:
    """The checkpoints of a run, of which the best is kept; `clean` is for who writes them."""
    return Checkpoints(run.checkpoints, selection.rank, clean=clean)


def check_best(state: Any, epoch: int | None, run: RunFolder) -> None:
    """Raises InputError where the best epoch by a restored state is not that of the checkpoints.

    Then the checkpoint of it is gone, and `epoch` is that of another.
    """
    if (best := int(state.best_epoch)) != epoch:
        raise InputError(
            f"the checkpoint of epoch {best} in {run.checkpoints}, the best of the run, is missing "
            "or damaged; get it from a copy, or train anew in another --workdir"
        )


class Trained(NamedTuple):
    """The best epoch of a run: what scores, recommends and exports."""

    config: Config  # resolved
    dataset: Dataset
    epoch: int
    model: Model
    state: states.TrainState
    inputs: Any  # the model's, where the state is
    mesh: Mesh | None = None  # over whose devices users are ranked; None where there is one

    def representation(self) -> Any:
        """What the model's `score` takes: for most models user and item embeddings."""
        return jax.jit(self.model.embed)(self.state.params, self.inputs, self.state.held)


def open_run(
    run: RunFolder, *, path: str | None = None, warn: Callable[[str], None] = lambda line: None
) -> tuple[Config, Dataset]:
    """The config that is stored with a run, and its data set.

    Args:
      run: the run's folder.
      path: of the data, where they are elsewhere now.
      warn: is called with each warning of the data.

    Raises:
      InputError: there is no run, or its data set is another now.
    """
    stored, known = run.read()
    if path is not None:
        stored.data.path = path
    config = models.resolve(stored)
    dataset = load_data(config, final=bool(known.get("final")), warn=warn)
    check_dataset(known, dataset, run.folder)
    return config, dataset


def best_of_run(config: Config, dataset: Dataset, run: RunFolder) -> Trained:
    """The best epoch of a run, with the model and the state after it.

    It is on one device, or on all of several processes.

    Raises:
      InputError: there is no checkpoint, or it does not fit the config and the data.
    """
    missing = InputError(f"{run.folder} holds no checkpoint yet; run mmssl train first")
    if not run.checkpoints.is_dir():
        raise missing
    own, mesh = prepare(config, dataset), None
    like, inputs = own.shape_of_state(), own.model.inputs
    if processes.several():
        mesh = devices.make_mesh(configs.Mesh())
        like, inputs = devices.placed_shapes(like, mesh), own.inputs(mesh)
    best = _best(run, like)
    if best is None:
        raise missing
    return Trained(config, dataset, best[0], own.model, best[1], inputs, mesh)


def best_now(trained: Trained, run: RunFolder) -> Trained:
    """The epoch of a run that is the best by now, read into the model of an earlier one.

    Raises:
      InputError: there is no checkpoint any more, or it is of another config.
    """
    best = _best(run, trained.state)
    if best is None:
        raise InputError(f"{run.folder} holds no checkpoint any more")
    return trained._replace(epoch=best[0], state=best[1])


def _best(run: RunFolder, like: Any) -> tuple[int, Any] | None:
    """The best epoch of a run, and the state after it; None where there is no checkpoint.

    The run may be training: where it removes the checkpoint that is being read, the one that is the
    best by now is read instead.
    """
    while True:
        before = set(run.checkpoints.glob("*"))
        try:
            with checkpoints_of(run, clean=False) as checkpoints:
                epoch = checkpoints.best_epoch
                if epoch is None:
                    return None
                state = checkpoints.restore(epoch, like)
                check_best(state, epoch, run)
                return epoch, state
        except InputError:
            if set(run.checkpoints.glob("*")) == before:
                raise
