"""Answers of one checkpoint, for many requests at once; it never changes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mmssl_jax.models.model import Model
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.serving import export
from mmssl_jax.serving.service import scoring
from mmssl_jax.serving.service.catalogue import Catalogue
from mmssl_jax.serving.vector_index import VectorIndex
from mmssl_jax.training.session import Trained

_LISTED = 128  # items a user in lists made in advance
_MOST_SCORED = 200_000_000  # users * items of such lists: seconds
_MOST_SCORES = 1 << 24  # at a time


class Query(NamedTuple):
    """One list that is asked for: of a user, of a history, or of what is like an item."""

    top: int
    user: int | None = None
    history: tuple[int, ...] | None = None
    item: int | None = None
    rule: str = "all"  # of `options.LEFT_OUT`
    allowed: np.ndarray | None = None  # bool [items], of `Catalogue.allowed`


class Answer(NamedTuple):
    """The best items and their scores; `known` is false for a list by popularity."""

    items: list[int]
    scores: list[float]
    known: bool


class Engine:
    """A trained model that is asked; safe to be asked by one thread at a time."""

    def __init__(self, trained: Trained, catalogue: Catalogue, kind: str):
        """Makes the index of vectors, or the lists, of all users; compiles what is asked most.

        Args:
          trained: the run.
          catalogue: of its data.
          kind: of `vector_index.KINDS`, for models whose scores are inner products.
        """
        self.trained, self.catalogue = trained, catalogue
        model, dataset = trained.model, trained.dataset
        self._representation = trained.representation()
        vectors = export.vectors_of(model, self._representation, dataset)
        self._index, self._lists = None, None
        if vectors:
            order = catalogue.order
            if catalogue.scored is not None:
                order = order[catalogue.scored[order]]
            self._users = vectors["users"]
            self._index = VectorIndex(vectors["items"], order, kind)
        elif dataset.num_users * dataset.num_items <= _MOST_SCORED:
            self._lists = self._listed()
        self._rankers = scoring.rankers(model)
        self.answer([Query(10, user=0, rule=catalogue.rule, allowed=catalogue.scored)])

    @property
    def answers_from(self) -> str:
        """What most answers come from: an index by its kind, lists made in advance, or scores."""
        if self._index is not None:
            return self._index.kind
        return "scores" if self._lists is None else "lists"

    @property
    def model(self) -> Model:
        return self.trained.model

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """The lists of these queries, in their order."""
        near = [place for place, query in enumerate(queries) if self._by_vector(query)]
        answers = self._nearest(near, queries)
        for place, query in enumerate(queries):
            if place not in answers and (listed := self._from_lists(query)) is not None:
                answers[place] = listed
        for kind in ("user", "history", "item"):
            left = [p for p, query in enumerate(queries) if p not in answers]
            left = [p for p in left if getattr(queries[p], kind) is not None]
            most = max(1, min(scoring.MOST_AT_ONCE, _MOST_SCORES // self.trained.dataset.num_items))
            for start in range(0, len(left), most):
                part = left[start : start + most]
                found = self._ranked(kind, [queries[place] for place in part])
                answers |= dict(zip(part, found, strict=True))
        return [answers[place] for place in range(len(queries))]

    # Vectors

    def _by_vector(self, query: Query) -> bool:
        return (
            self._index is not None
            and query.user is not None
            and query.allowed is self.catalogue.scored
            and bool(self.catalogue.fallback.trained[query.user])
        )

    def _nearest(self, places: Sequence[int], queries: Sequence[Query]) -> dict[int, Answer]:
        """The answers to the queries at these places, each search for as many items as it needs."""
        out = {
            place: set(self.catalogue.known(queries[place].user or 0, queries[place].rule).tolist())
            for place in places
        }
        counts = {place: _needed(queries[place].top + len(out[place])) for place in places}
        answers: dict[int, Answer] = {}
        for count in set(counts.values()):
            part = [place for place in places if counts[place] == count]
            users = [queries[place].user or 0 for place in part]
            found = self._index.search(self._users[users], count) if self._index else ()
            for place, items, scores in zip(part, *map(np.ndarray.tolist, found), strict=True):
                left = ((i, s) for i, s in zip(items, scores, strict=True) if i >= 0)
                kept = [pair for pair in left if pair[0] not in out[place]][: queries[place].top]
                answers[place] = Answer([i for i, _ in kept], [s for _, s in kept], True)
        return answers

    # Lists

    def _listed(self) -> ranked_lists.RankedLists:
        trained, catalogue = self.trained, self.catalogue
        dataset = trained.dataset
        return ranked_lists.rank(
            self._representation,
            trained.model.score,
            np.arange(dataset.num_users),
            min(_LISTED, dataset.num_items),
            catalogue.pairs(catalogue.rule),
            trained.config.evaluation.user_block,
            dataset,
            catalogue.scored,
        )

    def _from_lists(self, query: Query) -> Answer | None:
        asked = query.user is not None and query.rule == self.catalogue.rule
        if self._lists is None or not asked or query.allowed is not self.catalogue.scored:
            return None
        if query.top > (width := self._lists.items.shape[1]) < self.trained.dataset.num_items:
            return None
        items, scores = (array[query.user][: min(query.top, width)] for array in self._lists)
        left = items >= 0
        known = bool(self.catalogue.fallback.trained[query.user])
        return Answer(items[left].tolist(), scores[left].tolist(), known)

    # Scores

    def _ranked(self, kind: str, queries: Sequence[Query]) -> list[Answer]:
        """Ranks by the model's own scores, with shapes of which there are few."""
        catalogue = self.catalogue
        size = scoring.at_least(len(queries), scoring.SIZES)
        mask = np.zeros((size, len(catalogue.order)), bool)
        known = np.ones(size, bool)
        for row, query in enumerate(queries):
            mask[row] = True if query.allowed is None else query.allowed
            mask[row, self._left_out(query)] = False
            known[row] = self._is_known(query)
        longest = max(query.top for query in queries)
        top = min(scoring.at_least(longest, scoring.TOPS), len(catalogue.order))
        asked, rows = scoring.distinct(kind, queries, size, len(catalogue.order))
        best, found = self._rankers[kind](
            self._representation, asked, rows, mask, known, *self._ties(), top=top
        )
        answers = []
        for query, items, scores, own in zip(
            queries, np.asarray(found), np.asarray(best), known, strict=False
        ):
            left = scores[: query.top] > -np.inf
            listed = items[: query.top][left], scores[: query.top][left]
            answers.append(Answer(listed[0].tolist(), listed[1].tolist(), bool(own)))
        return answers

    def _ties(self) -> tuple[np.ndarray, np.ndarray]:
        return self.catalogue.fallback.scores, self.catalogue.order

    def _left_out(self, query: Query) -> Any:
        if query.user is not None:
            return self.catalogue.known(query.user, query.rule)
        if query.item is not None:
            return [query.item]
        return [] if query.rule == "none" else list(query.history or ())

    def _is_known(self, query: Query) -> bool:
        """Whether the model knows anything of who asks; others get the most popular items."""
        popularity, trained = self.catalogue.fallback.scores, self.catalogue.fallback.trained
        if query.user is not None:
            return bool(trained[query.user])
        if query.history is not None:
            of_any = bool(popularity[list(query.history)].any())
            return self.model.scores_cold_items or of_any
        return True


def _needed(count: int) -> int:
    """How many items are searched for: one of a few numbers, so that searches can be joined."""
    return max(32, 1 << (count - 1).bit_length())
