"""Which items a condition such as category == 'toys' and price < 20 means.

Polars evaluates it as an SQL expression. As its SQL can read files, only the words, functions and
signs listed here reach it.
"""

import re

import numpy as np
import polars as pl
from polars import selectors

from mmssl_jax.data.tables import column_names
from mmssl_jax.errors import InputError

MOST_CHARACTERS = 1000

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|'')*')
    | (?P<name>"(?:[^"\\]|"")+")
    | (?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?(?![\w.]) | \.\d+(?![\w.]))
    | (?P<word>[^\W\d]\w*)
    | (?P<sign>==|!=|<>|<=|>=|<|>|=|\(|\)|,|-(?!-))
    )""",
    re.VERBOSE,
)
_JOINING = {"and", "or", "not", "in", "like", "ilike", "between", "is", "null", "true", "false"}
_FUNCTIONS = {"lower", "upper", "starts_with", "ends_with", "array_contains", "coalesce"}
# A query, or an expression that may hold one; as names of columns they go in double quotes.
_NEVER = {
    *("select", "from", "with", "table", "values", "union", "intersect", "except", "exists"),
    *("any", "all", "some", "case", "cast", "interval", "columns", "unnest", "over", "array"),
}


def matching(table: pl.DataFrame, condition: str) -> np.ndarray:
    """bool [rows]: those for which the condition is true; where a value is missing it is not.

    Args:
      table: a row an item.
      condition: names of columns, values, comparisons, AND, OR, NOT, IN, LIKE, ILIKE, BETWEEN, IS
        NULL, and the functions above. Names with other characters go in double quotes, texts in
        single ones, dates as '2026-01-31'.

    Raises:
      InputError: it has anything else, names no column, or compares what cannot be compared.
    """
    _check(condition)
    row = "row " * 8  # no name of a column
    try:
        as_text = table.with_columns(selectors.temporal().cast(pl.String))
        found = as_text.with_row_index(row).filter(pl.sql_expr(condition))[row]
    except pl.exceptions.ColumnNotFoundError as error:
        names = column_names.listed(table.columns)
        first = str(error).partition(";")[0].partition("\n")[0]
        raise InputError(
            f"--where: {first[:100]}; the items have {names}, and texts go in single quotes"
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError) as error:
        reason = str(error).partition("\n")[0][:150]
        raise InputError(
            f"--where {condition[:60]!r} cannot be evaluated ({reason!r}); it must be a condition "
            "such as category == 'toys'"
        ) from error
    chosen = np.zeros(len(table), bool)
    chosen[found.to_numpy()] = True
    return chosen


def _check(condition: str) -> None:
    """Raises InputError for anything but the words, functions and signs that are known."""
    if len(condition) > MOST_CHARACTERS:
        raise InputError(f"--where has more than {MOST_CHARACTERS} characters; shorten it")
    place, before = 0, ""
    end = len(condition.rstrip())
    while place < end:
        match = _TOKEN.match(condition, place)
        if match is None:
            raise _refused(condition[place:].lstrip()[:1])
        word = (match["word"] or "").lower()
        quote = condition[match.end() : match.end() + 1] in ("'", '"')  # such as E'...'
        if word in _NEVER or (word and quote):
            raise _refused(match["word"])
        if match["sign"] == "(" and before not in ("", *_JOINING, *_FUNCTIONS):
            raise _refused(f"{before[:30]}(")
        place, before = match.end(), word or ("" if match["sign"] else "a value")
    if not end:
        raise InputError("--where is empty; give a condition such as category == 'toys'")


def _refused(what: str) -> InputError:
    functions = ", ".join(sorted(_FUNCTIONS))
    return InputError(
        f"--where cannot have {what!r}; it takes comparisons of columns and values, AND, OR, NOT, "
        f"IN, LIKE, BETWEEN, IS NULL, and the functions {functions}"
    )
