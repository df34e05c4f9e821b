"""Published figures beside our own, with the reason why they are not the same work.

A JSON file has `source`, what the figures are; `models`, name of a row -> [Recall@20, NDCG@20]; and
perhaps `why`, name of a row -> what was done otherwise.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

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
        scores = {name: list(map(float, values)) for name, values in content["models"].items()}
        why = {name: " ".join(str(text).split()) for name, text in content.get("why", {}).items()}
        if any(len(values) != 2 for values in scores.values()):
            raise ValueError("a model has two figures: Recall@20, NDCG@20")
        source = str(content["source"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: has no published scores ({error!r})") from error
    if unknown := why.keys() - scores.keys():
        raise InputError(f"{path}: has a reason for {min(unknown)!r}, which has no figure")
    return Published(source, scores, why)
