"""Whether a run fits into the memory that is there, before anything is set up for it."""

import math

import jax

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import memory
from mmssl_jax.planning import advice
from mmssl_jax.planning.hardware import DEVICES
from mmssl_jax.planning.plan import MODELS, SAMPLED, plan
from mmssl_jax.planning.sizes import Sizes


def check(config: Config, dataset: Dataset) -> None:
    """Raises InputError where a run of a model that can be planned does not fit, with what to do.

    It looks at processors alone: of a GPU, jax says itself what it has.

    Args:
      config: resolved.
      dataset: what is trained on.
    """
    room = memory.available()
    if room is None or jax.default_backend() != "cpu":
        return
    if config.model.name not in (SAMPLED if config.train.fanout else MODELS):
        return
    widths = {name: values.shape[1] for name, values in dataset.features.items()}
    counts = dataset.num_users, dataset.num_items, int(dataset.train.nnz)
    sizes = Sizes(*counts, widths, config.mesh.data, config.mesh.model)
    of = plan(config, sizes, DEVICES["cpu"]._replace(memory=room / sizes.devices))
    if of.needs.memory <= of.room:
        return
    changes = [change.words for change, _ in advice.alone(of) if not change.devices]
    remedy = f"try {' or '.join(changes)}" if changes else "it needs another machine"
    need = math.fsum([of.needs.memory] * sizes.devices)
    raise InputError(
        f"the steps of this run need {memory.said(need)} of memory, and {memory.said(room)} can "
        f"be had here; {remedy} (mmssl plan says what takes how much)"
    )
