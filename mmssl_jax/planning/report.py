"""A plan in tables and lines."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from mmssl_jax.planning import advice
from mmssl_jax.planning.hardware import Device
from mmssl_jax.planning.needs import Collective
from mmssl_jax.planning.plan import Plan


def tables(plan: Plan) -> Iterator[Table]:
    """Memory, what is exchanged, and time."""
    sizes, needs = plan.sizes, plan.needs
    memory = _table(f"Memory of a device ({sizes.data} x {sizes.model})", "part", "GB")
    for kind in (needs.arguments, needs.idle, needs.temporaries):
        for part, count in kind.items():
            memory.add_row(part, _giga(count))
        if kind is not needs.temporaries and kind:
            memory.add_section()
    if needs.validation:
        memory.add_row("a validation, instead of these", _giga(needs.validation))
    memory.add_section()
    memory.add_row("together", _giga(needs.memory))
    memory.add_row("what jax takes of the device", _giga(plan.room))
    yield memory
    if needs.collectives:
        sent = _table("Received by a device in a step", "collective", "of", "GB", "seconds")
        for each in needs.collectives:
            seconds = _digits(each.seconds(plan.device))
            sent.add_row(each.kind, each.what, _giga(each.received), seconds)
        sent.add_section()
        sent.add_row("together", "", _giga(needs.received), _digits(plan.network))
        yield sent
    time = _table("Time at the peak rates of the device", "of a step", "work", "seconds")
    time.add_row("arithmetic", f"{needs.flops / 1e9:.4g} Gflop", _digits(plan.compute))
    time.add_row("device memory", f"{needs.traffic / 1e9:.4g} GB", _digits(plan.memory))
    time.add_row("network", f"{needs.received / 1e9:.4g} GB", _digits(plan.network))
    time.add_section()
    time.add_row("step", "the larger of the first two, and the network", _digits(plan.step))
    time.add_row("epoch", f"{plan.steps} steps", _digits(plan.epoch))
    yield time


def lines(plan: Plan) -> Iterator[str]:
    """What limits the run: the products' exchange, what does not fit, and what makes it fit."""
    needs = plan.needs
    if needs.exchange.received:
        yield _exchange(needs.collectives[0], needs.exchange, plan.device)
    if found := advice.sampled(plan):
        yield (
            f"An epoch takes at least {_digits(plan.epoch)} s. With {found[0].words} it takes "
            f"{_digits(found[1].epoch)} s at least, but is another training (docs/models.md)."
        )
    if plan.refusal:
        yield f"REFUSED: {plan.refusal}."
        return
    if plan.fits:
        yield f"It fits: {needs.memory / plan.room:.0%} of what jax takes of a device."
        return
    yield f"DOES NOT FIT: {needs.memory / plan.room:.2f} times what jax takes of a device."
    alone = advice.alone(plan)
    for change, after in alone:
        yield f"It fits with {change.words}: {_giga(after.needs.memory)} GB."
    if not alone:
        both = advice.together(plan)
        if both is None:
            yield f"No setting makes it fit, nor do {advice.MOST_DEVICES} devices."
        else:
            yield f"It fits with {both[0].words}, together: {_giga(both[1].needs.memory)} GB."


def _exchange(gathered: Collective, exchange: Collective, device: Device) -> str:
    """Whether graph products would better ask for the rows that they need."""
    factor = gathered.received / exchange.received
    seconds = gathered.seconds(device), exchange.seconds(device)
    return (
        f"Graph products gather all rows: {_giga(gathered.received)} GB in {_digits(seconds[0])} "
        "s (all-gather). An exchange of the rows that are needed only (all-to-all) is not "
        f"implemented. For random pairs it would send {_giga(exchange.received)} GB to the device "
        f"that needs most, {max(factor, 1 / factor):.2f} times {'less' if factor > 1 else 'more'}, "
        f"in {_digits(seconds[1])} s."
    )


def as_json(plan: Plan) -> dict[str, Any]:
    """The same figures: bytes, operations and seconds."""
    needs = plan.needs
    return {
        "sizes": plan.sizes._asdict() | {"widths": dict(plan.sizes.widths)},
        "arguments": needs.arguments,
        "idle": needs.idle,
        "temporaries": needs.temporaries,
        "validation": needs.validation,
        "memory": needs.memory,
        "room": plan.room,
        "fits": plan.fits,
        "refusal": plan.refusal,
        "collectives": [each._asdict() | {"received": each.received} for each in needs.collectives],
        "received": needs.received,
        "exchange": needs.exchange.received,
        "flops": needs.flops,
        "traffic": needs.traffic,
        "seconds": {
            "arithmetic": plan.compute,
            "memory": plan.memory,
            "network": plan.network,
            "step": plan.step,
            "epoch": plan.epoch,
        },
        "steps": plan.steps,
    }


def _table(title: str, *columns: str) -> Table:
    result = Table(title=title, title_justify="left")
    for column in columns:
        number = column in ("GB", "seconds")
        result.add_column(column, justify="right" if number else "left")
    return result


def _giga(count: float) -> str:
    """Bytes in GB, with three digits that count."""
    return _digits(count / 1e9)


def _digits(value: float) -> str:
    """A number with three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
