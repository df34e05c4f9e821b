"""Generated data with planted structure, in which the modalities carry real signal."""

import numpy as np

from mmssl_jax.data.dataset import Dataset, assemble

NAME = "demo (synthetic)"
NUM_USERS = 3000
NUM_ITEMS = 2000
LATENT = 24
TOPICS = 60
HELD_OUT = {"val": 1, "test": 2}  # pairs of every user
TRAIN = (6, 12)  # fewest and most pairs of a user

# modality -> (width, the latent dimensions it sees); each sees a part, and the parts overlap
VIEWS = {
    "image": (64, slice(0, 14)),
    "text": (48, slice(8, 24)),
    "audio": (32, slice(4, 12)),
}


def generate(seed: int) -> Dataset:
    """The demo dataset, wholly determined by `seed`.

    Items lie around topics in a latent space, users prefer items near their own place in it, with
    a mild skew of popularity. Every modality is a noisy nonlinear view of a part of the latent
    space, among nuisance dimensions that mean nothing.
    """
    rng = np.random.default_rng(seed)
    topics = _unit(rng.normal(size=(TOPICS, LATENT)))
    items = _unit(topics[rng.integers(TOPICS, size=NUM_ITEMS)] + 0.12 * _normal(rng, NUM_ITEMS))
    users = _unit(items[rng.integers(NUM_ITEMS, size=NUM_USERS)] + 0.08 * _normal(rng, NUM_USERS))
    pairs = _interactions(rng, users, items)
    features = {name: _view(rng, items, *view) for name, view in VIEWS.items()}
    return assemble(NAME, NAME, (NUM_USERS, NUM_ITEMS), pairs, features, synthetic=True)


def _interactions(rng: np.random.Generator, users: np.ndarray, items: np.ndarray) -> dict:
    """Draws each user's items without replacement and deals them out to the splits."""
    popularity = rng.normal(0.0, 0.5, NUM_ITEMS)
    utility = 12.0 * users @ items.T + popularity
    # Adding Gumbel noise and taking the largest draws from the softmax without replacement.
    noisy = utility + rng.gumbel(size=utility.shape)
    held_out = sum(HELD_OUT.values())
    ranked = np.argsort(-noisy, axis=1)[:, : held_out + TRAIN[1]]
    ranked = rng.permuted(ranked, axis=1)
    counts = rng.integers(TRAIN[0], TRAIN[1], size=NUM_USERS, endpoint=True)
    rank = np.arange(ranked.shape[1])
    start, pairs = 0, {}
    for split, count in HELD_OUT.items():
        pairs[split] = _pairs(
            ranked, np.broadcast_to((rank >= start) & (rank < start + count), ranked.shape)
        )
        start += count
    pairs["train"] = _pairs(ranked, (rank >= start) & (rank < start + counts[:, None]))
    return pairs


def _pairs(ranked: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero(chosen)[0], ranked[chosen]


def _view(rng: np.random.Generator, items: np.ndarray, width: int, seen: slice) -> np.ndarray:
    """One modality, float32 [I, width]: tanh of a random map of the dimensions seen, plus noise."""
    part = items[:, seen]
    mixing = rng.normal(size=(part.shape[1], width)) * 1.5
    signal = np.tanh(part @ mixing)
    return (signal + 0.3 * rng.normal(size=signal.shape)).astype(np.float32)


def _normal(rng: np.random.Generator, rows: int) -> np.ndarray:
    return rng.normal(size=(rows, LATENT))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
