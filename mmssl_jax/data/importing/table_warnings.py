"""What an import warns of in a raw table, and in the files beside it."""

import contextlib
import itertools
from pathlib import Path

from mmssl_jax.data.checks.findings import KEEP, Findings
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.importing.options import LEAVE_LAST, TIMED, ImportOptions
from mmssl_jax.data.tables import interactions, presplit
from mmssl_jax.data.tables import times as table_times
from mmssl_jax.data.tables.table import Table
from mmssl_jax.errors import InputError


def warn(
    path: Path | dict[str, Path],
    table: Table,
    split: str,
    options: ImportOptions,
    findings: Findings,
) -> None:
    """Warns of what is suspicious in a table, or in tables by split.

    Args:
      path: of the table, or of the tables.
      table: what was read.
      split: the rule by which its pairs are held out.
      options: of the import.
      findings: get the warnings.
    """
    for warning in table.warnings:
        findings.warn("table", warning)
    _warn_of_files(path, options, findings)
    if split in TIMED and options.repeats != KEEP:
        _warn_of_repeats(table, options.path, findings)
    if split in TIMED and table.times is not None:
        last = split == LEAVE_LAST
        for warning in table_times.said_of_ties(options.path, table.users, table.times, last):
            findings.warn("table", warning)


def _warn_of_files(
    path: Path | dict[str, Path], options: ImportOptions, findings: Findings
) -> None:
    """Warns of what lies beside the tables and seems to belong to them, but is not read."""
    if isinstance(path, Path):
        folds = {}
        with contextlib.suppress(InputError):  # of other tables there, two for one split
            folds = presplit.folds(path.parent)
        for fold in folds.values():
            if path in fold.values():
                findings.warn(
                    "files",
                    f"{path}: is read alone, and {presplit.said(fold)} look like the splits of one "
                    f"data set; give {path.parent} to import them as such",
                )
    folder = options.path if options.path.is_dir() else options.path.parent
    used = {other.absolute() for other in options.modalities.values()}
    for name, other in (features.find(folder) | features.beside(folder)).items():
        if other.absolute() not in used:
            findings.warn(
                "unread",
                f"{other}: is not read, as items go by their sorted ids; --modality {name}=FILE "
                "takes it, with --item-order if its rows have another order",
            )
    if options.path.is_dir():
        features.warn_of_unread(options.path, findings, but=options.modalities.values())


def _warn_of_repeats(table: Table, path: Path, findings: Findings) -> None:
    steps = list(table.counts.items())
    for (_, rows), (name, pairs) in itertools.pairwise(steps):
        if name == interactions.DISTINCT and rows > pairs:
            findings.warn(
                "repeats",
                f"{path}: {counted(rows - pairs, 'row repeats', 'rows repeat')} a pair, which "
                "counts once at its earliest time; --repeats keep lets pairs return in a later "
                "split",
            )
