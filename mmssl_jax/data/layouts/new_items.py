"""Items that came after training, in a folder of their own with the files that a data folder has.

items.tsv                 index, tab, raw id, and tab, title (optional)
<modality>_feat.npy       row i is item i; one for each modality that the run was trained with
<modality>_present.npy    boolean for each item: is row i real (optional)
items.parquet, items.csv  their attributes (optional): `features.item_attributes`
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmssl_jax.data import pair_matrix
from mmssl_jax.data.arrays import npy
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.checks.id_checks import checked_ids
from mmssl_jax.data.dataset import Dataset, check_counts
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import id_tables
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.data.tables.column_names import listed
from mmssl_jax.errors import InputError

_IDS = "items.tsv"


def behind(dataset: Dataset, folder: Path) -> Dataset:
    """A data set with the items of a folder behind its own, which nobody has yet.

    Args:
      dataset: what a run was trained on; its modalities are read.
      folder: the new items.

    Raises:
      InputError: the folder lacks a modality or the ids, features are of another width, or an id
        is there twice or is an item's already.
    """
    paths = _paths(folder, dataset)
    count = npy.read_header(next(iter(paths.values())))[0]
    if not count:
        raise InputError(f"{folder}: has no items, as its features have no rows")
    check_counts(folder, dataset.num_users, dataset.num_items + count)
    rows = id_tables.read(folder / _IDS, count)
    ids = checked_ids(Findings(), folder / _IDS, "item", id_tables.column(rows, 1))
    if ids is None:
        raise InputError(f"{folder}: has no {_IDS}; list its items there: index, tab, raw id")
    own = dataset.item_ids or tuple(map(str, range(dataset.num_items)))
    _check_new(folder, own, ids)
    why = f"those of {next(iter(paths.values())).name}"
    values, present = features.read_all(paths, paths, count, why, Findings())
    known = (dataset.num_items, count)
    shape = (dataset.num_users, sum(known))
    titles, more = dataset.item_titles, id_tables.column(rows, 2)
    if titles or more:
        titles = (*(titles or [""] * known[0]), *(more or [""] * count))
    return dataclasses.replace(
        dataset,
        **{split: pair_matrix.widened(getattr(dataset, split), shape) for split in SPLITS},
        features={name: np.concatenate([dataset.features[name], values[name]]) for name in values},
        present=_masks((dataset.present, present), known),
        item_ids=(*own, *ids),
        item_titles=titles,
        mapped_by_item=None,
    )


def _paths(folder: Path, dataset: Dataset) -> dict[str, Path]:
    """The file of each modality of the data set, whose rows have its width."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder; name one that holds the new items")
    found, paths = features.find(folder), {}
    for name, array in dataset.features.items():
        if name not in found:
            raise InputError(
                f"{folder}: has no {name}{features.SUFFIX}, and the run was trained with "
                f"{listed(list(dataset.features))}; add it (items that lack it: {name}"
                f"{features.MASK_SUFFIX})"
            )
        paths[name] = found[name]
        width = npy.read_header(found[name])[1]
        if width != array.shape[1]:
            raise InputError(
                f"{found[name]}: has {width} columns, and the run was trained with "
                f"{array.shape[1]}; make the features as those of training were made"
            )
    return paths


def _check_new(folder: Path, own: tuple[str, ...], ids: tuple[str, ...]) -> None:
    """Raises InputError where an id is an item's of training already, in any spelling."""
    places = id_spelling.places(own, ids)
    taken = [raw_id for raw_id, place in zip(ids, places, strict=True) if place >= 0]
    if taken:
        raise InputError(
            f"{folder / _IDS}: {listed(taken)} "
            f"{'are items' if len(taken) > 1 else 'is an item'} of the data already; leave out "
            "what the run was trained with"
        )


def _masks(
    present: tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]], counts: tuple[int, int]
) -> dict[str, np.ndarray]:
    """The masks of the modalities that some item, old or new, lacks."""
    parts = {
        name: [
            masks.get(name, np.ones(count, bool))
            for masks, count in zip(present, counts, strict=True)
        ]
        for name in sorted({*present[0], *present[1]})
    }
    return {name: mask for name, part in parts.items() if not (mask := np.concatenate(part)).all()}
