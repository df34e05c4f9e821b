"""Which users and items are meant by ids that somebody gave; unknown ones are refused."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmssl_jax.data import Dataset
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import ranked_lists

# Raw ids, or indices where the data has no raw ids: one, a list, or one text with commas.
Ids = str | int | Sequence[str | int]

_COMMAS = 8  # in an id, at most
_FEW = 20_000  # among so many ids, those that are like another are found at once


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


def _like(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, cutoff=0.7) if len(known) <= _FEW else []
    return f"; did you mean {' or '.join(ascii(each) for each in close)}?" if close else ""
