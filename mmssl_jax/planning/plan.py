"""A plan: what a run of a config would need on devices of a kind, and how long it would take."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mmssl_jax import models
from mmssl_jax.config import Config, named
from mmssl_jax.data.dataset import MAX_COUNT
from mmssl_jax.errors import InputError
from mmssl_jax.planning import lightgcn, mmssl, sampled
from mmssl_jax.planning.hardware import DEVICES, Device
from mmssl_jax.planning.needs import Needs
from mmssl_jax.planning.sizes import Sizes

# The models that can be planned.
MODELS: dict[str, Callable[[Config, Sizes], Needs]] = {
    "lightgcn": lightgcn.needs,
    "mmssl": mmssl.needs,
}
# Those whose steps on sampled neighbours can be planned as well.
SAMPLED: dict[str, Callable[[Config, Sizes], Needs]] = {"lightgcn": sampled.needs}
_INT32 = 2**31


class Data(NamedTuple):
    """The sizes of a data set."""

    users: int
    items: int
    pairs: int  # training pairs
    widths: Mapping[str, int]  # modality -> width of its features


class Plan(NamedTuple):
    """What a run would need.

    Attributes:
      config: resolved.
      sizes: data and mesh.
      device: of which kind all are.
      needs: of one device in one step.
      steps: of an epoch.
      compute: seconds of a step for its arithmetic, at the device's peak.
      memory: seconds of a step for what its memory reads and writes, at its peak.
      network: seconds of a step for what is exchanged, at the peak of the links.
    """

    config: Config
    sizes: Sizes
    device: Device
    needs: Needs
    steps: int
    compute: float
    memory: float
    network: float

    @property
    def step(self) -> float:
        """Seconds of a step, at least: arithmetic and memory overlap, the network waits for both,
        as each product reads what the devices have just made together."""
        return max(self.compute, self.memory) + self.network

    @property
    def epoch(self) -> float:
        """Seconds of an epoch's steps, at least."""
        return self.step * self.steps

    @property
    def room(self) -> float:
        """Bytes of a device that jax takes."""
        return self.device.memory * self.device.usable

    @property
    def fits(self) -> bool:
        return self.needs.memory <= self.room and not self.refusal

    @property
    def refusal(self) -> str:
        """Why the program refuses such data, or nothing."""
        for kind, count in (("users", self.sizes.users), ("items", self.sizes.items)):
            if count > MAX_COUNT:
                return f"there are {count:.3g} {kind}, and at most {MAX_COUNT:.3g} are read"
        limit = f"and at most 2**31 = {_INT32:.3g} are counted"
        if self.sizes.pairs >= _INT32:
            return f"there are {self.sizes.pairs:.3g} training pairs, {limit}"
        joint = self.config.model.name == "lightgcn"
        edges: float = self.sizes.pairs * (2 if joint else 1)
        if not self.config.train.fanout:  # for which every device has the whole graph
            edges /= self.sizes.devices
        elif (nodes := math.prod(sampled.tree(self.config))) >= _INT32:
            return f"the trees around a batch have {nodes:.3g} nodes, {limit}"
        return f"a device has {edges:.3g} edges of the graph, {limit}" if edges >= _INT32 else ""


def planned(
    config: Config,
    data: Data,
    devices: int,
    kind: str,
    *,
    model: str | None = None,
    tensorfloat32: bool = False,
    fixed: bool = False,
) -> Plan:
    """The plan of a run on data that need not be there.

    Args:
      config: complete or not; its model's defaults fill it in. A `mesh.model` of 1 counts as unset,
        and is then as large as it can be.
      data: its sizes.
      devices: how many.
      kind: of DEVICES.
      model: another than the config's.
      tensorfloat32: as for `plan`.
      fixed: whether a `mesh.model` of 1 was asked for.

    Raises:
      InputError: as `plan`, or the mesh of the config is not of so many devices, or there are more
        pairs than users and items make.
    """
    over: dict[str, Any] = {"data.path": config.data.path or "planned"}
    config = named.applied(config, over | ({"model.name": model} if model else {}))
    parts, tables = config.mesh.data, config.mesh.model
    if tables == 1 and not fixed and devices % parts == 0:
        tables = devices // parts
    if parts * tables != devices:
        raise InputError(
            f"config field 'mesh' asks for {parts} x {tables} devices, but --devices is {devices}; "
            "choose mesh.data and mesh.model with that product, or leave both out"
        )
    if data.pairs > data.users * data.items:
        raise InputError(
            f"--pairs is {data.pairs}, but {data.users} users and {data.items} items make at most "
            f"{data.users * data.items} pairs"
        )
    widths = data.widths if config.model.name == "mmssl" else {}
    sizes = Sizes(data.users, data.items, data.pairs, widths, parts, tables)
    return plan(config, sizes, DEVICES[kind], tensorfloat32=tensorfloat32)


def plan(config: Config, sizes: Sizes, device: Device, *, tensorfloat32: bool = False) -> Plan:
    """The plan of a run.

    Args:
      config: complete or not.
      sizes: data and mesh.
      device: the kind of all devices.
      tensorfloat32: whether products round their factors (JAX_DEFAULT_MATMUL_PRECISION).

    Raises:
      InputError: no formulas for the model or for its sampled steps, or a value of the config is
        out of range.
    """
    name, known = config.model.name, SAMPLED if config.train.fanout else MODELS
    if name in MODELS and name not in known:  # whatever else its sampled steps would need
        raise InputError(
            f"config field 'train.fanout' is {config.train.fanout}, but plan knows sampled steps "
            f"of {' and '.join(SAMPLED)} only, not of {name}; leave it out"
        )
    config = models.resolve(config)
    if name not in MODELS:
        raise InputError(f"model '{name}' cannot be planned; plan knows {' and '.join(MODELS)}")
    needs = known[name](config, sizes)
    steps = config.train.steps_per_epoch or sizes.pairs // config.train.batch_size + 1
    rate = device.tensorfloat32 if tensorfloat32 else device.float32
    return Plan(
        config,
        sizes,
        device,
        needs,
        steps,
        needs.flops / rate,
        needs.traffic / device.bandwidth,
        math.fsum(each.seconds(device) for each in needs.collectives),
    )
