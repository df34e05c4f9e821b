"""What is wrong or suspicious in the features of a data set."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.checks.wording import worded


def check_features(
    findings: Findings,
    where: Path | str,
    features: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
) -> None:
    """Warns of items whose features are missing, all zero, or those of an earlier item.

    `features` are [I, d_m], `present` bool [I] for the modalities that some items lack.
    """
    for modality, values in features.items():
        known = present.get(modality, np.ones(len(values), bool))
        of = f"of {len(values)}"
        if not known.any():
            findings.error(
                "missing",
                f"{where}: no item has {modality}; leave it out of data.modalities",
            )
        elif lacking := int((~known).sum()):
            findings.warn(
                "missing",
                f"{where}: {lacking} {of} items {worded(lacking, 'has', 'have')} no {modality}",
            )
        empty = known & ~values.any(axis=1)
        if zeros := int(empty.sum()):
            findings.warn(
                "zero rows",
                f"{where}: {zeros} {of} {modality} feature rows "
                f"{worded(zeros, 'is', 'are')} all zero",
            )
        rows = np.flatnonzero(known & ~empty)
        # Digests, so that a set of wide rows does not cost a second copy of the features.
        distinct = {hashlib.blake2b(values[row], digest_size=16).digest() for row in rows}
        if repeats := len(rows) - len(distinct):
            alike = "; ALL are the same" if 1 + repeats == len(values) else ""
            repeat = worded(repeats, "repeats", "repeat")
            said = f"{repeats} {of} {modality} feature rows {repeat} an earlier row{alike}"
            findings.warn("repeated rows", f"{where}: {said}")
