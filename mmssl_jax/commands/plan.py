"""Says what a run would need: mmssl plan --users 10e6 --items 1e6 --pairs 1e9 --devices 64"""

import pathlib
import re
from collections.abc import Callable
from typing import Any

import click
from rich.console import Console

from mmssl_jax import planning
from mmssl_jax.commands import flags
from mmssl_jax.commands.config_arguments import Given
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic

_EXAMPLES = """\b
Examples:
  mmssl plan --users 10e6 --items 1e6 --pairs 1e9 --devices 64 --device h100
  mmssl plan --users 1e6 --items 1e5 --pairs 2e7 --config.critic.hidden=1024"""


class _Count(click.ParamType[int]):
    """A whole number above 0, which may be written as 10e6."""

    name = "count"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        text = str(value)
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE]\+?[0-9]{1,2})?", text):
            number = float(text)
            if number.is_integer() and 0 < number < 2**53:
                return int(number)
        raise InputError(
            f"{param.opts[-1]} is {text!r}; it must be a whole number above 0 and below "
            "2**53, such as 10e6"
        )


class _Widths(click.ParamType[dict[str, int]]):
    """Modalities and the widths of their features: image=4096,text=1024."""

    name = "widths"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, int]:
        if isinstance(value, dict) or value in ("", "none"):
            return dict(value) if isinstance(value, dict) else {}
        parts = [part.strip().partition("=") for part in str(value).split(",")]
        names = {name for name, _, _ in parts}
        sound = (re.fullmatch(r"\S+=[1-9][0-9]{0,8}", "".join(part)) for part in parts)
        if not all(sound) or len(names) < len(parts):
            raise InputError(
                f"{param.opts[-1]} is {value!r}; it must be NAME=WIDTH,..., such as "
                "image=4096,text=1024, each name once, or none"
            )
        return {name: int(width) for name, _, width in parts}


_COUNT = _Count()


def _sizes(function: Callable[..., None]) -> Callable[..., None]:
    """The flags of data and devices."""
    add = (
        click.option("--users", type=_COUNT, required=True, metavar="N", help="How many users."),
        click.option("--items", type=_COUNT, required=True, metavar="N", help="How many items."),
        click.option("--pairs", type=_COUNT, required=True, metavar="N", help="Training pairs."),
        click.option(
            "--features",
            type=_Widths(),
            default="image=4096,text=1024",
            metavar="NAME=WIDTH,...",
            help="Item features that MMSSL reads, or none (default: those of Amazon Baby).",
        ),
        click.option(
            "--devices", type=_COUNT, default=1, metavar="N", help="Devices (default: 1)."
        ),
        click.option(
            "--device",
            type=flags.Choice(planning.DEVICES),
            default="h100",
            metavar="KIND",
            help="Of which kind: " + ", ".join(planning.DEVICES) + " (default: h100).",
        ),
    )
    for each in reversed(add):
        function = each(function)
    return function


@click.command(cls=flags.ConfigCommand, without_file=True, epilog=_EXAMPLES)
@_sizes
@click.option(
    "--model",
    type=flags.Choice(planning.MODELS),
    metavar="NAME",
    help="The model: " + " or ".join(planning.MODELS) + " (default: the config's).",
)
@click.option("--tf32", is_flag=True, help="Count products in TF32, not in float32.")
@click.option("--json", type=flags.PATH, metavar="FILE", help="Also write the figures as JSON.")
@flags.config_fields("such as --config.mesh.data=2; the mesh has all devices on model by default")
def plan(
    given: Given,
    users: int,
    items: int,
    pairs: int,
    devices: int,
    device: str,
    model: str | None,
    features: dict[str, int],
    tf32: bool,
    json: pathlib.Path | None,
) -> None:
    """Says what a run would need: memory, bytes sent, arithmetic and time of a step.

    Nothing is read or computed. docs/scale.md derives the figures.
    """
    if json is not None:
        atomic.check_writable(json)
    data = planning.Data(users, items, pairs, features)
    made = planning.planned(
        given.config,
        data,
        devices,
        device,
        model=model,
        tensorfloat32=tf32,
        fixed="mesh.model" in given.overrides,
    )
    console = Console()
    for table in planning.tables(made):
        console.print(table)
    for line in planning.lines(made):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    if json is not None:
        atomic.write_json(json, planning.as_json(made))


COMMAND = plan
