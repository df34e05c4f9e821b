"""Data sets of the published sizes with RANDOM interactions and features, for timing only."""

from typing import NamedTuple

import numpy as np
import scipy.sparse

from mmssl_jax.data import Dataset


class Shape(NamedTuple):
    """The size of a data set."""

    users: int
    items: int
    pairs: int  # in the training split
    widths: dict[str, int]  # of the modalities' features


SHAPES = {
    "demo": Shape(3000, 2000, 24000, {"image": 64, "text": 48, "audio": 32}),
    "tiktok": Shape(9308, 6710, 59541, {"image": 128, "audio": 128}),
    "baby": Shape(19445, 7050, 118551, {"image": 4096, "text": 1024}),
    "sports": Shape(35598, 18357, 218409, {"image": 4096, "text": 1024}),
}


def random_dataset(shape: Shape, seed: int = 0) -> Dataset:
    """Random interactions, with the popularity of real ones, and normal features."""
    rng = np.random.default_rng(seed)
    activity = rng.lognormal(0.0, 0.6, shape.users)
    popularity = rng.lognormal(0.0, 1.0, shape.items)

    def split(pairs: int) -> scipy.sparse.csr_array:
        users = rng.choice(shape.users, pairs, p=activity / activity.sum())
        items = rng.choice(shape.items, pairs, p=popularity / popularity.sum())
        matrix = scipy.sparse.csr_array(
            (np.ones(pairs, np.float32), (users, items)), (shape.users, shape.items)
        )
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    features = {
        name: rng.standard_normal((shape.items, width), np.float32)
        for name, width in shape.widths.items()
    }
    train, val, test = split(shape.pairs), split(shape.users // 2), split(shape.users // 2)
    return Dataset("RANDOM", train, val, test, features, None, None, synthetic=True, warnings=())
