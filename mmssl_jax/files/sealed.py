"""JSON objects that carry a checksum of their own, so that damage is no other number."""

import hashlib
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic

KEY = "checksum"
IF_MEANT = f", or, if the change is meant, remove '{KEY}' from it"

_Content = Mapping[str, Any]


def sealed(content: _Content, part: Callable[[_Content], Any] = dict) -> dict[str, Any]:
    """The content with its checksum, over what `part` takes of it; the rest may be edited."""
    return {**content, KEY: _checksum(part(content))}


def opened(
    content: _Content, where: str, remedy: str, part: Callable[[_Content], Any] = dict
) -> dict[str, Any]:
    """The content without its checksum; without one, as of earlier code, it is as it is.

    Args:
      content: as it was read.
      where: what it was read from, for the message.
      remedy: what to do where it is damaged.
      part: that of `sealed`.

    Raises:
      InputError: it is not what was sealed.
    """
    inner = {key: value for key, value in content.items() if key != KEY}
    if KEY in content and content[KEY] != _checksum(part(inner)):
        raise InputError(f"{where}: was edited or damaged, as its checksum differs; {remedy}")
    return inner


def read(path: pathlib.Path, remedy: str) -> Any:
    """The value in a JSON file; of an object, without its checksum.

    Raises:
      InputError: it is missing, broken, or not what was sealed.
    """
    content = atomic.read_json(path)
    return opened(content, str(path), remedy + IF_MEANT) if isinstance(content, dict) else content


def _checksum(content: Any) -> str:
    """Of the values, however the JSON is spaced and ordered."""
    as_read = json.loads(json.dumps(content))  # whose keys are texts, and tuples are lists
    text = json.dumps(as_read, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
