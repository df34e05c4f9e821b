"""Names of files with alternatives in braces, as a shell writes them: {trn,train}Mat.pkl"""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_BRACES = re.compile(r"\{([^{}]*)\}")


def matches(folder: Path, pattern: str) -> list[Path]:
    """The files of `folder` whose names fit, in the order of the alternatives and then by name."""
    names = _alternatives(pattern)
    return [path for name in names for path in sorted(folder.glob(name)) if path.is_file()]


def said(names: Iterable[str]) -> str:
    """Names to show: of alternatives the first."""
    return ", ".join(next(_alternatives(name)) for name in names)


def _alternatives(pattern: str) -> Iterator[str]:
    # Odd parts are what stood in braces.
    parts = _BRACES.split(pattern)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    return ("".join(chosen) for chosen in itertools.product(*choices))
