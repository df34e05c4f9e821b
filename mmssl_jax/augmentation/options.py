"""What `mmssl augment` can be told."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from mmssl_jax.data.encoding.encode import TEXT_MODEL
from mmssl_jax.data.features import folder as features
from mmssl_jax.errors import InputError

ENDPOINT, NONE, STAND_IN = PROVIDERS = ("endpoint", "none", "stand-in")
PAIRS, PROFILES, ATTRIBUTES = PARTS = ("pairs", "profiles", "attributes")
# Of the paper (4.1), but for the length; null in --body leaves a field out.
BODY = {"temperature": 0.6, "top_p": 0.1, "max_tokens": 400}


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
    """What is asked, of whom, and how; the flags of `mmssl augment` are called the same.

    Raises InputError for what cannot be, or has no meaning.
    """

    provider: str = NONE
    parts: tuple[str, ...] = (PAIRS, PROFILES)
    attributes: tuple[str, ...] = ()  # names of what is asked of each item; adds that part
    items: Path | None = None  # a table of items; None takes the titles of the data
    id_column: str | None = None  # of raw ids in it; None is the first
    fields: tuple[str, ...] = ()  # its columns that describe an item, the title first
    candidates: int = 10  # of a user, from the base model (|C| in the paper)
    history: int = 30  # training pairs of a user that a prompt names, at most
    model: str | None = None  # as the endpoint calls it
    body: str = "{}"  # JSON: further fields of each request
    concurrency: int = 8  # requests at a time
    timeout: int = 120  # seconds for an answer
    tries: int = 3  # answers to a prompt that may be refused before it is given up
    budget: int | None = None  # tokens, in and out, of all calls on this data together
    prices: tuple[float, float] | None = None  # dollars for a million tokens in, and out
    text_model: str = TEXT_MODEL
    profile_modality: str = "text"  # of which stand-in profiles are means
    dry_run: bool = False

    def __post_init__(self) -> None:
        if unknown := [part for part in self.parts if part not in (PAIRS, PROFILES)]:
            raise InputError(
                f"--parts has {unknown[0][:40]!r}; give {PAIRS}, {PROFILES}, or both, and "
                "--attributes NAME,... for those"
            )
        for name in self.attributes:
            if not features.is_name(name):
                raise InputError(
                    f"--attributes has {name[:40]!r}; take letters, digits, _ and - for a name"
                )
        if self.items is None and (self.fields or self.id_column):
            raise InputError("--fields and --id-column are of --items FILE, which is not given")
        if self.items is not None and not self.fields:
            raise InputError("--items needs --fields COLUMN,...: what describes an item")
        if self.provider == ENDPOINT and not self.model:
            raise InputError("--provider endpoint needs --model NAME, as the endpoint calls it")
        if self.provider == STAND_IN and self.attributes:
            raise InputError("--provider stand-in has nothing for --attributes; leave them out")
        _ = self.request

    @property
    def asked(self) -> tuple[str, ...]:
        """The parts that are made, in the order of `PARTS`."""
        return tuple(
            part for part in PARTS if part in self.parts or (part == ATTRIBUTES and self.attributes)
        )

    @property
    def request(self) -> dict[str, Any]:
        """The fields of each request besides its messages; InputError where --body is none."""
        try:
            given = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise InputError(f"--body is no JSON ({error})") from error
        if not isinstance(given, dict) or {"messages", "model", "stream"} & given.keys():
            raise InputError(
                "--body must be a JSON object without messages, model and stream, such as "
                '{"max_tokens": 200}'
            )
        fields = ({"model": self.model} if self.model else {}) | BODY | given
        return {name: value for name, value in fields.items() if value is not None}
