"""Splits of indices with lists of raw ids and features beside them, as three layouts have them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import raw_ids
from mmssl_jax.data.layouts.counts import Counts
from mmssl_jax.data.layouts.raw_ids import IdLists
from mmssl_jax.data.layouts.splits_json import Split


def assemble_indexed(
    where: Path,
    name: str,
    splits: Mapping[str, Split],
    ids: IdLists,
    found: Mapping[str, Path],
    chosen: Sequence[str],
    findings: Findings,
) -> Dataset:
    """The data set of these splits, ids and features; raises InputError.

    There are as many users and items as the largest of: the ids in the splits, the lines of the
    lists, and for items the rows of every feature file.

    Args:
      where: named in messages.
      name: of the data set.
      splits: those that could be read.
      ids: the lists of raw ids.
      found: the file of every modality.
      chosen: the modalities that are read.
      findings: gets what is suspicious, and may collect errors.
    """
    counts = Counts(where, splits.values())
    counts.add_rows(found, chosen, findings)
    counts.add(ids.users_path.name, users=None if ids.users is None else len(ids.users))
    counts.add(ids.items_path.name, items=None if ids.items is None else len(ids.items))
    shape = counts.settle(findings)
    values, present = features.read_all(found, chosen, shape[1], counts.why, findings)
    return assemble(
        where,
        name,
        shape,
        {split: (part.users, part.items) for split, part in splits.items()},
        values,
        user_ids=raw_ids.complete(ids.users_path, ids.users, shape[0], findings),
        item_ids=raw_ids.complete(ids.items_path, ids.items, shape[1], findings),
        present=present,
        findings=findings,
    )
