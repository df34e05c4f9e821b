"""Text files of people, read whole."""

from pathlib import Path

from mmssl_jax.errors import InputError


def read(path: Path, encoding: str = "utf-8-sig") -> str:
    """The text of a file in UTF-8; by default a byte order mark is left out.

    Raises InputError where it cannot be read.
    """
    try:
        return path.read_text(encoding=encoding)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text ({error})") from error
