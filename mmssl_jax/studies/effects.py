"""How large a difference is, how sure, and p-values of many comparisons at once.

Intervals hold the true value with a chance of 95%, by the same assumptions as the t-test.
"""

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.stats

LEVEL = 0.95
_ROUNDING = 1e-9  # of a mean: a spread below it is that of floats
_NORMAL = float(scipy.stats.norm.ppf((1 + LEVEL) / 2))

Interval = tuple[float, float] | None


class OverUsers(NamedTuple):
    """A paired difference over users."""

    interval: Interval  # of the mean difference
    effect: float | None  # Cohen's d of pairs: the mean over the standard deviation
    effect_interval: Interval


def over_users(values: np.ndarray, reference: np.ndarray) -> OverUsers:
    """How large the differences of the same users are, [n] each; None where nothing can be said.

    The interval of the effect is that of large samples: its standard error is
    sqrt(1/n + effect^2 / 2n).
    """
    differences = np.asarray(values, np.float64) - np.asarray(reference, np.float64)
    count = len(differences)
    if count < 2:
        return OverUsers(None, None, None)
    mean, spread = float(np.mean(differences)), float(np.std(differences, ddof=1))
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, count - 1)) * spread / math.sqrt(count)
    interval = (mean - half, mean + half)
    if spread <= _ROUNDING * abs(mean):  # the same for all
        return OverUsers(interval, None, None)
    effect = mean / spread
    half = _NORMAL * math.sqrt(1 / count + effect**2 / (2 * count))
    return OverUsers(interval, effect, (effect - half, effect + half))


def over_seeds(
    values: Sequence[float], reference: Sequence[float], *, fixed: tuple[bool, bool]
) -> Interval:
    """The interval of the difference of two means over seeds, by Welch's t.

    Args:
      values: of one model, one a seed.
      reference: of the other.
      fixed: whether each is deterministic, so that its one value has no spread.

    Returns:
      None where a model that is not fixed has a single seed, or no seed differs from another, or
      both are fixed.
    """
    varying = [some for some, known in zip((values, reference), fixed, strict=True) if not known]
    if any(len(some) < 2 for some in varying) or not any(np.ptp(some) for some in varying):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one model's seeds have the same value
        if fixed[1]:
            found = scipy.stats.ttest_1samp(values, float(np.mean(reference)))
            low, high = found.confidence_interval(LEVEL)
            low, high = low - np.mean(reference), high - np.mean(reference)
        elif fixed[0]:
            found = scipy.stats.ttest_1samp(reference, float(np.mean(values)))
            below, above = found.confidence_interval(LEVEL)
            low, high = np.mean(values) - above, np.mean(values) - below
        else:
            found = scipy.stats.ttest_ind(values, reference, equal_var=False)
            low, high = found.confidence_interval(LEVEL)
    return None if math.isnan(low) else (float(low), float(high))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction: with p < a for these, the chance of any false one is at most a.

    The smallest of n p-values is multiplied by n, the next by n - 1, and so on; none falls below
    the one before it. None stays None, and has no part in n.
    """
    places = _by_size(p_values)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for step, place in enumerate(places):
        highest = max(highest, min(1.0, float(p_values[place] or 0.0) * (len(places) - step)))
        corrected[place] = highest
    return corrected


def false_discovery(p_values: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's: of those with p < a, at most a share of a is false, on average."""
    places = _by_size(p_values)
    corrected: list[float | None] = [None] * len(p_values)
    if places:
        found = scipy.stats.false_discovery_control([p_values[place] for place in places])
        for place, value in zip(places, found, strict=True):
            corrected[place] = float(value)
    return corrected


def _by_size(p_values: Sequence[float | None]) -> list[int]:
    """The places of the p-values that are there, the smallest first."""
    there = [place for place, value in enumerate(p_values) if value is not None]
    return sorted(there, key=lambda place: float(p_values[place] or 0.0))
