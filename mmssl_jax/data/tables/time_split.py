"""The global time split: one point in time ends training, a second one validation."""

import contextlib
import datetime
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmssl_jax.errors import InputError

_UNITS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"), (1e8, "s"))  # by size, of times since 1973
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


Time = int | float  # as in the table: a double has no room for microseconds since 1970


class Cuts(NamedTuple):
    """Pairs before `val` are trained on, those from `test` on are tested, the rest validates."""

    val: Time
    test: Time


def by_fractions(times: np.ndarray, fractions: Sequence[float]) -> Cuts:
    """Cuts that give the three splits these fractions of the pairs.

    Pairs at one time are never parted: those at a cut belong to the later split, so the earlier
    ones can only be smaller than asked for. Times are numbers [n].
    """
    ordered = np.sort(times)
    places = np.cumsum(fractions)[:2] / np.sum(fractions) * len(ordered)
    # Rounded first, or .8 + .1 of ten pairs would be 8.999...
    val, test = ordered[np.minimum(np.round(places, 6).astype(int), len(ordered) - 1)]
    return Cuts(val.item(), test.item())


def labels(times: np.ndarray, cuts: Cuts) -> np.ndarray:
    """For each pair the index of its split in `splits.SPLITS`, int8 [n]."""
    return (times >= cuts.val).astype(np.int8) + (times >= cuts.test)


def moment(text: str, times: np.ndarray, dated: bool, split: str) -> Time:
    """A point in time, as an option has it, in the unit of the table's times.

    Args:
      text: a number, for times that are numbers; or a date, with a time of day if need be, in UTC
        where it names no zone.
      times: of the table, [n].
      dated: whether they are dates (microseconds since 1970) in the file.
      split: that starts then, for the message.

    Raises:
      InputError: it is neither, or a number where the file has dates, or a date where the file has
        numbers that are no seconds (or ms, us, ns) since 1970.
    """
    flag = f"--{split}-since"
    with contextlib.suppress(ValueError):
        if not dated and np.isfinite(number := float(text)):
            return int(text) if text.isdecimal() and number < 2**63 else number
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        wanted = "a date such as 2024-05-31" if dated else "a number or a date such as 2024-05-31"
        raise InputError(f"{flag} is {text[:40]!r}; it must be {wanted}") from error
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.UTC)
    since = when - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    microseconds = since // datetime.timedelta(microseconds=1)
    unit = "us" if dated else unit_of(times)
    if unit is None:
        raise InputError(
            f"{flag} is a date, but the times of the table, {times.min()} to {times.max()}, are no "
            "seconds since 1970; give a number"
        )
    return microseconds * _PER_SECOND[unit] // 1_000_000


def shown(value: Time, times: np.ndarray, kind: str) -> str:
    """A point in time for people.

    Args:
      value: the point.
      times: of the table, [n].
      kind: what they are: "numbers", "dates" as of `moment`, or places of "rows".
    """
    if kind == "rows":
        return f"row {value + 1}"
    unit = "us" if kind == "dates" else unit_of(times)
    text = f"{value:.15g}" if isinstance(value, float) else str(value)
    if unit is None:
        return text
    with contextlib.suppress(OverflowError, ValueError):
        start = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        seconds = datetime.timedelta(microseconds=int(value * 1_000_000 // _PER_SECOND[unit]))
        date = (start + seconds).strftime("%Y-%m-%d %H:%M:%S UTC")
        return date if kind == "dates" else f"{text} ({date})"
    return text


def unit_of(times: np.ndarray) -> str | None:
    """The unit in which numbers count the time since 1970, by their size; None if they do not."""
    middle = float(np.median(times))
    return next((unit for least, unit in _UNITS if middle >= least), None)
