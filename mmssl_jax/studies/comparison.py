"""Several models on one test split: means over seeds, and paired tests over users."""

import dataclasses
import itertools
import statistics
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats

from mmssl_jax.errors import InputError
from mmssl_jax.ranking import groups
from mmssl_jax.studies import effects

SCORES = {
    "test/recall@20": "Recall@20",
    "test/ndcg@20": "NDCG@20",
    "test/ndcg_released@20": "NDCG@20 (released)",
    "test/precision@20": "Precision@20",
    "test/hit_rate@20": "Hit rate@20",
    "val/recall@20": "validation Recall@20",
}
PAIRED = ("recall@20", "ndcg@20")  # the metrics that are tested user by user
TESTS = ("t_test_p", "wilcoxon_p")
CORRECTIONS = {"holm": effects.holm, "fdr": effects.false_discovery}
GROUPS = {  # the groups whose recall is compared: those that are the same in every data set
    kind: [f"{kind}_{group}" for group in groups.FIXED] for kind in ("items", "users")
}


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run, as far as a comparison needs it."""

    seed: int
    summary: dict[str, Any]  # the content of results.json
    seconds: float  # in epochs with their validations and checkpoints; compilation is not in it
    parameters: int
    deterministic: bool  # solved without a random start, so that every seed gives the same
    users: np.ndarray  # [n] the test users
    per_user: dict[str, np.ndarray]  # PAIRED -> [n] on test
    groups: dict[str, Any]  # `ranking.groups.scores_of` on test; empty where it was not kept


@dataclasses.dataclass(frozen=True)
class Entry:
    """A model of the comparison: its finished runs, and what kept others from finishing."""

    model: str
    runs: list[Run]
    errors: dict[str, list[int]]  # message -> seeds


def rows(entries: Sequence[Entry], against: str) -> list[dict[str, Any]]:
    """One flat row a model, with the same keys in each; None where there is no value.

    'test/recall@20' is the mean over seeds and 'test/recall@20/sd' the sample standard deviation.
    'recall@20/difference', '/t_test_p' and '/wilcoxon_p' come from `paired`, against that model;
    '/t_test_p_holm', '/t_test_p_fdr' and their like are corrected over all rows. What ends in _low
    and _high are intervals of `effects`: of the difference over users ('/difference_low') and over
    seeds ('/seeds_low'), and of the effect size '/effect'.
    'test/recall@20/items_1-2' and its like are means over seeds of the scores of GROUPS, and
    'test/users/items_1-2' is the number of users that each is over.

    Raises:
      InputError: no entry has a run.
    """
    if not any(entry.runs for entry in entries):
        message = next(iter(entries[0].errors))
        raise InputError(f"no model could be compared; {entries[0].model}: {message}")
    reference = next(entry for entry in entries if entry.model == against)
    found = [_row(entry, reference) for entry in entries]
    for metric, test, (name, correct) in itertools.product(PAIRED, TESTS, CORRECTIONS.items()):
        values = correct([row[f"{metric}/{test}"] for row in found])
        for row, value in zip(found, values, strict=True):
            row[f"{metric}/{test}_{name}"] = value
    return found


def _row(entry: Entry, reference: Entry) -> dict[str, Any]:
    runs = entry.runs
    row: dict[str, Any] = {
        "model": entry.model,
        "seeds": [run.seed for run in runs],
        "deterministic": runs[0].deterministic if runs else None,
    }
    for key in SCORES:
        values = [run.summary[key] for run in runs]
        row[key] = statistics.fmean(values) if values else None
        row[f"{key}/sd"] = statistics.stdev(values) if len(values) > 1 else None
    row["against"] = reference.model
    row["test_users"] = len(runs[0].users) if runs else None
    for metric in PAIRED:
        found: tuple[float | None, ...] = (None, None, None)
        if runs and reference.runs and entry is not reference:
            found = paired(_over_seeds(runs, metric), _over_seeds(reference.runs, metric))
        if len(runs) != len(reference.runs):
            found = (*found[:2], None)  # means over more seeds are finer: the signs are not even
        names = ("difference", "t_test_p", "wilcoxon_p")
        row |= {f"{metric}/{name}": value for name, value in zip(names, found, strict=True)}
        row |= _effects(entry, reference, metric)
    shares = [run.summary.get("test/unscored_share") for run in runs]  # the same for every seed
    row["test/unscored_share"] = shares[0] if shares else None
    row |= _groups(runs)
    row["seconds"] = statistics.fmean(run.seconds for run in runs) if runs else None
    row["parameters"] = runs[0].parameters if runs else None
    row["best_epochs"] = [run.summary["best_epoch"] for run in runs]
    row["errors"] = [
        f"seed {', '.join(map(str, seeds))}: {message}" for message, seeds in entry.errors.items()
    ]
    return row


def _effects(entry: Entry, reference: Entry, metric: str) -> dict[str, float | None]:
    """How large the difference to the reference is, and how sure that is."""
    users, seeds = effects.OverUsers(None, None, None), None
    if entry.runs and reference.runs and entry is not reference:
        both = (entry.runs, reference.runs)
        users = effects.over_users(*(_over_seeds(runs, metric) for runs in both))
        scores = [[run.summary[f"test/{metric}"] for run in runs] for runs in both]
        fixed = (entry.runs[0].deterministic, reference.runs[0].deterministic)
        seeds = effects.over_seeds(*scores, fixed=fixed)
    intervals = {"difference": users.interval, "effect": users.effect_interval, "seeds": seeds}
    found = {f"{metric}/effect": users.effect}
    for name, interval in intervals.items():
        low, high = interval or (None, None)
        found |= {f"{metric}/{name}_low": low, f"{metric}/{name}_high": high}
    return found


def _groups(runs: Sequence[Run]) -> dict[str, Any]:
    """The recall of every group, None where a run lacks it, and the users it is a mean over."""
    found: dict[str, Any] = {}
    for group in (name for names in GROUPS.values() for name in names):
        recall, users = f"test/{groups.RECALL}/{group}", f"test/users/{group}"
        values: list[Any] = [run.groups.get(recall) for run in runs]
        found[recall] = statistics.fmean(values) if values and None not in values else None
        sizes = [run.groups[users] for run in runs if users in run.groups]
        found[users] = sizes[0] if sizes else None  # the same for every seed
    return found


def _over_seeds(runs: Sequence[Run], metric: str) -> np.ndarray:
    """Each test user's mean over seeds [n]; every run has the same users, as it has the data."""
    if any(not np.array_equal(run.users, runs[0].users) for run in runs):
        raise ValueError("runs of the same data have different test users")
    of_seeds = np.stack([run.per_user[metric] for run in runs])
    return np.asarray(np.mean(of_seeds, axis=0, dtype=np.float64))


def paired(values: np.ndarray, reference: np.ndarray) -> tuple[float, float | None, float | None]:
    """The mean difference over users, and two-sided p-values that it is chance.

    The p-values are those of the paired t-test, for a mean difference of zero, and of Wilcoxon's
    signed-rank test, for differences that are symmetric about zero, of those that are not zero.
    Both are 1 where no user has any, and None for fewer than two users.
    """
    differences = np.asarray(values, np.float64) - np.asarray(reference, np.float64)
    mean = float(np.mean(differences))
    if len(differences) < 2:
        return mean, None, None
    if not differences.any():
        return mean, 1.0, 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the t of equal differences is infinite
        t_test = scipy.stats.ttest_rel(values, reference)
        wilcoxon = scipy.stats.wilcoxon(differences)
    return mean, float(t_test.pvalue), float(wilcoxon.pvalue)
