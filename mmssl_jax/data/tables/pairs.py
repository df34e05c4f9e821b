"""Which rows of a table are its pairs, and which of these are left in a k-core."""

import numpy as np


def in_k_core(users: np.ndarray, items: np.ndarray, k: int) -> np.ndarray:
    """Which pairs are left when users and items with fewer than `k` of them go, again and again.

    `users` and `items` are int [n], no pair twice; the result is bool [n].
    """
    left = np.arange(len(users))
    while True:
        enough = np.ones(len(left), bool)
        for ids in (users[left], items[left]):
            enough &= (np.bincount(ids) >= k)[ids]
        if enough.all():
            break
        left = left[enough]
    kept = np.zeros(len(users), bool)
    kept[left] = True
    return kept


def distinct(keys: np.ndarray, times: np.ndarray | None, every_time: bool) -> np.ndarray:
    """For each key, in ascending order, the row of its earliest time, of those the first.

    With `every_time` that of each of its times; without times these are the rows.
    """
    order = np.argsort(keys, kind="stable") if times is None else np.lexsort((times, keys))
    new = np.diff(keys[order], prepend=-1) != 0
    if every_time:
        new |= True if times is None else np.diff(times[order], prepend=0) != 0
    rows: np.ndarray = order[new]
    return rows


def latest(keys: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Which rows are the last of their key, of those at the same time the later row; bool [n]."""
    order = np.lexsort((times, keys))
    latest = np.zeros(len(keys), bool)
    latest[order[np.diff(keys[order], append=-1) != 0]] = True
    return latest
