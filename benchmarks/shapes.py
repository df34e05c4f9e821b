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
    profile: int = 0  # width of the users' features, for LLMRec; 0 is without
    attributes: int = 0  # how many, as wide as the profile


SHAPES = {
    "demo": Shape(3000, 2000, 24000, {"image": 64, "text": 48, "audio": 32}),
    "tiktok": Shape(9308, 6710, 59541, {"image": 128, "audio": 128}),
    "baby": Shape(19445, 7050, 118551, {"image": 4096, "text": 1024}),
    "netflix": Shape(13187, 17366, 68933, {"image": 512, "text": 768}, profile=1536, attributes=5),
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

    def side(rows: int, count: int) -> dict[str, np.ndarray]:
        size = rows, shape.profile
        return {str(number): rng.standard_normal(size, np.float32) for number in range(count)}

    users = np.arange(shape.users) if shape.profile else np.arange(0)
    pairs = rng.integers(shape.items, size=(len(users), 2))
    return Dataset(
        "RANDOM",
        train,
        val,
        test,
        features,
        None,
        None,
        synthetic=True,
        warnings=(),
        user_features=side(shape.users, int(shape.profile > 0)),
        attributes=side(shape.items, shape.attributes),
        augmented=np.column_stack([users, pairs]) if shape.profile else None,
    )
