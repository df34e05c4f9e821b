"""Examines a data folder: python -m mmssl_jax.data check PATH

The checks are those of training, which stops at the first error; here all of them are reported.
"""

import argparse
import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from mmssl_jax.commands.running import Parser
from mmssl_jax.data import loading
from mmssl_jax.data.checks.findings import ERROR, WARNING, Findings
from mmssl_jax.data.dataset import SPLITS, Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.errors import InputError, printable
from mmssl_jax.files import atomic

_STYLES = {ERROR: "bold red", WARNING: "yellow"}


def main(argv: list[str]) -> None:
    """Prints what is in a data folder and what is wrong with it; exits with 1 where it has errors.

    Args:
      argv: the arguments, without the program and the subcommand.

    Raises:
      InputError: there is no such folder, or masks cannot be written.
    """
    options = _parser().parse_args(argv)
    folder = loading.existing(options.path)
    if options.mark_missing and not loading.is_canonical(folder):
        raise InputError(
            f"{folder}: --mark-missing writes into canonical folders only, so import this one first"
        )
    dataset, findings = examine(folder, options.modalities)
    failed = bool(findings.messages(ERROR))
    marked = {}
    if options.mark_missing and dataset is not None and not failed:
        marked = mark_missing(folder, dataset)
    if options.json:
        found = [dataclasses.asdict(finding) for finding in findings.listed]
        report = {"path": str(folder), "data": _facts(dataset), "findings": found, "marked": marked}
        print(json.dumps(report, indent=2))
    else:
        _print(folder, dataset, findings, marked)
    if failed:
        sys.exit(1)


def examine(folder: Path, modalities: str) -> tuple[Dataset | None, Findings]:
    """Reads a folder as far as that is possible; returns the data set, if any, and the findings.

    Where there are errors the data set lacks what could not be read, and is only to be described.
    """
    findings = Findings(collect=True)
    try:
        return loading.read(folder, modalities, findings), findings
    except InputError as error:  # nothing more can be read
        findings.error("unreadable", str(error))
        return None, findings


def mark_missing(folder: Path, dataset: Dataset) -> dict[str, int]:
    """Writes <modality>_present.npy beside every feature file that has rows of zeros.

    Returns how many items lack each of these modalities; raises InputError for one without any
    other row, and where a mask cannot be written.
    """
    known = {name: values.any(axis=1) for name, values in dataset.features.items()}
    for name, mask in known.items():
        if not mask.any():
            raise InputError(
                f"{folder / name}{features.SUFFIX}: all rows are zero; remove the file"
            )
    lacking = {name: int((~mask).sum()) for name, mask in known.items() if not mask.all()}
    for name in lacking:
        content = io.BytesIO()
        np.save(content, known[name], allow_pickle=False)
        atomic.write_bytes(folder / f"{name}{features.MASK_SUFFIX}", content.getvalue())
    return lacking


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mmssl_jax.data check",
        description="Examines a data folder. Errors, which training refuses, make the exit code 1.",
        allow_abbrev=False,
    )
    parser.add_argument("path", help="the folder, in any layout of docs/data.md")
    parser.add_argument(
        "--modalities",
        default="",
        help="comma-separated: those to examine; 'none' for none (default: all that are found)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--mark-missing",
        action="store_true",
        help="note all-zero feature rows as missing, in <modality>_present.npy",
    )
    return parser


def _facts(dataset: Dataset | None) -> dict[str, Any] | None:
    """What there is, as JSON values."""
    if dataset is None:
        return None
    splits = {}
    for split in SPLITS:
        matrix = getattr(dataset, split)
        splits[split] = {
            "pairs": matrix.nnz,
            "users": int(np.count_nonzero(np.diff(matrix.indptr))),
            "items": len(np.unique(matrix.indices)),
            "sha256": dataset.split_fingerprints[split],
        }
    return {
        "name": dataset.name,
        "synthetic": dataset.synthetic,
        "users": dataset.num_users,
        "items": dataset.num_items,
        "fingerprint": dataset.fingerprint,
        "splits": splits,
        "features": {name: _feature_facts(dataset, name) for name in dataset.features},
    }


def _feature_facts(dataset: Dataset, name: str) -> dict[str, int]:
    values = dataset.features[name]
    known = dataset.present.get(name, np.ones(len(values), bool))
    return {
        "rows": len(values),
        "width": values.shape[1],
        "missing": int((~known).sum()),
        "zero": int((known & ~values.any(axis=1)).sum()),
    }


def _print(
    folder: Path, dataset: Dataset | None, findings: Findings, marked: dict[str, int]
) -> None:
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if dataset is not None:
        facts = _facts(dataset)
        title = f"{dataset.name}: {dataset.num_users} users, {dataset.num_items} items"
        console.print(printable(title), style="bold")
        console.print(_table("split", facts["splits"]))
        if dataset.features:
            console.print(_table("modality", facts["features"]))
    for level in (ERROR, WARNING):
        messages = findings.messages(level)
        plural = "" if len(messages) == 1 else "s"
        console.print(f"{len(messages) or 'no'} {level}{plural}", style=_STYLES[level])
        for message in messages:
            console.print(f"  {printable(message)}")
    for name, count in marked.items():
        path = folder / f"{name}{features.MASK_SUFFIX}"
        console.print(f"written: {printable(str(path))}; {count} items lack the {name}")


def _table(head: str, rows: dict[str, dict[str, Any]]) -> Table:
    table = Table(head, *next(iter(rows.values())))
    for name, values in rows.items():
        table.add_row(printable(name), *(str(value)[:16] for value in values.values()))
    return table
