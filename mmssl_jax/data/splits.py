"""How the pairs of a raw table are dealt out to train, val and test."""

from collections.abc import Iterator

import numpy as np

SPLITS = ("train", "val", "test")
Pairs = tuple[np.ndarray, np.ndarray]  # (users [n], items [n]), integers

_TRAIN, _VAL, _TEST = range(len(SPLITS))
_FEWEST = 3  # pairs of a user, below which all of them are trained on
_BLOCK = 1 << 22  # pairs that are ordered at a time, and the rest of a user's
_COLD = 5  # one in so many items is cold


def per_user(users: np.ndarray, seed: int) -> np.ndarray:
    """Holds out random pairs of every user, as LATTICE does.

    Two of a user with fewer than 10 pairs, else a fifth, rounded down; the first half of these,
    rounded down, is test and the rest val. Users with fewer than 3 pairs hold out none.

    Args:
      users: int [n], in ascending order.
      seed: of the random order.

    Returns:
      For each pair the index of its split in `SPLITS`, int8 [n].
    """
    rng, labels = np.random.default_rng(seed), np.empty(len(users), np.int8)
    for part in _blocks(users):
        own = users[part]
        rank, counts = _rank(own, np.lexsort((rng.random(len(own)), own)))
        held = np.where(counts < 10, 2, counts // 5)
        held[counts < _FEWEST] = 0
        labels[part] = np.select([rank < held // 2, rank < held], [_TEST, _VAL], _TRAIN)
    return labels


def some_per_user(users: np.ndarray, seed: int) -> np.ndarray:
    """Random pairs of every user for a validation split: a tenth, rounded down, but at least one.

    Users with fewer than 3 pairs hold out none. Arguments as of `per_user`; bool [n].
    """
    rng, held = np.random.default_rng(seed), np.empty(len(users), bool)
    for part in _blocks(users):
        own = users[part]
        rank, counts = _rank(own, np.lexsort((rng.random(len(own)), own)))
        held[part] = (counts >= _FEWEST) & (rank < np.maximum(counts // 10, 1))
    return held


def leave_last(users: np.ndarray, times: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Every user's last pair is test, the one before it val.

    Args:
      users: int [n], in ascending order.
      times: numbers [n].
      rows: int [n], the place in the file; of pairs at the same time the later one counts as last.

    Returns:
      For each pair the index of its split in `SPLITS`, int8 [n]. Users with fewer than 3 pairs
      have all of them in train.
    """
    labels = np.zeros(len(users), np.int8)
    for part in _blocks(users):
        starts = np.flatnonzero(np.diff(users[part], prepend=-1))
        counts = np.diff(starts, append=part.stop - part.start)
        left = np.repeat(counts >= _FEWEST, counts)
        for split in (_TEST, _VAL):
            last = _last(left, times[part], rows[part], starts, counts)
            labels[part][last] = split
            left &= ~last
    return labels


def _last(
    left: np.ndarray, times: np.ndarray, rows: np.ndarray, starts: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """The last pair of each user that has some `left`, without a sort; bool [n]."""
    for values in (times, rows):
        least = -np.inf if values.dtype.kind == "f" else np.iinfo(values.dtype).min
        most = np.maximum.reduceat(np.where(left, values, least), starts)
        left = left & (values == np.repeat(most, counts))
    return left


def cold_items(items: np.ndarray, num_items: int, seed: int) -> np.ndarray:
    """Holds out all pairs of a random fifth of the items, which training then never sees.

    Half of these items, rounded down, go to test and the rest to val.

    Args:
      items: int [n].
      num_items: how many there are.
      seed: of the random order.

    Returns:
      For each pair the index of its split in `SPLITS`, int8 [n].
    """
    cold = np.random.default_rng(seed).permutation(num_items)[: num_items // _COLD]
    split = np.full(num_items, _TRAIN, np.int8)
    split[cold[: len(cold) // 2]] = _TEST
    split[cold[len(cold) // 2 :]] = _VAL
    labels: np.ndarray = split[items]
    return labels


def seen(users: np.ndarray, items: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which pairs are of users and items that have a training pair; bool [n]."""
    trained = labels == _TRAIN
    both = np.ones(len(labels), bool)
    for ids in (users, items):
        known = np.bincount(ids[trained], minlength=ids.max(initial=0) + 1) > 0
        both &= known[ids]
    return both


def by_label(users: np.ndarray, items: np.ndarray, labels: np.ndarray) -> dict[str, Pairs]:
    """The pairs of each split, from the labels that the rules return."""
    return {
        split: (users[labels == label], items[labels == label])
        for label, split in enumerate(SPLITS)
    }


def _blocks(users: np.ndarray) -> Iterator[slice]:
    """Parts of ascending `users`, no user in two of them: sorting all at once takes memory."""
    start = 0
    while start < len(users):
        last = users[min(start + _BLOCK, len(users)) - 1]
        end = int(np.searchsorted(users, last, side="right"))
        yield slice(start, end)
        start = end


def _rank(users: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pair's place among those of its user, by `order`, and how many its user has."""
    users = users - users[:1]
    degrees = np.bincount(users)
    starts = np.cumsum(degrees) - degrees
    rank = np.empty(len(users), np.int64)
    rank[order] = np.arange(len(users)) - starts[users]
    return rank, degrees[users]
