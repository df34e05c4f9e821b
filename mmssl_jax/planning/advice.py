"""Which settings make a run fit that does not, and which makes a long epoch shorter."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmssl_jax.config import named
from mmssl_jax.planning.plan import SAMPLED, Plan, plan

MOST_DEVICES = 4096
FANOUT = (5, 3, 2)  # of the first hops, as docs/benchmarks.md measures it; further ones have 2
LONG = 3600.0  # seconds of an epoch that few wait for


class Change(NamedTuple):
    """Settings that are changed together, and more devices."""

    overrides: Mapping[str, Any]
    devices: int = 0  # on the model axis; 0 leaves them

    @property
    def words(self) -> str:
        """As a command line has them."""
        flags = [f"--config.{path}={_said(value)}" for path, value in self.overrides.items()]
        return " ".join(flags + ([f"--devices {self.devices}"] if self.devices else []))


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def ladders(of: Plan) -> Iterator[list[Change]]:
    """Ways to save memory, each as changes of growing effect."""
    config, sizes = of.config, of.sizes
    if config.model.name == "mmssl" and sizes.widths:
        if config.mmssl.modality_graph in ("top_k", "released"):
            yield [Change({"mmssl.modality_graph": "observed"})]
        if config.critic.enabled:
            width = config.critic.hidden or sizes.items // 4
            widths = [each for each in (4096, 1024, 256) if each < width]
            yield [
                *(Change({"critic.hidden": each}) for each in widths),
                Change({"critic.enabled": False}),
            ]
    if fanout := config.train.fanout:
        smaller = [tuple(max(each >> power, 1) for each in fanout) for power in range(1, 32)]
        yield [Change({"train.fanout": each}) for each in dict.fromkeys(smaller) if each != fanout]
    halves = [2**power for power in range(20, 2, -1)]
    widths = [each for each in halves if each < config.model.embedding_dim]
    yield [Change({"model.embedding_dim": each}) for each in widths]
    batches = [each for each in halves if 64 <= each < config.train.batch_size]
    yield [Change({"train.batch_size": each}) for each in batches]
    counts: list[Change] = []
    while (count := sizes.devices * 2 ** (len(counts) + 1)) <= MOST_DEVICES:
        counts.append(Change({}, count))
    yield counts


def changed(of: Plan, change: Change) -> Plan:
    """The plan with a change."""
    config = named.applied(of.config, change.overrides)
    sizes = of.sizes
    if change.devices:
        sizes = sizes._replace(model=change.devices // sizes.data)
    return plan(config, sizes, of.device)


def alone(of: Plan) -> list[tuple[Change, Plan]]:
    """The smallest change of each kind that makes the run fit with no other."""
    found = []
    for ladder in ladders(of):
        after = ((change, changed(of, change)) for change in ladder)
        fits = next(((change, each) for change, each in after if each.fits), None)
        if fits:
            found.append(fits)
    return found


def together(of: Plan) -> tuple[Change, Plan] | None:
    """Changes of several kinds that make the run fit together; None if even all of them do not.

    Kind by kind the change that fits, else the one that saves most.
    """
    overrides: dict[str, Any] = {}
    devices, now = 0, of
    for ladder in ladders(of):
        if not ladder:
            continue
        tried = []
        for each in ladder:
            change = Change(overrides | dict(each.overrides), each.devices or devices)
            after = changed(of, change)
            tried.append((change, after))
            if after.fits:
                return change, after
        change, after = min(tried, key=lambda pair: pair[1].needs.memory)
        if after.needs.memory < now.needs.memory:
            overrides, devices, now = dict(change.overrides), change.devices, after
    return None


def sampled(of: Plan) -> tuple[Change, Plan] | None:
    """Sampled neighbours, where an epoch of full propagation is long and they make it shorter.

    They are another training.
    """
    config = of.config
    known = config.model.name in SAMPLED and not config.train.fanout
    if not known or not config.model.layers or of.epoch < LONG:
        return None
    layers = config.model.layers
    change = Change({"train.fanout": (FANOUT + (FANOUT[-1],) * layers)[:layers]})
    after = changed(of, change)
    return (change, after) if after.fits and after.epoch < of.epoch else None
