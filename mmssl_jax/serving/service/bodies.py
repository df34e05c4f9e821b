"""What requests may say, with the limits of each part, and what answers look like."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from mmssl_jax.serving.where import MOST_CHARACTERS

MOST_ID = 1000  # characters
MOST_USERS, MOST_HISTORY, MOST_FILTERED = 200, 1000, 10_000  # ids
MOST_TOP = 500
MOST_BYTES = 1 << 20  # of a body
_MOST_KEYS = 20  # of its object; more are not looked at one by one


def _whole(value: Any) -> Any:
    """10.0 is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Id = Annotated[str, Field(min_length=1, max_length=MOST_ID, examples=["17"])]
Top = Annotated[
    int,
    Field(ge=1, le=MOST_TOP, description="Items for each list."),
    BeforeValidator(_whole),
]
# One wrong id says enough: a body has room for a million.
Filtered = Annotated[list[Id], Field(min_length=1, max_length=MOST_FILTERED, fail_fast=True)]


class _Lists(BaseModel):
    """What may be asked of any lists."""

    model_config = ConfigDict(extra="forbid", strict=True)

    top: Top = 10
    exclude: Filtered | None = Field(None, description="Items that are in no list.")
    only: Filtered | None = Field(None, description="No other items are ranked.")
    where: str | None = Field(
        None,
        min_length=1,
        max_length=MOST_CHARACTERS,
        description="A condition on attributes of items.",
        examples=["category == 'toys'"],
    )
    exclude_known: Literal["all", "train", "none"] | None = Field(
        None, description="What a list leaves out of what a user has; by default all."
    )


class OfUsers(_Lists):
    """Lists for users of the data."""

    users: Annotated[list[Id], Field(min_length=1, max_length=MOST_USERS, fail_fast=True)]


class OfHistory(_Lists):
    """A list for one new user, by the items that he has."""

    history: Annotated[list[Id], Field(min_length=1, max_length=MOST_HISTORY, fail_fast=True)]


def _kind(body: Any) -> str | None:
    """Which of the two a body is, by what it names."""
    if not isinstance(body, dict) or len(body) > _MOST_KEYS:
        return None
    named = [name for name in ("users", "history") if name in body]
    return named[0] if len(named) == 1 else None


Asked = Annotated[
    Annotated[OfUsers, Tag("users")] | Annotated[OfHistory, Tag("history")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="it must be an object with either users or a history",
    ),
]


class Entry(BaseModel):
    """An item of a list."""

    rank: int
    item_id: str
    title: str | None
    score: float


class ListOf(BaseModel):
    """The list of a user; `user_id` is null for a history."""

    user_id: str | None
    known: bool = Field(
        description="False: it knows nothing of the user, or of the history; the most popular."
    )
    items: list[Entry]


class Lists(BaseModel):
    """Lists in the order of the users that were asked for."""

    epoch: int = Field(description="The checkpoint that made them.")
    lists: list[ListOf]


class Similar(BaseModel):
    """What is most like an item."""

    epoch: int
    similar_to: str
    items: list[Entry]


class Health(BaseModel):
    """What is served."""

    status: Literal["ok"]
    model: str
    epoch: int
    data: str
    fingerprint: str = Field(description="sha256 of the data's pairs.")
    users: int
    items: int
    answers: Literal["exact", "hnsw", "lists", "scores"]


class Problem(BaseModel):
    """Why there is no answer, in one line."""

    detail: str
