"""What is wrong with the raw ids of a data set."""

from collections import Counter
from pathlib import Path

from mmssl_jax.data.checks.findings import Findings


def checked_ids(
    findings: Findings, where: Path | str, kind: str, ids: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """The raw ids of users or items, which must differ and not be empty; else an error, and None.

    With one id for two users, whoever is asked for by it would get the other's items.
    """
    if ids is None or (len(set(ids)) == len(ids) and all(ids)):
        return ids
    repeated = next((raw for raw, count in Counter(ids).items() if count > 1), "")
    problem = f"is listed {Counter(ids)[repeated]} times" if repeated else "is empty"
    findings.error(
        "ids",
        f"{where}: the raw {kind} id {repeated[:40]!r} {problem}; correct the list of ids, or "
        "remove it",
    )
    return None
