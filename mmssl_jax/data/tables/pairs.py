"""Which rows of a table are its pairs, and which of these are left in a k-core."""

import itertools
from collections.abc import Iterator

import numpy as np

_BLOCK, _SAMPLE = 1 << 23, 997  # keys that are sorted at a time; one in so many is looked at first


def in_k_core(users: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """Which pairs are left when users and items with fewer than `k` of them go, again and again.

    `users` and `items` are int [n], no pair twice; the result is bool [n].
    """
    kept = np.ones(len(users), bool)
    sides = [(ids, np.bincount(ids)) for ids in (users, items)]
    while True:
        few = np.zeros(len(users), bool)
        for ids, degrees in sides:
            few |= (degrees < k)[ids]
        few &= kept
        if not few.any():
            return kept
        kept &= ~few
        for ids, degrees in sides:
            degrees -= np.bincount(ids[few], minlength=len(degrees))


def distinct(keys: np.ndarray, times: np.ndarray | None, every_time: bool) -> np.ndarray:
    """For each key, in ascending order, the row of its earliest time, of those the first.

    With `every_time` that of each of its times; without times these are the rows.
    """
    rows = [np.zeros(0, np.int32)]
    for inside in _blocks(keys):
        own = keys[inside]
        when = None if times is None else times[inside]
        if when is not None and every_time:
            order = np.lexsort((when, own))
            new = (np.diff(own[order], prepend=-1) != 0) | (np.diff(when[order], prepend=0) != 0)
        else:
            order = _order(own)
            new = np.diff(own[order], prepend=-1) != 0
            if when is None:
                new |= every_time
            elif not new.all():
                new = _earliest(new, when[order])
        rows.append(inside[order[new]])
    return np.concatenate(rows)


def _order(keys: np.ndarray) -> np.ndarray:
    """The stable order of keys, of numbers that hold key and place: that sort is far faster."""
    bits, least = len(keys).bit_length(), keys.min(initial=0)
    if int(keys.max(initial=0) - least) >> (63 - bits):
        return np.argsort(keys, kind="stable")
    packed = np.sort((keys - least) << bits | np.arange(len(keys)))
    return packed & ((1 << bits) - 1)


def _earliest(first: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Of the rows of each key, which begin where `first` holds, the first at its earliest time."""
    starts = np.flatnonzero(first)
    key = np.cumsum(first) - 1
    at = np.flatnonzero(times == np.minimum.reduceat(times, starts)[key])
    found = np.zeros(len(times), bool)
    found[at[np.diff(key[at], prepend=-1) != 0]] = True
    return found


def _blocks(keys: np.ndarray) -> Iterator[np.ndarray]:
    """The places of all keys, int32, in parts whose keys are higher and higher.

    Sorting each takes less memory than sorting all, and less time.
    """
    count = -(-len(keys) // _BLOCK)
    cuts = np.quantile(keys[::_SAMPLE], np.arange(1, count) / count) if count > 1 else []
    bounds = [0, *(int(cut) for cut in cuts), np.iinfo(np.int64).max]
    for start, end in itertools.pairwise(bounds):
        yield np.flatnonzero((keys >= start) & (keys < end)).astype(np.int32)


def latest(keys: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which rows are the last of their key, of those at the same time the later row; bool [n]."""
    order = np.lexsort((times, keys))
    latest = np.zeros(len(keys), bool)
    latest[order[np.diff(keys[order], append=-1) != 0]] = True
    return latest
