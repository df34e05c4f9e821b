"""Published figures beside our own, with the reason why they are not the same work.

A JSON file has `source`, what the figures are; `models`, name of a row -> [Recall@20, NDCG@20],
from 0 to 1; and perhaps `why`, name of a row -> what was done otherwise.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic


@dataclasses.dataclass(frozen=True)
class Published:
    """What a file of published figures has."""

    source: str
    scores: dict[str, list[float]]  # name of a row -> [Recall@20, NDCG@20]
    why: dict[str, str]  # name of a row -> why it is not the same work

    def reasons(self, names: Sequence[str]) -> list[str]:
        """A line on each of these rows that has a figure and a reason."""
        return [f"- {name}: {self.why[name]}" for name in names if name in self.why]


def read(path: Path) -> Published:
    """Reads a file; raises InputError where it is none."""
    content = atomic.read_json(path)
    try:
        scores = {name: _figures(values) for name, values in content["models"].items()}
        why = {name: _text(text) for name, text in content.get("why", {}).items()}
        source = _text(content["source"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: has no published scores ({error!r})") from error
    if unknown := why.keys() - scores.keys():
        raise InputError(f"{path}: has a reason for {min(unknown)!r}, which has no figure")
    return Published(source, scores, why)


def _figures(values: Any) -> list[float]:
    """Recall@20 and NDCG@20; ValueError where they are not two numbers from 0 to 1."""
    numbers = isinstance(values, list) and all(type(value) in (int, float) for value in values)
    if not numbers or len(values) != 2 or not all(0 <= value <= 1 for value in values):
        raise ValueError(f"{values!r:.60} is not [Recall@20, NDCG@20], from 0 to 1")
    return [float(value) for value in values]


def _text(value: Any) -> str:
    """A text in one line; ValueError for what is none."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.60} is no text")
    return " ".join(value.split())
