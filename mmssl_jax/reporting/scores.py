"""The scores of a report's runs: test means with intervals, and differences with significance."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.stats

from mmssl_jax.reporting.measured import Measured
from mmssl_jax.studies import comparison, effects
from mmssl_jax.studies.effects import LEVEL


class Interval(NamedTuple):
    """A mean over users and the interval that it is in."""

    mean: float
    low: float
    high: float


class Difference(NamedTuple):
    """A run against the first, in one metric, over the same test users."""

    run: str
    metric: str
    interval: Interval
    t_test: float | None  # two-sided p-values of the paired tests; None for fewer than two users
    wilcoxon: float | None
    corrected: float | None  # that of the t-test by Holm, over all runs and metrics of the table


def interval(values: np.ndarray) -> Interval:
    """The mean of values [n] and its interval by Student's t: that of other users alike.

    Of fewer than two values, or equal ones, it is the mean alone.
    """
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if len(values) < 2 or not np.ptp(values):
        return Interval(mean, mean, mean)
    half = scipy.stats.sem(values) * scipy.stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)
    return Interval(mean, mean - float(half), mean + float(half))


def differences(runs: Sequence[Measured]) -> list[Difference]:
    """Every later run against the first, in the metrics that a comparison tests."""
    first, found = runs[0], []
    for run in runs[1:]:
        for metric in comparison.PAIRED:
            own, other = run.per_user[metric], first.per_user[metric]
            _, t_test, wilcoxon = comparison.paired(own, other)
            apart = interval(own.astype(np.float64) - other)
            found.append(Difference(run.name, metric, apart, t_test, wilcoxon, None))
    corrected = effects.holm([each.t_test for each in found])
    return [each._replace(corrected=p) for each, p in zip(found, corrected, strict=True)]


def metrics(runs: Sequence[Measured]) -> list[str]:
    """The metrics that all runs have: where their cutoffs differ, not all have all."""
    return [name for name in runs[0].per_user if all(name in run.per_user for run in runs)]


def left_out(runs: Sequence[Measured]) -> list[str]:
    """The metrics that some runs have, and others lack."""
    common = set(metrics(runs))
    names = (name for run in runs for name in run.per_user if name not in common)
    return list(dict.fromkeys(names))


def table(runs: Sequence[Measured]) -> list[dict[str, Any]]:
    """A row for each metric of all runs and each run: 'metric', 'run', 'mean', 'low', 'high'."""
    return [
        {"metric": metric, "run": run.name} | interval(run.per_user[metric])._asdict()
        for metric in metrics(runs)
        for run in runs
    ]
