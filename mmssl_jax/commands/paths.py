"""What an argument that is a path may be, of the commands that start without the models."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


class _Usable(click.ParamType[Path]):
    """A path that a file could have, with ~ for a home."""

    name = "path"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        value = str(value)  # a default may be a path already
        refusal = f"{value[:60]!r} is no usable path"
        try:
            found = Path(value).expanduser()
            found.exists()
        except (OSError, RuntimeError, ValueError) as error:  # too long, no such home, a null byte
            raise click.BadParameter(refusal) from error
        if not value or "\0" in value:
            raise click.BadParameter(refusal)
        return found

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


PATH = _Usable()
