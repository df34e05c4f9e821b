"""Data and configs for a notebook."""

import dataclasses
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmssl_jax import data as datasets
from mmssl_jax.config import Config, named
from mmssl_jax.data import Dataset
from mmssl_jax.data.importing import imports
from mmssl_jax.data.importing.options import ImportOptions

AnyPath = str | os.PathLike[str]


def load_data(
    path: AnyPath, *, modalities: str = "", demo_seed: int = 0, repeats: str = "error"
) -> Dataset:
    """Reads a data folder, in any of the layouts of docs/data.md.

    Args:
      path: of the folder, or ':demo:' for generated data.
      modalities: comma-separated; '' takes every modality found, 'none' takes no content.
      demo_seed: of the generated data.
      repeats: what becomes of training pairs that are in val or test as well: 'error', 'drop'
        (they are left out there) or 'keep' (every item is ranked).

    Returns:
      Users, items, their pairs and features. `train`, `val` and `test` are scipy matrices
      [users, items]; `features` maps a modality to float32 [items, width].

    Raises:
      InputError: the folder cannot be read, or has errors.

    >>> data = load_data(":demo:", modalities="image,text")
    >>> data.num_users, data.num_items, list(data.features)
    (3000, 2400, ['image', 'text'])
    """
    return _warned(datasets.load(os.fspath(path), modalities, demo_seed, repeats))


def import_table(
    path: AnyPath,
    *,
    to: AnyPath | None = None,
    modalities: Mapping[str, AnyPath] | None = None,
    **options: Any,
) -> Dataset:
    """Reads a table of interactions (CSV, TSV, JSON, Parquet), and splits it.

    Args:
      path: of the table, or of a folder of tables or of another layout.
      to: a new folder to keep the data set in; None keeps it in memory alone.
      modalities: modality -> file of features to add.
      **options: the flags of `mmssl data import`, with '_' for '-', such as split="leave-last",
        min_rating=4.0, k_core=5, user_column="reader".

    Raises:
      InputError: the table cannot be read, or options do not go together.
      TypeError: there is no such option.

    >>> import polars as pl
    >>> table = pl.DataFrame({"user": list("aabbcc") * 3, "item": list("xyzxyzzxy") * 2})
    >>> table.write_csv("ratings.csv")
    >>> data = import_table("ratings.csv", split="per-user", k_core=0)
    >>> data.num_users, data.user_ids
    (3, ('a', 'b', 'c'))
    """
    for name in ("item_order", "items"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    files = {name: Path(file) for name, file in (modalities or {}).items()}
    target = None if to is None else Path(to)
    imported = imports.import_data(ImportOptions(Path(path), target, modalities=files, **options))
    dataset, source = imported.dataset, {}
    if to is not None:
        source = {"path": os.fspath(to), "modalities": "" if dataset.features else "none"}
    return _warned(dataclasses.replace(dataset, source=source))


def _warned(dataset: Dataset) -> Dataset:
    for warning in dataset.warnings:
        warnings.warn(warning, stacklevel=3)
    return dataset


def load_config(name: AnyPath) -> Config:
    """A config of the package by its name, such as 'baby', or a config file.

    Raises:
      InputError: there is none, or it cannot be read.

    >>> load_config("demo").train.epochs
    10
    """
    return named.config(named.config_file(os.fspath(name)))
