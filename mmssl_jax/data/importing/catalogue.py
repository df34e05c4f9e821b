"""Items that a catalogue has beyond those with pairs: counted, and left out or added."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.dataset import Dataset, check_counts
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import id_spelling
from mmssl_jax.errors import InputError

DROP, KEEP = CHOICES = ("drop", "keep")


def settle(
    dataset: Dataset,
    where: Path,
    listed: Sequence[str] | int,
    choice: str | None,
    spelling: str = id_spelling.JOIN,
) -> Dataset:
    """The data set with the items of a catalogue that it lacks, where `choice` is KEEP.

    Either way a warning says how many there are; they get the indices after the others, in the
    order of the catalogue.

    Args:
      dataset: with pairs, and maybe features.
      where: the file that is the catalogue, named in the warning.
      listed: the raw ids in it, each once; or how many items it has, where they go by index.
      choice: KEEP, DROP, or None for the default, which is to drop.
      spelling: how raw ids are matched, as in `id_spelling.places`.
    """
    if isinstance(listed, int):
        count, beyond, ids = listed, listed - dataset.num_items, None
    else:
        ids = _new(dataset.item_ids or (), listed, spelling)
        count, beyond = len(listed), len(ids)
    if beyond <= 0:
        return dataset
    what = (
        f"{where}: {beyond} of its {count} items {worded(beyond, 'has', 'have')} no pair, in the "
        "data or after filters such as --k-core,"
    )
    if choice == KEEP:
        dataset = _extended(dataset, where, beyond, ids)
        kept = worded(beyond, "is kept as an item", "are kept as items")
        said = f"{what} and {kept} without any; --catalogue drop leaves them out"
    else:
        said = f"{what} and are left out with their features; --catalogue keep takes them as items"
    return dataclasses.replace(dataset, warnings=(*dataset.warnings, said))


def _new(known: Sequence[str], listed: Sequence[str], spelling: str) -> list[str]:
    """The listed ids that none of the known ones is, in the spelling that these have."""
    missing = id_spelling.places(known, listed, spelling) < 0
    ids = [raw for raw, new in zip(listed, missing, strict=True) if new]
    if spelling == id_spelling.JOIN:
        ids = id_spelling.spell(pl.Series([*known, *ids], dtype=pl.String)).to_list()[len(known) :]
    taken = set(known)
    return [raw for raw in dict.fromkeys(ids) if raw not in taken]


def trimmed(dataset: Dataset, where: Path) -> Dataset:
    """The data set without the items after the last that has a pair; a warning counts them."""
    used = [getattr(dataset, split).indices for split in SPLITS]
    count = int(np.concatenate(used).max(initial=-1)) + 1
    beyond = dataset.num_items - count
    if not beyond:
        return dataset
    said = (
        f"{where}: {beyond} of {dataset.num_items} items {worded(beyond, 'comes', 'come')} after "
        f"the last that has a pair, and {worded(beyond, 'is', 'are')} left out"
    )
    pairs = dataset.augmented
    if pairs is not None and (lost := int((pairs[:, 1:] >= count).any(axis=1).sum())):
        said += f", with {counted(lost, 'augmented pair')}"
    return dataclasses.replace(
        dataset,
        **_of_width(dataset, count),
        features={name: values[:count] for name, values in dataset.features.items()},
        present={name: mask[:count] for name, mask in dataset.present.items()},
        attributes={name: values[:count] for name, values in dataset.attributes.items()},
        augmented=None if pairs is None else pairs[(pairs[:, 1:] < count).all(axis=1)],
        item_ids=dataset.item_ids and dataset.item_ids[:count],
        item_titles=dataset.item_titles and dataset.item_titles[:count],
        warnings=(*dataset.warnings, said),
    )


def _extended(dataset: Dataset, where: Path, count: int, ids: Sequence[str] | None) -> Dataset:
    """The data set with `count` more items, of which nothing but the raw id is known."""
    check_counts(where, dataset.num_users, dataset.num_items + count)
    if dataset.attributes:
        raise InputError(
            f"{where}: {counted(count, 'item')} more would have no attributes; leave out such with "
            "--catalogue drop, or remove the files attribute_*_feat.npy"
        )
    return dataclasses.replace(
        dataset,
        **_of_width(dataset, dataset.num_items + count),
        features={
            name: np.pad(values, ((0, count), (0, 0))) for name, values in dataset.features.items()
        },
        present={
            name: np.pad(dataset.present.get(name, np.ones(len(values), bool)), (0, count))
            for name, values in dataset.features.items()
        },
        item_ids=None if ids is None else (*(dataset.item_ids or ()), *ids),
        item_titles=dataset.item_titles and (*dataset.item_titles, *[""] * count),
    )


def _of_width(dataset: Dataset, items: int) -> dict[str, csr_array]:
    """The splits with so many columns."""
    splits = {}
    for split in SPLITS:
        old = getattr(dataset, split)
        entries = (old.data, old.indices, old.indptr)
        splits[split] = csr_array(entries, shape=(dataset.num_users, items))
        splits[split].has_canonical_format = True
    return splits
