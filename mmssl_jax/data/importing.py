"""Turns data of any known layout into the canonical folder: python -m mmssl_jax.data import --help

A folder keeps its splits; the pairs of a table are filtered, indexed and split here.
"""

import argparse
import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from mmssl_jax import __version__, files
from mmssl_jax.data import (
    added_features,
    canonical,
    features,
    import_options,
    import_report,
    lattice,
    layouts,
    splits,
    tables,
)
from mmssl_jax.data.checks import Findings
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.data.splits_json import read_json_object
from mmssl_jax.errors import InputError

# What a folder may have beside the files that its layout is known by.
_BESIDE = ("*.npy", "*.csv", "*.tsv", "*.txt", "train_mat", canonical.ABOUT)


def main(argv: list[str]) -> None:
    """Imports a data set, or says what it would import.

    Args:
      argv: the arguments, without the program and the subcommand.

    Raises:
      InputError: the source cannot be read, or the folder cannot be written.
    """
    options = import_options.parse(argv)
    if not options.dry_run:
        _check_destination(options)
    progress = Console(stderr=True)
    with progress.status("reading"):
        dataset, source, paths = (_read_table if options.of_table else _read_folder)(options)
        zeros_missing = options.zero_rows == "missing"
        dataset = added_features.add(
            dataset, options.path, options.modality, options.item_order, zeros_missing
        )
    if not options.dry_run:
        with progress.status("writing"):
            source |= _provenance(options, paths)
            canonical.write(dataset, options.to, source, options.overwrite)
    import_report.show(dataset, source, None if options.dry_run else options.to)


def _check_destination(options: argparse.Namespace) -> None:
    """Raises InputError, before any work, where the folder cannot be written or holds a source."""
    canonical.check_free(options.to, options.overwrite)
    files.check_writable(options.to / canonical.ABOUT)
    to = Path(os.path.realpath(options.to))
    for path in (options.path, *_added(options)):
        source = Path(os.path.realpath(path))
        if options.overwrite and (to.is_relative_to(source) or source.is_relative_to(to)):
            raise InputError(
                f"--overwrite of {options.to} would remove what is read, {path}; name another --to"
            )


def _added(options: argparse.Namespace) -> list[Path]:
    order = [options.item_order] if options.item_order else []
    return [*options.modality.values(), *order]


def _read_table(options: argparse.Namespace) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """The data set of a table, where it came from, and the files that were read, by name."""
    path = options.path
    asked = {"user": options.user_column, "item": options.item_column}
    if options.split == import_options.LEAVE_LAST:
        asked["time"] = options.time_column
    if options.min_rating is not None:
        asked["rating"] = options.rating_column
    table = tables.read(
        path,
        asked,
        separator=options.separator,
        header=options.header,
        min_rating=options.min_rating,
        k_core=options.k_core,
    )
    shape = (len(table.user_ids), len(table.item_ids))
    if options.split == import_options.LEAVE_LAST:
        labels = splits.leave_last(table.users, table.times, table.rows)
    elif options.split == import_options.COLD_ITEMS:
        labels = splits.cold_items(table.items, shape[1], options.seed)
    else:
        labels = splits.per_user(table.users, options.seed)
    findings = Findings()
    for warning in table.warnings:
        findings.warn("table", warning)
    dataset = assemble(
        path,
        path.stem if options.name is None else options.name,
        shape,
        splits.by_label(table.users, table.items, labels),
        {},
        user_ids=table.user_ids,
        item_ids=table.item_ids,
        findings=findings,
    )
    source = {
        "layout": import_options.TABLE,
        "columns": table.columns,
        "pairs": table.counts,
        "min_rating": options.min_rating,
        "k_core": options.k_core,
        "split": options.split,
        "seed": options.seed,
    }
    return dataset, source, {path.name: path}


def _read_folder(options: argparse.Namespace) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """As `_read_table`, for a folder; the files are those that belong to its layout."""
    folder = layouts.existing(str(options.path))
    findings = Findings()
    known = layouts.LAYOUTS
    if options.layout is not None:
        known = (import_options.LAYOUTS[options.layout],)
    layout = layouts.find(folder, findings, known)
    in_core = layout is lattice and lattice.is_core(folder)
    top = layouts.top(layout, folder)
    features.warn_of_unread(top, findings, but=options.modality.values())
    kept = features.find(top).keys() - options.modality.keys()
    dataset = layout.read(folder, ",".join(sorted(kept)) or features.NONE, findings)
    if options.name is not None:
        dataset = dataclasses.replace(dataset, name=options.name)
    names = {each: name for name, each in reversed(import_options.LAYOUTS.items())}
    source: dict[str, Any] = {"layout": options.layout or names[layout]}
    if layout is canonical and (folder / canonical.ABOUT).is_file():
        source["imported_from"] = read_json_object(folder / canonical.ABOUT).get("source")
    core = os.path.basename(os.path.abspath(folder))
    own = [f"{core}/{name}" for name in canonical.FILES] if in_core else layout.FILES
    paths = sorted({path for pattern in (*_BESIDE, *own) for path in top.glob(pattern)})
    return dataset, source, {str(path.relative_to(top)): path for path in paths if path.is_file()}


def _provenance(options: argparse.Namespace, paths: Mapping[str, Path]) -> dict[str, Any]:
    """What else dataset.json says of an import; of a path only the name, whose folder is no use."""
    order = options.item_order
    return {
        "files": {name: _sha256(path) for name, path in paths.items()},
        "modalities": {
            name: {"file": path.name, "sha256": _sha256(path)}
            for name, path in options.modality.items()
        },
        "item_order": order and {"file": order.name, "sha256": _sha256(order)},
        "zero_rows": options.zero_rows,
        "mmssl_jax": __version__,
    }


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
