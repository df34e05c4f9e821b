"""`mmssl encode`: features of the items' texts and images."""

import sys
from pathlib import Path
from typing import Any

import click

from mmssl_jax.commands.bars import bar
from mmssl_jax.commands.help_sections import Command, option, section
from mmssl_jax.commands.paths import PATH
from mmssl_jax.data.encoding import encode
from mmssl_jax.data.encoding.encode import IMAGE_MODEL, TEXT_MODEL, EncodeOptions
from mmssl_jax.errors import printable

_EXAMPLE = """\b
Example:
  mmssl encode --to data/shop --items products.csv --text title brand --images photos"""


class _Command(Command):
    """Takes several values after one --text."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given: list[str] = []
        of_text = False
        for argument in args:
            if of_text and not argument.startswith("-") and given[-1] != "--text":
                given.append("--text")
            elif argument.startswith("-"):
                of_text = argument == "--text"
            given.append(argument)
        return super().parse_args(ctx, given)


_general = section(
    "Options",
    option(
        "--to",
        type=PATH,
        required=True,
        metavar="FOLDER",
        help="Data folder that gets the features; may be new.",
    ),
    option(
        "--items",
        type=PATH,
        metavar="FILE",
        help="Table of items, CSV or TSV (default: items.tsv of --to).",
    ),
    option("--id-column", metavar="COLUMN", help="Raw item ids in --items (default: the first)."),
    option(
        "--no-header",
        is_flag=True,
        help="The first line of --items is an item; its columns are called 1, 2, ...",
    ),
    option(
        "--batch-size", type=int, default=32, metavar="N", help="Inputs at a time (default: 32)."
    ),
    option("--device", help="Such as cpu or cuda:0 (default: a GPU if there is one)."),
)
_texts = section(
    "Texts",
    option("--text", multiple=True, metavar="COLUMN...", help="Columns of --items, joined."),
    option("--text-model", default=TEXT_MODEL, metavar="MODEL", help=f"Default: {TEXT_MODEL}."),
    option("--text-name", default="text", help="Of the features (default: text)."),
)
_images = section(
    "Images",
    option("--images", type=PATH, metavar="FOLDER", help="Files named by raw item id."),
    option("--image-model", default=IMAGE_MODEL, metavar="MODEL", help=f"Default: {IMAGE_MODEL}."),
    option("--image-name", default="image", help="Of the features (default: image)."),
)


@click.command("encode", cls=_Command, epilog=_EXAMPLE)
@_general
@_texts
@_images
def COMMAND(to: Path, **given: Any) -> None:
    """Makes item features from texts and images with pretrained models.

    A model is a folder, or a name on the Hugging Face hub.
    """
    try:
        for made in encode.encode(EncodeOptions(to, **given), _warn, bar):
            print(
                f"{made.path}: {made.width} numbers for each of {made.present} of {made.items} "
                f"items, by {made.model}"
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt("give the same command again") from None


def _warn(message: str) -> None:
    print(f"warning: {printable(message)}", file=sys.stderr)
