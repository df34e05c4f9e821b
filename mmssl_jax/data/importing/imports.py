"""Turns data of any known layout into the canonical folder: python -m mmssl_jax.data import --help

A folder keeps its splits; the pairs of a table are filtered, indexed and split here.
"""

import argparse
import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from mmssl_jax import __version__
from mmssl_jax.data import loading
from mmssl_jax.data.checks.findings import ERROR_OF_REPEATS, Findings, SplitRules
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.importing import added_features, catalogue, report, table_import
from mmssl_jax.data.importing import options as import_options
from mmssl_jax.data.layouts import canonical, diffmm, lattice, mmrec, patterns
from mmssl_jax.data.layouts.splits_json import read_json_object
from mmssl_jax.data.tables import titles
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic

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
        dataset, source, paths = _read(options)
        dataset = _with_titles(dataset, options)
        zeros_missing = options.zero_rows == "missing"
        dataset = added_features.add(
            dataset,
            options.path,
            options.modality,
            options.item_order,
            zeros_missing,
            options.id_spelling,
            options.catalogue,
            numbered_here=options.of_table,
        )
    if not options.dry_run:
        with progress.status("writing"):
            source |= _provenance(options, paths)
            canonical.write(dataset, options.to, source, options.overwrite)
    report.show(dataset, source, None if options.dry_run else options.to)


def _check_destination(options: argparse.Namespace) -> None:
    """Raises InputError, before any work, where the folder cannot be written or holds a source."""
    canonical.check_free(options.to, options.overwrite)
    atomic.check_writable(options.to / canonical.ABOUT)
    to = Path(os.path.realpath(options.to))
    for path in (options.path, *_added(options)):
        source = Path(os.path.realpath(path))
        if options.overwrite and (to.is_relative_to(source) or source.is_relative_to(to)):
            raise InputError(
                f"--overwrite of {options.to} would remove what is read, {path}; name another --to"
            )


def _added(options: argparse.Namespace) -> list[Path]:
    others = (options.item_order, options.items)
    return [*options.modality.values(), *(path for path in others if path is not None)]


def _with_titles(dataset: Dataset, options: argparse.Namespace) -> Dataset:
    if options.items is None:
        return dataset
    return titles.add(
        dataset, options.path, options.items, options.title_column, options.id_spelling
    )


def _read(options: argparse.Namespace) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """The data set, where it came from, and the files that were read, by name."""
    val_seed = (options.seed or 0) if options.val_from_train else None
    repeats = options.repeats or ERROR_OF_REPEATS
    rules = SplitRules(repeats, val_seed, min_rating=options.min_rating)
    findings = Findings(rules=rules)
    dataset, source, paths = (table_import.read if options.of_table else _read_folder)(
        options, findings
    )
    if options.repeats is not None:
        source["repeats"] = options.repeats
    if val_seed is not None:
        source |= {"val_from_train": True, "seed": val_seed}
    return dataset, source, paths


def _read_folder(
    options: argparse.Namespace, findings: Findings
) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """`_read` for a folder, or for the table of MMRec's; the files are those of its layout."""
    folder = options.path
    if not (folder.is_file() and options.layout in (None, "mmrec")):
        folder = loading.existing(str(folder))
    known = loading.LAYOUTS
    if options.layout is not None:
        known = (import_options.LAYOUTS[options.layout],)
    layout = mmrec if folder.is_file() else loading.find(folder, findings, known)
    if options.min_rating is not None and layout is not diffmm:
        raise InputError(
            f"--min-rating is for matrices and tables (give the path of a .inter file itself); "
            f"{folder} is read as neither"
        )
    in_core = layout is lattice and lattice.is_core(folder)
    top = loading.top(layout, folder)
    beside = features.beside(top)
    beside = {name: path for name, path in beside.items() if name not in options.modality}
    read = (*options.modality.values(), *beside.values(), *_matching(top, layout.FILES))
    features.warn_of_unread(top, findings, but=read)
    kept = features.find(top).keys() - options.modality.keys()
    dataset = layout.read(folder, ",".join(sorted(kept)) or features.NONE, findings)
    if options.name is not None:
        dataset = dataclasses.replace(dataset, name=options.name)
    if options.catalogue == catalogue.DROP:
        dataset = catalogue.trimmed(dataset, folder)
    for name, path in beside.items():
        dataset = _with_beside(dataset, folder, name, path, options.catalogue)
    names = {each: name for name, each in reversed(import_options.LAYOUTS.items())}
    source: dict[str, Any] = {"layout": options.layout or names[layout]}
    if options.min_rating is not None:
        source["min_rating"] = options.min_rating
    if layout is canonical and (folder / canonical.ABOUT).is_file():
        source["imported_from"] = read_json_object(folder / canonical.ABOUT).get("source")
    core = os.path.basename(os.path.abspath(folder))
    own = [f"{core}/{name}" for name in canonical.FILES] if in_core else layout.FILES
    own = [folder.name] if folder.is_file() else own
    paths = sorted({*_matching(top, (*_BESIDE, *own)), *beside.values()})
    return dataset, source, {str(path.relative_to(top)): path for path in paths}


def _matching(folder: Path, names: Sequence[str]) -> list[Path]:
    return [path for pattern in names for path in patterns.matches(folder, pattern)]


def _with_beside(
    dataset: Dataset, folder: Path, name: str, path: Path, choice: str | None
) -> Dataset:
    """With features that lie in a folder in another file than .npy; a warning where they do not do.

    As with .npy files, items that only they have are items, unless they are to be dropped.
    """
    try:
        return added_features.add(
            dataset, folder, {name: path}, None, False, choice=choice or catalogue.KEEP
        )
    except InputError as error:
        said = f"{error}; {name} is left out, and --modality {name}=FILE takes another file"
        return dataclasses.replace(dataset, warnings=(*dataset.warnings, said))


def _provenance(options: argparse.Namespace, paths: Mapping[str, Path]) -> dict[str, Any]:
    """What else dataset.json says of an import; of a path only the name, whose folder is no use."""
    order, items = options.item_order, options.items
    return {
        "files": {name: _sha256(path) for name, path in paths.items()},
        "modalities": {
            name: {"file": path.name, "sha256": _sha256(path)}
            for name, path in options.modality.items()
        },
        "item_order": order and {"file": order.name, "sha256": _sha256(order)},
        "items": items and {"file": items.name, "sha256": _sha256(items)},
        "zero_rows": options.zero_rows,
        "mmssl_jax": __version__,
    }


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
