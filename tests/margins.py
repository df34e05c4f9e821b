"""Worlds in which rounding decides nothing: what a test compares by index must stand apart.

Two programs, or two processors, round one score apart by about 1e-6 of it. A test whose expected
indices come from another computation asserts that its scores are much further apart than that;
ties have tests of their own, on scores that are exact.
"""

import numpy as np


def assert_margin(scores, k: int, *, ordered: bool = False, share: float = 1e-3) -> None:
    """The k best of every row stand apart from the rest of it, if `ordered` also from each other.

    Args:
      scores: [rows, columns]; -inf is no part of a ranking.
      k: length of the lists; a row with fewer finite scores has all of them in its list.
      ordered: whether the test compares the order within a list, too.
      share: the least gap, of the largest magnitude in a row; rounding is about 1e-6.
    """
    for row, values in enumerate(np.asarray(scores, np.float64)):
        ranked = -np.sort(-values[values > -np.inf])[: k + 1]
        gaps = -np.diff(ranked)[0 if ordered else k - 1 :]
        least = share * np.abs(values[values > -np.inf]).max(initial=0)
        assert (gaps > least).all(), f"row {row} has no margin: {ranked}"
