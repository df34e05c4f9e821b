"""Names of files with alternatives in braces, as a shell writes them: {trn,train}Mat.pkl"""

import itertools
import re
from pathlib import Path

_BRACES = re.compile(r"\{([^{}]*)\}")


def matches(folder: Path, pattern: str) -> list[Path]:
    """The files of `folder` whose names fit, in the order of the alternatives and then by name."""
    # Odd parts are what stood in braces.
    parts = _BRACES.split(pattern)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    names = ("".join(chosen) for chosen in itertools.product(*choices))
    return [path for name in names for path in sorted(folder.glob(name)) if path.is_file()]
