"""What `mmssl augment` can be told."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from mmssl_jax.data.encoding.encode import TEXT_MODEL
from mmssl_jax.data.features import folder as features
from mmssl_jax.errors import InputError

ENDPOINT, NONE, STAND_IN = PROVIDERS = ("endpoint", "none", "stand-in")
PAIRS, PROFILES, ATTRIBUTES = PARTS = ("pairs", "profiles", "attributes")
LIMITS = ("max_tokens", "max_completion_tokens")  # of an answer, as servers call it
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
        if unknown := [part for part in self.parts if part not in PARTS]:
            raise InputError(f"--parts has {unknown[0][:40]!r}; it can have {', '.join(PARTS)}")
        if ATTRIBUTES in self.parts and not self.attributes:
            raise InputError("--parts has attributes; name them with --attributes NAME,...")
        for name in self.attributes:
            if not features.is_name(name):
                raise InputError(
                    f"--attributes has {name[:40]!r}; take letters, digits, _ and - for a name"
                )
        names = [name.lower() for name in (*map(column_name, self.fields), *self.attributes)]
        if twice := [name for name in names if names.count(name) > 1 and name in self.attributes]:
            raise InputError(f"--attributes has {twice[0]!r}, which is there already; leave it out")
        if len(set(names)) < len(names):
            raise InputError(
                "--fields or --attributes have two names that are one as a file's name"
            )
        if self.items is None and (self.fields or self.id_column):
            raise InputError("--fields and --id-column are of --items FILE, which is not given")
        if self.items is not None and not self.fields:
            raise InputError("--items needs --fields COLUMN,...: what describes an item")
        if self.provider == ENDPOINT and not self.model:
            raise InputError("--provider endpoint needs --model NAME, as the endpoint calls it")
        if self.provider == STAND_IN:
            self._check_stand_in()
        _ = self.request

    def _check_stand_in(self) -> None:
        unused = {
            "--attributes": self.attributes,
            "--items": self.items,
            "--model": self.model,
            "--budget": self.budget,
            "--prices": self.prices,
            "--dry-run": self.dry_run,
        }
        if given := [name for name, value in unused.items() if value]:
            raise InputError(f"--provider stand-in has nothing for {given[0]}; leave it out")

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
        if not isinstance(given, dict) or {"messages", "model", "stream", "n"} & given.keys():
            raise InputError(
                "--body must be a JSON object without messages, model, stream and n, such as "
                '{"max_tokens": 200}'
            )
        all_fields: dict[str, Any] = {"model": self.model} | BODY | given
        fields = {name: value for name, value in all_fields.items() if value is not None}
        for name in LIMITS:
            if name in fields and not (type(fields[name]) is int and fields[name] > 0):
                raise InputError(f"--body has {name}: {fields[name]!r:.40}; give a number above 0")
        try:
            json.dumps(fields, allow_nan=False, ensure_ascii=False).encode()
        except ValueError as error:
            raise InputError("--model or --body has what no JSON can hold; correct it") from error
        return fields


def column_name(field: str) -> str:
    """What a field of --items is called as an attribute, and so as a file."""
    return re.sub(r"[^\w-]", "_", field)
