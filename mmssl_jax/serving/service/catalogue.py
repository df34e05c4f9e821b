"""What answers need of the data: ids, attributes, what a user has. It outlives checkpoints."""

import collections
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from mmssl_jax.data import Dataset
from mmssl_jax.data.features import item_attributes
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.ranking.fallback import Fallback, fallback
from mmssl_jax.serving import options
from mmssl_jax.serving import where as conditions

_CONDITIONS_KEPT = 16  # the items of each, a byte an item


class Unknown(Exception):
    """An id that the data does not have; the text is one line."""


class Filters(NamedTuple):
    """Which items may be in a list; all where nothing is given."""

    exclude: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    where: str | None = None


class Catalogue:
    """The users and items of a run's data."""

    def __init__(self, dataset: Dataset, scores_cold_items: bool):
        """Reads the attributes too; InputError where their table cannot be read."""
        self.dataset = dataset
        self.user_ids, self.item_ids = ranked_lists.user_and_item_ids(dataset)
        self._users = {name: index for index, name in enumerate(self.user_ids)}
        self._items = {name: index for index, name in enumerate(self.item_ids)}
        self._attributes: pl.DataFrame = options.attributes_of(dataset)
        self.titles: list[str | None] = self._attributes[item_attributes.TITLE].to_list()
        self.order = np.asarray(dataset.tie_order, np.int32)
        self.fallback: Fallback = fallback(dataset.train)
        self.scored, _ = options.scored_items(None, scores_cold_items, dataset)
        self.scores_cold_items = scores_cold_items
        self.rule = options.known_rule(None, dataset)
        self._known = {rule: options.known_pairs(rule, dataset) for rule in options.LEFT_OUT}
        self._kept: collections.OrderedDict[str, np.ndarray] = collections.OrderedDict()
        self._lock = threading.Lock()

    def user(self, name: str) -> int:
        """The index of a user; raises Unknown."""
        return _index(self._users, name, "user")

    def item(self, name: str) -> int:
        """The index of an item; raises Unknown."""
        return _index(self._items, name, "item")

    def items(self, names: Sequence[str]) -> tuple[int, ...]:
        """The indices of items, each once; raises Unknown."""
        return tuple(dict.fromkeys(self.item(name) for name in names))

    def pairs(self, rule: str) -> csr_array | None:
        """The pairs [users, items] that a rule of `options.LEFT_OUT` leaves out."""
        return self._known[rule]

    def known(self, user: int, rule: str) -> np.ndarray:
        """The items that a rule leaves out of a user's list."""
        pairs = self._known[rule]
        if pairs is None:
            return np.zeros(0, np.int32)
        found: np.ndarray = pairs.indices[pairs.indptr[user] : pairs.indptr[user + 1]]
        return found

    def allowed(self, filters: Filters) -> np.ndarray | None:
        """bool [items]: those that may be in a list and that the model can score; None for all.

        Raises:
          Unknown: an id is not in the data.
          InputError: a condition is none.
        """
        if filters == Filters():
            return self.scored
        allowed = np.full(len(self.item_ids), filters.only is None)
        if filters.only is not None:
            allowed[list(self.items(filters.only))] = True
        allowed[list(self.items(filters.exclude))] = False
        if filters.where is not None:
            allowed &= self._matching(filters.where)
        return allowed if self.scored is None else allowed & self.scored

    def _matching(self, condition: str) -> np.ndarray:
        with self._lock:
            if condition in self._kept:
                self._kept.move_to_end(condition)
                return self._kept[condition]
        found = conditions.matching(self._attributes, condition)
        with self._lock:
            self._kept[condition] = found
            while len(self._kept) > _CONDITIONS_KEPT:
                self._kept.popitem(last=False)
        return found


def _index(known: dict[str, int], name: str, kind: str) -> int:
    if name not in known:
        raise Unknown(f"the data has no {kind} {name[:60]!a}")
    return known[name]
