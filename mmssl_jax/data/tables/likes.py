"""Which rows of a table count as likes: by rating and by event."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.data.tables.id_spelling import NO_VALUE
from mmssl_jax.errors import InputError

ANY, LATEST = "any", "latest"
_FEW = 12  # values that are listed
# What says no; an event that undoes one, such as unlike or remove_from_cart, follows on a like.
_DENIALS = (
    r"(?i)^(dis_?like[sd]?|down_?vote[sd]?|thumbs?[ _-]?down|hate[sd]?|not[ _-]?interested|"
    r"block(s|ed)?)$"
)


class Rule(NamedTuple):
    """What makes a row a like.

    `min_rating` is the lowest rating, None for none; `rating_of` says whether ANY row of a pair is
    enough or its LATEST counts; `events` are those that count, None for all that deny nothing.
    """

    min_rating: float | None = None
    rating_of: str = ANY
    events: tuple[str, ...] | None = None


def select(
    path: Path,
    frame: pl.DataFrame,
    taken: Mapping[str, str],
    rule: Rule,
    latest: np.ndarray | None,
    keys: np.ndarray,
) -> tuple[np.ndarray, dict[str, int], list[str]]:
    """Which rows are likes, bool [n]; how many each step leaves; what is to be said.

    Args:
      path: named in messages.
      frame: may have the columns 'rating' and 'event'.
      taken: the columns' own names.
      rule: what makes a row a like.
      latest: which rows are the last of their pair, bool [n]; for `LATEST`.
      keys: a number for the pair of each row, int [n].

    Raises:
      InputError: a rating is no number, or an event that is asked for is not there.
    """
    liked = np.ones(len(frame), bool)
    counts: dict[str, int] = {}
    said: list[str] = []
    if "event" in taken:
        liked &= _by_event(path, frame["event"], taken["event"], rule.events, counts, said)
    if "rating" in taken:
        ratings = _numbers(path, frame["rating"], taken["rating"], rule.min_rating is not None)
        if ratings is None:
            said.append(
                f"{path}: column {listed([taken['rating']])} is not used ("
                f"{_values(frame['rating'])}); --events and --event-column keep some values alone"
            )
        else:
            good = _by_rating(path, ratings, taken["rating"], rule, said)
            if rule.rating_of == LATEST:
                good &= latest
            elif sides := _on_both_sides(keys[liked], good[liked]):
                said.append(
                    f"{path}: {counted(sides, 'pair has', 'pairs have')} a rating that counts and "
                    f"one that does not, and {worded(sides, 'is', 'are')} kept; --rating-of "
                    f"{LATEST} takes the last alone"
                )
            liked &= good
            if rule.min_rating is not None:
                counts[f"rated {rule.min_rating:g} or more"] = int(liked.sum())
            elif not good.all():
                counts["rated as likes"] = int(liked.sum())
    return liked, counts, said


def _by_event(
    path: Path,
    column: pl.Series,
    name: str,
    events: tuple[str, ...] | None,
    counts: dict[str, int],
    said: list[str],
) -> np.ndarray:
    if events is not None:
        if unknown := [event for event in events if not (column == event).any()]:
            raise InputError(
                f"{path}: column {listed([name])} has no {listed(unknown)}; it has "
                f"{_values(column)}"
            )
        chosen = column.is_in(list(events)).fill_null(False)
        names = " or ".join(repr(event[:40])[1:-1] for event in events)
        counts[f"with {names}"] = int(chosen.sum())
        return chosen.to_numpy()
    denied = column.str.contains(_DENIALS).fill_null(False)
    if denied.any():
        counts["not denied"] = int((~denied).sum())
        shown = listed(column.filter(denied).unique().sort().to_list())
        count = int(denied.sum())
        done = worded(count, "is no like and was", "are no likes and were")
        said.append(
            f"{path}: {counted(count, 'row')} with {shown} in column {listed([name])} {done} left "
            "out; --events says which count"
        )
    rest = column.filter(~denied)
    if rest.drop_nulls().n_unique() > 1:
        said.append(
            f"{path}: all rows count alike, whatever is in column {listed([name])} "
            f"({_values(rest)}); --events A,B keeps those with A or B alone"
        )
    return ~denied.to_numpy()


def _by_rating(
    path: Path, ratings: pl.Series, name: str, rule: Rule, said: list[str]
) -> np.ndarray:
    if rule.min_rating is not None:
        if unrated := ratings.null_count():
            said.append(
                f"{path}: {counted(unrated, 'row has', 'rows have')} no rating in column "
                f"{listed([name])}, and {worded(unrated, 'was', 'were')} left out by --min-rating"
            )
        return (ratings >= rule.min_rating).fill_null(False).to_numpy()
    known = ratings.drop_nulls()
    flags = bool(known.is_in([-1.0, 0.0, 1.0]).all()) and bool((known == 1).any())
    bad = ((ratings <= 0) if flags else (ratings < 0)).fill_null(False)
    kind = "0 or less" if flags else "negative"
    column = f"column {listed([name])}"
    if bad.any():
        count = int(bad.sum())
        said.append(
            f"{path}: {counted(count, 'row is', 'rows are')} {kind} in {column}, which is no like, "
            f"and {worded(count, 'was', 'were')} left out; --min-rating X keeps those rated X or "
            "more"
        )
    rest = known.filter(known >= 0)
    if rest.n_unique() > 1 and not flags:
        said.append(
            f"{path}: all rows count as likes, whatever is in {column} ({_range(rest)}); "
            "--min-rating X keeps those rated X or more"
        )
    return ~bad.to_numpy()


def _numbers(path: Path, column: pl.Series, name: str, needed: bool) -> pl.Series | None:
    """A column as float64, null where there is none; None if it holds something else.

    NaN is none, and so are words such as null and NA.
    """
    if column.dtype == pl.String:
        column = column.set(column.str.contains(NO_VALUE).fill_null(False), None)
        flags = {"true": "1", "false": "0"}
        lower = column.str.to_lowercase()
        if lower.is_in(list(flags)).any():
            column = lower.replace(flags)
    ratings = column.cast(pl.Float64, strict=False)
    if ratings.null_count() == column.null_count():
        return ratings.fill_nan(None)
    if not needed:
        return None
    wrong = column.filter(ratings.is_null() & column.is_not_null())[0]
    raise InputError(
        f"{path}: column {listed([name])} holds {listed([str(wrong)])}, which is no rating; "
        "correct it, or name another --rating-column"
    )


def _on_both_sides(keys: np.ndarray, good: np.ndarray) -> int:
    """How many pairs have rows that count and rows that do not."""
    if good.all():
        return 0
    codes = np.sort(keys * 2 + good)
    return int(((codes[:-1] % 2 == 0) & (np.diff(codes) == 1)).sum())


def _range(ratings: pl.Series) -> str:
    numbers = ratings.to_numpy()
    return f"{numbers.min():g} to {numbers.max():g}"


def _values(column: pl.Series) -> str:
    """The values with their counts, the most frequent first."""
    counts = column.drop_nulls().value_counts(sort=True, name="count")
    shown = ", ".join(f"{value[:40]!r} {count}" for value, count in counts.head(_FEW).rows())
    return shown + (f" and {len(counts) - _FEW} more" if len(counts) > _FEW else "")
