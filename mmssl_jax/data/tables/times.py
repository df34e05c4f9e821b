"""A table's column of times as numbers that rise with time, and what is odd about them."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.errors import InputError

# Of each unit, how many make a second. A number is taken to be in the unit in which it lies in the
# years 1973 to 2286: there no number lies in two of them.
_UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_EARLIEST, _LATEST = 10**8, 10**10  # seconds
_COMMON = _UNITS["microseconds"]
_YEAR_FIRST = r"^\s*(\d{4})[-/](\d\d?)[-/](\d\d?)"  # 05/06/2024 is May to some and June to others
_ZONE = r"\s*(?:Z|UTC|GMT)$"
_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f")
_ZONED = ("%Y-%m-%d %H:%M%z", "%Y-%m-%d %H:%M:%S%.f%z")


def read(path: Path, column: pl.Series, name: str) -> tuple[np.ndarray, bool, list[str]]:
    """The times, int or float [n]; whether they are microseconds since 1970; what is to be said.

    That they are where the column has dates, or numbers of several units. Numbers in one unit stay
    as they are.

    Raises:
      InputError: a time is missing, or is neither a number nor a date with the year first.
    """
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if empty := column.null_count():
        raise InputError(
            f"{path}: column {listed([name])} has no time in {counted(empty, 'row')}; complete it, "
            "or choose another --split"
        )
    said: list[str] = []
    numbers = None if column.dtype.is_temporal() else _numbers(column)
    if numbers is None:
        times, common = _dates(path, column, name, said), True
        _say_implausible(path, times, _COMMON, name, said)
        return times, common, said
    units = _units(numbers)
    found = [unit for unit, here in units.items() if here.any()]
    if len(found) > 1:
        numbers = _converted(numbers, units)
        _say_units(path, name, units, len(numbers), said)
    if found and sum(here.sum() for here in units.values()) > len(numbers) / 2:
        per_second = _COMMON if len(found) > 1 else _UNITS[found[0]]
        _say_implausible(path, numbers, per_second, name, said)
    return numbers, len(found) > 1, said


def ties(users: np.ndarray, times: np.ndarray) -> int:
    """How many users have several pairs at their last time.

    `users` are int [n] in ascending order, n > 0, and `times` numbers [n].
    """
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    last = np.maximum.reduceat(times, starts)
    at_last = times == np.repeat(last, np.diff(starts, append=len(users)))
    return int((np.add.reduceat(at_last.astype(np.int64), starts) > 1).sum())


def said_of_ties(path: Path, users: np.ndarray, times: np.ndarray, last: bool) -> list[str]:
    """What to say of equal times, where rows are ordered by time or their `last` is taken."""
    if len(times) > 1 and (times == times[0]).all():
        said = "all times are the same"
    elif last and (count := ties(users, times)):
        have = worded(count, "has several pairs at the", "have several pairs at their")
        said = f"{count} of {users.max() + 1} users {have} last time"
    else:
        return []
    return [
        f"{path}: {said}, so that the order of rows decides which is last; --time-column names "
        "another column of times, if there is one"
    ]


def _numbers(column: pl.Series) -> np.ndarray | None:
    """A column as integers or, where it must be, floats; None where some are no finite numbers."""
    whole = column.dtype == pl.String or column.dtype.is_integer()  # casts cut other numbers off
    for kind in (pl.Int64, pl.Float64) if whole else (pl.Float64,):
        numbers = column.cast(kind, strict=False)
        if not numbers.null_count() and numbers.is_finite().all():
            return numbers.to_numpy()
    return None


def _units(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """For each unit, bool [n]: which of the numbers are in it."""
    return {
        unit: (numbers >= _EARLIEST * each) & (numbers < _LATEST * each)
        for unit, each in _UNITS.items()
    }


def _converted(numbers: np.ndarray, units: Mapping[str, np.ndarray]) -> np.ndarray:
    """Microseconds; what is in no unit counts as seconds."""
    times = np.zeros(len(numbers), np.int64)
    known = np.logical_or.reduce(list(units.values()))
    rest = np.clip(numbers[~known].astype(np.float64), -_LATEST, 100 * _LATEST)
    times[~known] = (rest * _COMMON).astype(np.int64)
    for unit, here in units.items():
        each = _UNITS[unit]
        if np.issubdtype(numbers.dtype, np.integer):
            part = numbers[here]
            times[here] = part * (_COMMON // each) if each <= _COMMON else part // (each // _COMMON)
        else:
            times[here] = np.round(numbers[here] * (_COMMON / each)).astype(np.int64)
    return times


def _dates(path: Path, column: pl.Series, name: str, said: list[str]) -> np.ndarray:
    """Dates, and numbers among them that are in a unit, as microseconds."""
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("us")).to_physical().to_numpy()
    if column.dtype != pl.String:
        raise _no_time(path, column, name)
    numbers = column.cast(pl.Float64, strict=False).fill_nan(None)
    units = _units(numbers.fill_null(0).to_numpy())
    known = np.logical_or.reduce(list(units.values()))
    text = column.filter(pl.Series(~known))
    dates, naive = _parsed(text)
    if dates.null_count():
        raise _no_time(path, text.filter(dates.is_null()), name)
    times = np.zeros(len(column), np.int64)
    times[~known] = dates.to_physical().to_numpy()
    if known.any():
        converted = _converted(numbers.fill_null(0).to_numpy(), units)
        times[known] = converted[known]
        _say_units(path, name, units, len(column), said)
    if 0 < naive < len(text):
        said.append(
            f"{path}: column {listed([name])} has {naive} dates without a time zone among others "
            "that have one; they count as UTC"
        )
    return times


def _parsed(text: pl.Series) -> tuple[pl.Series, int]:
    """Dates in UTC, null where there is none; and how many have no time zone."""
    text = text.str.replace(_YEAR_FIRST, "${1}-${2}-${3}").str.replace(r"^([\d-]+)[T ]\s*", "${1} ")
    text = text.str.replace(_ZONE, "+00:00").str.replace(r"\s+([+-]\d\d:?\d\d)$", "${1}")
    known = pl.Series([None] * len(text), dtype=pl.Datetime("us"))
    for form in _FORMATS:
        if not known.null_count():
            break
        known = known.fill_null(text.str.to_datetime(form, strict=False, time_unit="us"))
    naive = len(text) - known.null_count()
    for form in _ZONED if known.null_count() else ():
        zoned = text.str.to_datetime(form, strict=False, time_unit="us")
        known = known.fill_null(zoned.dt.replace_time_zone(None))
    return known, naive


def _no_time(path: Path, column: pl.Series, name: str) -> InputError:
    finite = column.cast(pl.Float64, strict=False).is_finite().fill_null(False)
    wrong = column.filter(~finite) if not finite.all() else column
    return InputError(
        f"{path}: column {listed([name])} holds {listed([str(wrong[0])])}; times must all be "
        "numbers, or dates such as 2024-05-31 or 2024-05-31T10:00:00, with the year first"
    )


def _say_units(
    path: Path, name: str, units: Mapping[str, np.ndarray], total: int, said: list[str]
) -> None:
    counts = [f"{here.sum()} in {unit}" for unit, here in units.items() if here.any()]
    if rest := total - sum(int(here.sum()) for here in units.values()):
        counts.append(counted(rest, "other"))
    said.append(
        f"{path}: column {listed([name])} has times of several kinds ({', '.join(counts)}); all "
        "were converted, by their size"
    )


def _say_implausible(
    path: Path, times: np.ndarray, per_second: int, name: str, said: list[str]
) -> None:
    early = int((times <= 0).sum())
    late = int((times > (time.time() + 86400) * per_second).sum())
    counts = [f"{early} at the start of 1970 or before"] * bool(early)
    counts += [f"{late} in the future"] * bool(late)
    if counts and early < len(times):
        said.append(
            f"{path}: column {listed([name])} has times that may be none: {' and '.join(counts)}; "
            "they are taken as they are"
        )
