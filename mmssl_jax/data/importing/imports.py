"""Turns data of any known layout, or a table of interactions, into the canonical folder.

A folder keeps its splits; the pairs of a table are filtered, indexed and split here.
"""

import contextlib
import importlib.metadata
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmssl_jax.data.checks.findings import ERROR_OF_REPEATS, Findings, SplitRules
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.importing import added_features, folder_import, option_checks, table_import
from mmssl_jax.data.importing.options import ImportOptions
from mmssl_jax.data.layouts import canonical
from mmssl_jax.data.tables import titles
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic, checksums


class Imported(NamedTuple):
    """The data set, where it came from (as dataset.json has it), and the folder, if any."""

    dataset: Dataset
    source: dict[str, Any]
    folder: Path | None


def import_data(
    options: ImportOptions,
    progress: Callable[[str], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> Imported:
    """Reads a data set, and writes it to `options.to` as a whole, or not at all.

    Args:
      options: what is imported, and how; without `to` nothing is written.
      progress: makes a context to be in while "reading" and while "writing", as for a spinner.

    Raises:
      InputError: the options do not go together, the source cannot be read, or the folder cannot be
        written.
    """
    options = option_checks.settled(options)
    if options.to is not None:
        _check_destination(options, options.to)
    with progress("reading"):
        dataset, source, paths = _read(options)
        dataset = _with_titles(dataset, options)
        dataset = added_features.add(
            dataset,
            options.path,
            options.modalities,
            options.item_order,
            options.zero_rows == "missing",
            options.id_spelling,
            options.catalogue,
            numbered_here=options.of_table,
        )
    if options.to is not None:
        with progress("writing"):
            source |= _provenance(options, paths)
            canonical.write(dataset, options.to, source, options.overwrite)
    return Imported(dataset, source, options.to)


def _check_destination(options: ImportOptions, folder: Path) -> None:
    """Raises InputError, before any work, where the folder cannot be written or holds a source."""
    canonical.check_free(folder, options.overwrite)
    atomic.check_writable(folder / canonical.ABOUT)
    to = Path(os.path.realpath(folder))
    for path in (options.path, *_added(options)):
        source = Path(os.path.realpath(path))
        if options.overwrite and (to.is_relative_to(source) or source.is_relative_to(to)):
            raise InputError(
                f"--overwrite of {folder} would remove what is read, {path}; name another --to"
            )


def _added(options: ImportOptions) -> list[Path]:
    others = (options.item_order, options.items)
    return [*options.modalities.values(), *(path for path in others if path is not None)]


def _with_titles(dataset: Dataset, options: ImportOptions) -> Dataset:
    if options.items is None:
        return dataset
    return titles.add(
        dataset, options.path, options.items, options.title_column, options.id_spelling
    )


def _read(options: ImportOptions) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """The data set, where it came from, and the files that were read, by name."""
    val_seed = (options.seed or 0) if options.val_from_train else None
    repeats = options.repeats or ERROR_OF_REPEATS
    rules = SplitRules(repeats, val_seed, min_rating=options.min_rating)
    findings = Findings(rules=rules)
    read = table_import.read if options.of_table else folder_import.read
    dataset, source, paths = read(options, findings)
    if options.repeats is not None:
        source["repeats"] = options.repeats
    if val_seed is not None:
        source |= {"val_from_train": True, "seed": val_seed}
    return dataset, source, paths


def _provenance(options: ImportOptions, paths: Mapping[str, Path]) -> dict[str, Any]:
    """What else dataset.json says of an import; of a path only the name, whose folder is no use."""
    order, items = options.item_order, options.items
    return {
        "files": {name: checksums.sha256(path) for name, path in paths.items()},
        "modalities": {
            name: {"file": path.name, "sha256": checksums.sha256(path)}
            for name, path in options.modalities.items()
        },
        "item_order": order and {"file": order.name, "sha256": checksums.sha256(order)},
        "items": items and {"file": items.name, "sha256": checksums.sha256(items)},
        "zero_rows": options.zero_rows,
        "mmssl_jax": importlib.metadata.version("mmssl_jax"),
    }
