"""What `export` and `recommend` may be asked to leave out, and whom and what they are asked for."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax.data import Dataset
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import ranked_lists

# Raw ids, or indices where the data has no raw ids: one, a list, or one text with commas.
Ids = str | int | Sequence[str | int]

# The rules of --exclude-known, and what is printed of each.
LEFT_OUT = {
    "all": "left out: what a user is known to have, be it in train, val or test",
    "train": "left out: a user's items of train; those of val and test may be in the list",
    "none": "nothing is left out: what a user is known to have may be in the list",
}

_COMMAS = 8  # in an id, at most
_FEW = 20_000  # among so many ids, those that are like another are found at once


def known_rule(text: str | None, dataset: Dataset) -> str:
    """The rule that --exclude-known names; by default all, and none where people buy again."""
    rule = text or ("none" if dataset.repeats else "all")
    if rule not in LEFT_OUT:
        raise InputError(f"--exclude-known is {rule!r}; it must be one of {', '.join(LEFT_OUT)}")
    return rule


def known_pairs(rule: str, dataset: Dataset) -> csr_array | None:
    """The pairs [users, items] that a rule leaves out of the lists; None where it leaves none."""
    if rule == "all":
        return dataset.train + dataset.val + dataset.test
    return dataset.train if rule == "train" else None


def find(flag: str, given: Ids, kind: str, dataset: Dataset) -> np.ndarray:
    """The indices of ids, each once.

    Args:
      flag: where the ids were given, such as '--users'.
      given: what was given there: a list of ids, or one text with commas between.
      kind: 'user' or 'item'.
      dataset: its raw ids are looked through, or its indices where it has none.

    Raises:
      InputError: an id is unknown.
    """
    users, items = ranked_lists.user_and_item_ids(dataset)
    known, raw = (users, dataset.user_ids) if kind == "user" else (items, dataset.item_ids)
    index = {name: place for place, name in enumerate(known)}
    if isinstance(given, str):
        names = _parted(given, index)
    else:
        names = [str(name) for name in ([given] if isinstance(given, int) else given)]
    if not names:
        raise InputError(f"{flag} is an empty list; name one {kind} or more")
    missing = [name for name in names if name not in index]
    if missing and raw is not None:  # spelt otherwise, as an import would join them
        places = zip(missing, id_spelling.places(known, missing).tolist(), strict=True)
        index |= {name: place for name, place in places if place >= 0}
    for name in names:
        if name in index:
            continue
        if raw is None:
            raise InputError(
                f"{flag} has {name[:60]!r}; the data has no raw ids, so {kind}s are numbers from 0 "
                f"to {len(known) - 1}"
            )
        close = _like(name, known)
        raise InputError(f"{flag} has {name[:60]!r}, which is no {kind} of the data{close}")
    return np.array(list(dict.fromkeys(index[name] for name in names)))


def _parted(text: str, known: Mapping[str, Any]) -> list[str]:
    """The ids in a text, which has commas between them.

    Where that leaves unknown ones, neighbours that make a known id together are one: ids may have
    commas as well.
    """
    parts = text.split(",")
    names = [part.strip() for part in parts]
    if text in known:
        return [text]
    if all(name in known for name in names):
        return names
    names = []
    while parts:
        longest = min(len(parts), _COMMAS + 1)
        taken = [",".join(parts[:count]).strip() for count in range(longest, 0, -1)]
        name = next((each for each in taken if each in known), taken[-1])
        del parts[: longest - taken.index(name)]
        names.append(name)
    return names


def allowed_items(only: Ids | None, exclude: Ids | None, dataset: Dataset) -> np.ndarray | None:
    """bool [items]: what --only and --exclude leave; None where neither is given.

    Raises:
      InputError: an id is unknown, or nothing is left.
    """
    if only is None and exclude is None:
        return None
    allowed = np.full(dataset.num_items, only is None)
    if only is not None:
        allowed[find("--only", only, "item", dataset)] = True
    if exclude is not None:
        allowed[find("--exclude", exclude, "item", dataset)] = False
    if not allowed.any():
        raise InputError("--exclude and --only leave no item to be ranked")
    return allowed


def scored_items(
    allowed: np.ndarray | None, able: bool, dataset: Dataset
) -> tuple[np.ndarray | None, int]:
    """The items of `allowed_items` that a model has a score for, and how many that leaves out.

    Items without a training pair have no score but that of chance, unless the model is `able` to
    score them by their features.
    """
    trained = np.bincount(dataset.train.indices, minlength=dataset.num_items) > 0
    if able or trained.all():
        return allowed, 0
    if allowed is None:
        return trained, int(np.count_nonzero(~trained))
    return allowed & trained, int(np.count_nonzero(allowed & ~trained))


def said_of_unscored(count: int, model: str) -> str:
    """One line on the items that `scored_items` leaves out, empty where there are none."""
    if not count:
        return ""
    return f"left out: {count} items without a training pair, which '{model}' cannot score"


def _like(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, cutoff=0.7) if len(known) <= _FEW else []
    return f"; did you mean {' or '.join(ascii(each) for each in close)}?" if close else ""
