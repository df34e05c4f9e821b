"""What is asked about: users with their histories and candidates, and items in words."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mmssl_jax.augmentation.options import PAIRS, AugmentOptions
from mmssl_jax.data import Dataset
from mmssl_jax.data.encoding import item_table
from mmssl_jax.data.encoding.item_table import Warn
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.training.session import Trained

_MOST = 200  # characters of a field
_JOINERS = "\u200c\u200d"  # within words of some scripts, and between emoji
FEWEST = 2  # candidates: one that is liked, and another


class Subjects(NamedTuple):
    """All that is asked about."""

    dataset: Dataset
    items: "Items"
    users: np.ndarray  # [n] with a training pair
    candidates: np.ndarray  # int32 [n, count], -1 for none; [0, 0] where none are needed


class Items(NamedTuple):
    """What is known of each item in words: field -> a text of each item, '' where there is none."""

    fields: dict[str, tuple[str, ...]]

    def described(self, item: int) -> str:
        """An item on one line, the first field plain; '' where nothing is known."""
        first, *others = self.fields
        parts = [self.fields[first][item]]
        texts = {name: self.fields[name][item] for name in others}
        parts += [f"{name}: {text}" for name, text in texts.items() if text]
        return "; ".join(filter(None, parts))


def find(trained: Trained, options: AugmentOptions, warn: Warn) -> Subjects:
    """What a run's data has to ask about.

    Raises:
      InputError: nothing is known of the items in words, or there are too few of them.
    """
    dataset = trained.dataset
    items, users = items_of(dataset, options, warn), users_of(dataset)
    none = np.zeros((0, 0), np.int32)
    asked = PAIRS in options.asked
    found = candidates(trained, users, options.candidates) if asked else none
    return Subjects(dataset, items, users, found)


def users_of(dataset: Dataset) -> np.ndarray:
    """The users with a training pair, int64: of the others nothing is known."""
    return np.flatnonzero(dataset.user_degrees)


def histories(dataset: Dataset, users: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """Items of each user's training pairs, the first `most` in `tie_order`: no numbering counts."""
    place = np.argsort(dataset.tie_order)
    for user in users:
        items = dataset.train.indices[dataset.train.indptr[user] : dataset.train.indptr[user + 1]]
        yield items[np.argsort(place[items])][:most]


def candidates(trained: Trained, users: np.ndarray, count: int) -> np.ndarray:
    """The best items of each user outside the training pairs, int32 [users, count]; -1 for none.

    Held-out pairs have no part: an item of validation or test is a candidate like any other. Items
    that the model cannot score are none.

    Raises:
      InputError: there are too few items.
    """
    dataset, model = trained.dataset, trained.model
    scored = dataset.item_degrees > 0
    if model.scores_cold_items:
        scored[:] = True
    if count > scored.sum():
        raise InputError(f"--candidates is {count}; there are {scored.sum()} items to choose from")
    lists = ranked_lists.rank(
        trained.representation(),
        model.score,
        users,
        count,
        dataset.train,
        trained.config.evaluation.user_block,
        dataset,
        allowed=scored,
    )
    return lists.items


def items_of(dataset: Dataset, options: AugmentOptions, warn: Warn) -> Items:
    """The items in words, of --items or else by the data's own titles.

    Raises:
      InputError: nothing is known of any item.
    """
    if options.items is None:
        fields = {"title": dataset.item_titles or ()}
        remedy = "give --items FILE and --fields COLUMN,..."
    else:
        fields = _read(dataset, options, warn)
        remedy = "give other --fields"
    if not any(any(texts) for texts in fields.values()):
        raise InputError(
            f"nothing is known of the items of '{dataset.name}' in words, which a language model "
            f"needs; {remedy}"
        )
    items = Items({name: tuple(map(_line, texts)) for name, texts in fields.items()})
    lacking = sum(not items.described(item) for item in range(dataset.num_items))
    if lacking:
        warn(f"nothing is known in words of {lacking} of {dataset.num_items} items: left out")
    return items


def _read(dataset: Dataset, options: AugmentOptions, warn: Warn) -> dict[str, tuple[str, ...]]:
    assert options.items is not None
    ids = dataset.item_ids or tuple(map(str, range(dataset.num_items)))
    said: set[str] = set()  # each column repeats what is said of the rows
    fields = {
        name: item_table.aligned(
            dataset.name, ids, options.items, options.id_column, (name,), said.add
        )
        for name in options.fields
    }
    for message in sorted(said):
        warn(message)
    return fields


def _line(text: str) -> str:
    """On one line, and without what a model's template may take for the end of a message."""
    plain = "".join(c if c.isprintable() or c in _JOINERS else " " for c in text)
    plain = re.sub(r"<(?=[|/\w])", "< ", plain)
    return re.sub(r"\s+", " ", plain).strip()[:_MOST]
