"""What requests may say, with the limits of each part, and what answers look like."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mmssl_jax.serving.where import MOST_CHARACTERS

MOST_ID = 1000  # characters
MOST_USERS, MOST_HISTORY, MOST_FILTERED = 1000, 1000, 10_000  # ids
MOST_TOP = 1000
MOST_ENTRIES = 50_000  # users * top
MOST_BYTES = 1 << 20  # of a body

Id = Annotated[str, Field(min_length=1, max_length=MOST_ID, examples=["17"])]
Top = Annotated[int, Field(ge=1, le=MOST_TOP, description="Items for each list.")]
Filtered = Annotated[list[Id], Field(min_length=1, max_length=MOST_FILTERED)]


class Asked(BaseModel):
    """Lists for users of the data, or for one new user by the items that he has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    users: Annotated[list[Id], Field(min_length=1, max_length=MOST_USERS)] | None = None
    history: Annotated[list[Id], Field(min_length=1, max_length=MOST_HISTORY)] | None = None
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

    @model_validator(mode="after")
    def _one_kind(self) -> "Asked":
        if (self.users is None) == (self.history is None):
            raise ValueError("give either users or a history")
        if self.users and len(self.users) * self.top > MOST_ENTRIES:
            raise ValueError(f"users times top must not exceed {MOST_ENTRIES}")
        return self


class Entry(BaseModel):
    """An item of a list."""

    rank: int
    item_id: str
    title: str | None
    score: float


class OfUser(BaseModel):
    """The list of a user; `user_id` is null for a history."""

    user_id: str | None
    known: bool = Field(description="False: the model knows nothing of him; the most popular.")
    items: list[Entry]


class Lists(BaseModel):
    """Lists in the order of the users that were asked for."""

    epoch: int = Field(description="The checkpoint that made them.")
    lists: list[OfUser]


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
