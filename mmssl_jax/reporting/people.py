"""Which users and items a report shows one by one, and what each run says of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmssl_jax.data import Dataset
from mmssl_jax.ranking import ranked_lists
from mmssl_jax.reporting.looks import Looks
from mmssl_jax.reporting.measured import Measured

USERS, ITEMS = 8, 10
HAD = 12  # of a user's items that are shown
LISTED = 10  # of a list
NEIGHBOURS = 6


def users(runs: Sequence[Measured], dataset: Dataset, looks: Looks) -> list[dict[str, Any]]:
    """Some users with test pairs, from those of the fewest training pairs to those of the most."""
    degrees = dataset.user_degrees
    able = np.intersect1d(runs[0].users, runs[0].listed)
    able = able[degrees[able] > 0] if (degrees[able] > 0).any() else able
    chosen = _spaced(able, degrees[able], USERS)
    ids, _ = ranked_lists.user_and_item_ids(dataset)
    return [
        {
            "id": ids[user],
            "pairs": int(degrees[user]),
            "had": [looks.of(item) for item in _row(dataset.train, user)[:HAD]],
            "held": len(_row(dataset.test, user)),
            "lists": [_list(run, user, dataset, looks) for run in runs],
        }
        for user in chosen.tolist()
    ]


def _list(run: Measured, user: int, dataset: Dataset, looks: Looks) -> dict[str, Any]:
    place = int(np.searchsorted(run.listed, user))
    items = [item for item in run.lists.items[place, :LISTED].tolist() if item >= 0]
    held = set(_row(dataset.test, user))
    return {
        "run": run.name,
        "items": [(looks.of(item), item in held) for item in items],
        "hits": sum(item in held for item in items),
    }


def items(runs: Sequence[Measured], dataset: Dataset, looks: Looks) -> list[dict[str, Any]]:
    """Some items, from the rarest to the most popular, with those nearest to them in each run."""
    popularity = dataset.item_degrees
    able = np.flatnonzero(popularity)
    chosen = _spaced(able, popularity[able], ITEMS)
    nearest = [run.space.neighbours(chosen, NEIGHBOURS) for run in runs]
    return [
        {
            "look": looks.of(item),
            "pairs": int(popularity[item]),
            "lists": [
                {
                    "run": run.name,
                    "items": [
                        (looks.of(near), cosine)
                        for near, cosine in zip(
                            found[place].tolist(), cosines[place].tolist(), strict=True
                        )
                        if near >= 0
                    ],
                }
                for run, (found, cosines) in zip(runs, nearest, strict=True)
            ],
        }
        for place, item in enumerate(chosen.tolist())
    ]


def _row(matrix: Any, user: int) -> list[int]:
    found: list[int] = matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]].tolist()
    return found


def _spaced(able: np.ndarray, counts: np.ndarray, count: int) -> np.ndarray:
    """As many of these, evenly spaced in the order of their counts, of equal ones by chance."""
    shuffled = np.random.default_rng(0).permutation(len(able))
    ordered = able[shuffled][np.argsort(counts[shuffled], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered)))
    return ordered[np.unique(places.astype(np.int64))]
