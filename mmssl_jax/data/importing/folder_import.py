"""The data set of a folder of a known layout, or of MMRec's table, with its splits as they are."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mmssl_jax.data import loading
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.features import side
from mmssl_jax.data.importing import added_features, catalogue
from mmssl_jax.data.importing.options import LAYOUTS, ImportOptions
from mmssl_jax.data.layouts import canonical, diffmm, lattice, mmrec, parquet, patterns
from mmssl_jax.data.layouts.splits_json import read_json_object
from mmssl_jax.errors import InputError

# What a folder may have beside the files that its layout is known by.
_BESIDE = ("*.npy", "*.csv", "*.tsv", "*.txt", "train_mat", canonical.ABOUT, *side.PICKLES)


def read(
    options: ImportOptions, findings: Findings
) -> tuple[Dataset, dict[str, Any], dict[str, Path]]:
    """Reads what `option_checks.settled` options say; `findings` get the warnings.

    Returns the data set, where it came from, and the files of its layout, by name. Raises
    InputError.
    """
    folder = options.path
    if not (folder.is_file() and options.layout in (None, "mmrec")):
        folder = loading.existing(str(folder))
    known = loading.LAYOUTS if options.layout is None else (LAYOUTS[options.layout],)
    layout = mmrec if folder.is_file() else loading.find(folder, findings, known)
    if options.min_rating is not None and layout is not diffmm:
        raise InputError(
            f"--min-rating is for matrices and tables (give the path of a .inter file itself); "
            f"{folder} is read as neither"
        )
    top = loading.top(layout, folder)
    beside = features.beside(top)
    beside = {name: path for name, path in beside.items() if name not in options.modalities}
    read = (*options.modalities.values(), *beside.values(), *_own(layout, top))
    features.warn_of_unread(top, findings, but=read)
    kept = features.find(top).keys() - options.modalities.keys()
    dataset = layout.read(folder, ",".join(sorted(kept)) or features.NONE, findings)
    dataset = side.added(dataset, top, findings)
    if options.val_from_train and dataset.side_information:
        said = (
            f"{folder}: its side information of users may be made of pairs that are validation now "
            "(docs/llmrec.md); make it anew where that is so"
        )
        dataset = dataclasses.replace(dataset, warnings=(*dataset.warnings, said))
    if options.name is not None:
        dataset = dataclasses.replace(dataset, name=options.name)
    if options.catalogue == catalogue.DROP:
        dataset = catalogue.trimmed(dataset, folder)
    for name, path in beside.items():
        dataset = _with_beside(dataset, folder, name, path, options.catalogue)
    names = {each: name for name, each in reversed(LAYOUTS.items())}
    source: dict[str, Any] = {"layout": options.layout or names[layout]}
    if options.min_rating is not None:
        source["min_rating"] = options.min_rating
    if layout in (canonical, parquet) and (folder / canonical.ABOUT).is_file():
        source["imported_from"] = read_json_object(folder / canonical.ABOUT).get("source")
    paths = sorted({*_pairs(layout, folder, top), *_matching(top, _BESIDE), *beside.values()})
    return dataset, source, {str(path.relative_to(top)): path for path in paths}


def _own(layout: ModuleType, folder: Path) -> list[Path]:
    return [path for name in layout.FILES for path in loading.files_of(layout, folder, name)]


def _pairs(layout: ModuleType, folder: Path, top: Path) -> list[Path]:
    """The files that the splits were read from."""
    if folder.is_file():
        return [top / folder.name]
    if layout is lattice and lattice.is_core(folder):
        folder = Path(os.path.abspath(folder))
        return _matching(folder, canonical.FILES)
    return _own(layout, folder)


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
