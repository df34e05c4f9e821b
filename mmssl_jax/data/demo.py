"""Generated data with planted structure, in which the modalities carry real signal."""

import numpy as np

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.data.splits import Pairs

NAME = "demo (synthetic)"
NUM_USERS = 3000
NUM_ITEMS = 2400
LATENT = 24
TOPICS = 150
ITEM_SPREAD = 0.3  # around the item's topic, for each latent dimension; so is the next
USER_SPREAD = 0.1  # around an item that the user was made to like
SHARPNESS = 15.0  # of the preference for near items
POPULARITY = 0.5  # standard deviation of the items' log popularity
FEATURE_NOISE = 0.2
TRAIN = (5, 9)  # fewest and most training pairs of a user: too few to learn most items from
HELD_OUT = {"val": 1, "test": 2}  # pairs of every user

# modality -> (width, the latent dimensions it sees): each sees a part, and the parts overlap.
VIEWS = {
    "image": (64, slice(0, 15)),
    "text": (48, slice(8, 24)),
    "audio": (32, slice(4, 14)),
}


def generate(seed: int, findings: Findings | None = None) -> Dataset:
    """The demo data, wholly determined by `seed`: 3000 users, 2400 items, three modalities.

    Items lie around topics on a sphere of latent tastes, and users prefer the items near their
    own place on it, with a mild skew of popularity. Every modality is a noisy nonlinear view of a
    part of the latent dimensions. The interactions alone are too sparse to show the tastes well;
    together with the content they are not.
    """
    rng = np.random.default_rng(seed)
    users, items = tastes(rng)
    pairs = _split(rng, _liked(rng, users, items))
    features = {name: view(rng, items[:, seen], width) for name, (width, seen) in VIEWS.items()}
    shape = (NUM_USERS, NUM_ITEMS)
    return assemble(NAME, NAME, shape, pairs, features, synthetic=True, findings=findings)


def tastes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The places of users [U, latent] and items [I, latent] on the unit sphere."""
    topics = _unit(rng.normal(size=(TOPICS, LATENT)))
    items = _around(rng, topics, NUM_ITEMS, ITEM_SPREAD)
    return _around(rng, items, NUM_USERS, USER_SPREAD), items


def _liked(rng: np.random.Generator, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Distinct items of every user in random order, int [U, n]: all that any split may need."""
    count = TRAIN[1] + sum(HELD_OUT.values())
    utility = SHARPNESS * users @ items.T + rng.normal(scale=POPULARITY, size=NUM_ITEMS)
    # The largest of utility plus Gumbel noise are draws from its softmax without replacement.
    noisy = utility + rng.gumbel(size=utility.shape)
    best = np.argpartition(-noisy, count, axis=1)[:, :count]
    # Sorted first, because the order that argpartition leaves differs between processors.
    return rng.permuted(np.sort(best, axis=1), axis=1)


def _split(rng: np.random.Generator, liked: np.ndarray) -> dict[str, Pairs]:
    """Deals each user's items out: first what is held out, then a random number to train on."""
    counts = {split: np.full(len(liked), count) for split, count in HELD_OUT.items()}
    counts["train"] = rng.integers(*TRAIN, size=len(liked), endpoint=True)
    position = np.arange(liked.shape[1])
    start = np.zeros(len(liked), np.int64)
    pairs = {}
    for split, count in counts.items():
        dealt = (position >= start[:, None]) & (position < (start + count)[:, None])
        pairs[split] = (np.nonzero(dealt)[0], liked[dealt])
        start = start + count
    return pairs


def view(rng: np.random.Generator, part: np.ndarray, width: int) -> np.ndarray:
    """One modality, float32 [I, width]: a random map of a part of the latents, bent, with noise."""
    signal = np.tanh(1.5 * part @ rng.normal(size=(part.shape[1], width)))
    return (signal + rng.normal(scale=FEATURE_NOISE, size=signal.shape)).astype(np.float32)


def _around(rng: np.random.Generator, centres: np.ndarray, count: int, spread: float) -> np.ndarray:
    """`count` points on the unit sphere, each near a random one of `centres`."""
    chosen = centres[rng.integers(len(centres), size=count)]
    return _unit(chosen + rng.normal(scale=spread, size=chosen.shape))


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
