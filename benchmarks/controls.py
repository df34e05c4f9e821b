"""Writes a copy of a data set for a control experiment: does content, or the numbering, matter?

    python -m benchmarks.controls --data FOLDER --to COPY --shuffle-features SEED
    python -m benchmarks.controls --data FOLDER --to COPY --renumber SEED

With shuffled features the items have one another's, the same in all modalities: what content
gained must be gone. Renumbered, users and items have other indices: nothing may change but by
chance. The copy of shuffled features has the same pairs, so that `mmssl compare` takes both.
"""

import argparse
import dataclasses
import pathlib
import sys

import numpy as np
from scipy.sparse import csr_array

from mmssl_jax import data
from mmssl_jax.data import Dataset
from mmssl_jax.data.layouts import canonical
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.errors import InputError


def with_shuffled_features(dataset: Dataset, seed: int) -> Dataset:
    """The same pairs; the features of item i are those of another."""
    order = np.random.default_rng(seed).permutation(dataset.num_items)
    return _with_features_of(dataset, order)


def renumbered(dataset: Dataset, seed: int) -> Dataset:
    """The same users and items under other indices, without ids."""
    rng = np.random.default_rng(seed)
    users, items = rng.permutation(dataset.num_users), rng.permutation(dataset.num_items)
    splits = {name: csr_array(getattr(dataset, name)[users][:, items]) for name in SPLITS}
    for matrix in splits.values():
        matrix.sort_indices()
    new_user, new_item = np.argsort(users), np.argsort(items)
    pairs = dataset.augmented
    if pairs is not None:
        pairs = np.column_stack([new_user[pairs[:, 0]], new_item[pairs[:, 1:]]])
        pairs = pairs[np.argsort(pairs[:, 0])]
    dataset = dataclasses.replace(
        dataset,
        **splits,
        user_ids=None,
        item_ids=None,
        item_titles=None,
        user_features={name: rows[users] for name, rows in dataset.user_features.items()},
        attributes={name: rows[items] for name, rows in dataset.attributes.items()},
        augmented=pairs,
    )
    return _with_features_of(dataset, items)


def _with_features_of(dataset: Dataset, order: np.ndarray) -> Dataset:
    features = {name: rows[order] for name, rows in dataset.features.items()}
    present = {name: rows[order] for name, rows in dataset.present.items()}
    return dataclasses.replace(dataset, features=features, present=present)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a data folder")
    parser.add_argument("--to", type=pathlib.Path, required=True, help="a new folder")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--shuffle-features", type=int, metavar="SEED")
    kind.add_argument("--renumber", type=int, metavar="SEED")
    options = parser.parse_args()
    dataset = data.load(options.data)
    if options.renumber is None:
        copy, how = with_shuffled_features(dataset, options.shuffle_features), "shuffled features"
    else:
        copy, how = renumbered(dataset, options.renumber), "renumbered"
    canonical.write(copy, options.to, {"from": options.data, "control": how})
    print(f"{options.to}: {dataset.name}, {how}")


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
