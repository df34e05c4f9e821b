"""What is wrong with a dataset (errors) and what is only suspicious (warnings).

Readers and checks put what they find into `Findings`. Training refuses at the first error and
prints the warnings; the doctor collects everything from the very same checks.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from mmssl_jax.errors import InputError

ERROR, WARNING = "error", "warning"
ERROR_OF_REPEATS, DROP, KEEP = REPEATS = ("error", "drop", "keep")

FEW_PAIRS = "--val-from-train takes pairs of users with 3 or more to train on, and there are none"
ANOTHER_VAL = (
    "'mmssl data import PATH --to data/NAME --val-from-train' holds one out of the training pairs"
)
WITHOUT_VAL = f"where the data comes without a validation split, {ANOTHER_VAL}"
TRAIN_ON_ALL = "to train on all pairs for serving, without validation, add --final to mmssl train"

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing found: `level` is ERROR or WARNING, `check` a short name, `message` one line."""

    level: str
    check: str
    message: str


@dataclasses.dataclass(frozen=True)
class SplitRules:
    """What is done about splits as they come.

    `repeats` is for pairs that return in a later split: an error (unless the folder was imported
    with them), or these are dropped from it, or kept. `val_seed` draws a validation split from the
    training pairs, for data that has none. `final` puts the pairs of every split into train, for
    serving. Entries of matrices below `min_rating` are no pairs.
    """

    repeats: str = ERROR_OF_REPEATS
    val_seed: int | None = None
    final: bool = False
    min_rating: float | None = None


class Findings:
    """All that was found. With `collect`, errors are kept too and reading goes on where it can.

    It goes through every reader, and so carries the rules that decide what of the splits is wrong.
    """

    def __init__(self, collect: bool = False, rules: SplitRules = SplitRules()) -> None:
        self.collect = collect
        self.rules = rules
        self.listed: list[Finding] = []

    def warn(self, check: str, message: str) -> None:
        self.listed.append(Finding(WARNING, check, message))

    def error(self, check: str, message: str) -> None:
        """Raises InputError, unless errors are collected."""
        if not self.collect:
            raise InputError(message)
        self.listed.append(Finding(ERROR, check, message))

    def attempt(self, check: str, function: Callable[..., _T], *args: Any) -> _T | None:
        """What `function(*args)` returns; None where it raised InputError and that is collected."""
        try:
            return function(*args)
        except InputError as error:
            if not self.collect:
                raise
            self.error(check, str(error))
            return None

    def messages(self, level: str) -> list[str]:
        """The messages of ERROR or of WARNING, in the order found."""
        return [finding.message for finding in self.listed if finding.level == level]
