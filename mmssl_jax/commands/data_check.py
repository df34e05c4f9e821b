"""`mmssl data check`: what is in a data folder, and what is wrong with it.

The checks are those of training, which stops at the first error; here all of them are reported.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from mmssl_jax.data import loading
from mmssl_jax.data.checks import doctor
from mmssl_jax.data.checks.findings import ERROR, WARNING, Findings
from mmssl_jax.data.checks.wording import counted
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.errors import InputError, printable

_STYLES = {ERROR: "bold red", WARNING: "yellow"}
_EXAMPLE = """\b
Example:
  mmssl data check data/baby --modalities image,text"""


@click.command("check", epilog=_EXAMPLE)
@click.argument("path")
@click.option(
    "--modalities",
    default="",
    metavar="A,B",
    help="Those to examine; 'none' for none (default: all that are found).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--mark-missing",
    is_flag=True,
    help="Note all-zero feature rows as missing, in <modality>_present.npy.",
)
@click.option(
    "--accept",
    is_flag=True,
    help="Take files that were edited on purpose: note their checksums, in files.sha256.",
)
def COMMAND(path: str, modalities: str, as_json: bool, mark_missing: bool, accept: bool) -> None:
    """Examines the data folder PATH, in any layout of docs/data.md.

    Errors, which training refuses, make the exit code 1.
    """
    folder = loading.existing(path)
    flag = "--accept" if accept else "--mark-missing"
    if (accept or mark_missing) and not loading.is_canonical(folder):
        raise InputError(
            f"{folder}: {flag} writes into canonical folders only, so import this one first"
        )
    if accept and modalities:
        raise InputError("--accept takes all files of a folder; leave out --modalities")
    dataset, findings = doctor.examine(folder, modalities)
    if accept and dataset is not None:
        doctor.accept(folder, dataset, findings)
    failed = bool(findings.messages(ERROR))
    marked = {}
    if mark_missing and dataset is not None and not failed:
        marked = doctor.mark_missing(folder, dataset)
    if as_json:
        facts = None if dataset is None else doctor.facts(dataset)
        found = [dataclasses.asdict(finding) for finding in findings.listed]
        report = {"path": str(folder), "data": facts, "findings": found, "marked": marked}
        print(json.dumps(report, indent=2))
    else:
        _print(folder, dataset, findings, marked)
    if failed:
        sys.exit(1)


def _print(
    folder: Path, dataset: Dataset | None, findings: Findings, marked: dict[str, int]
) -> None:
    console = Console(markup=False, highlight=False, soft_wrap=True)
    if dataset is not None:
        facts = doctor.facts(dataset)
        title = f"{dataset.name}: {dataset.num_users} users, {dataset.num_items} items"
        console.print(printable(title), style="bold")
        console.print(_table("split", facts["splits"]))
        if dataset.features:
            console.print(_table("modality", facts["features"]))
        if facts["side"]:
            console.print(_table("side information", facts["side"]))
    for level in (ERROR, WARNING):
        messages = findings.messages(level)
        plural = "" if len(messages) == 1 else "s"
        console.print(f"{len(messages) or 'no'} {level}{plural}", style=_STYLES[level])
        for message in messages:
            console.print(f"  {printable(message)}")
    for name, count in marked.items():
        path = folder / f"{name}{features.MASK_SUFFIX}"
        lack = counted(count, "item lacks", "items lack")
        console.print(f"written: {printable(str(path))}; {lack} the {name}")


def _table(head: str, rows: dict[str, dict[str, Any]]) -> Table:
    table = Table(head, *next(iter(rows.values())))
    for name, values in rows.items():
        table.add_row(printable(name), *(str(value)[:16] for value in values.values()))
    return table
