"""Says which columns of a table of pairs are not read, as one may be what makes a like."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmssl_jax.data.tables.column_names import listed, numbered
from mmssl_jax.data.tables.values import IDS

_OPTIONS = (
    "--rating-column with --min-rating, --event-column with --events, --time-column, --title-column"
)
SAYS = "columns that are not used ("


def said(path: Path, names: Sequence[str], taken: Mapping[str, str]) -> list[str]:
    """One line that names the columns that are not `taken`; none of a table without pairs."""
    others = [name for name in names if name not in taken.values()]
    return _line(path, taken, len(others), listed(others))


def said_by_number(path: Path, first: Sequence[str], taken: Mapping[str, str]) -> list[str]:
    """As `said`, of columns without names, by the values of the `first` line.

    Columns that are empty there are none, as those between the colons of 1::1193::5.
    """
    others = {
        place: value
        for place, value in enumerate(first, start=1)
        if value.strip() and str(place) not in taken.values()
    }
    return _line(path, taken, len(others), numbered(others))


def once(messages: Sequence[str]) -> list[str]:
    """The messages of several files of a table, whose unused columns need no second line."""
    kept, seen = [], set()
    for message in messages:
        _, says, columns = message.partition(SAYS)
        if not says or columns not in seen:
            kept.append(message)
        seen.add(columns)
    return kept


def _line(path: Path, taken: Mapping[str, str], count: int, shown: str) -> list[str]:
    if not count or not set(IDS) <= taken.keys():
        return []
    return [f"{path}: {SAYS}{count}): {shown}; those that matter are read by {_OPTIONS}"]
