"""The tiny world with raw ids, titles, and users of whom little or much is known."""

import dataclasses

import numpy as np
from worlds import ITEMS, USERS, world

from mmssl_jax.data import Dataset
from mmssl_jax.data.dataset import SPLITS, assemble

COLD, BUSY, LEFT = 5, 6, 9  # a user without training pairs, and one with few items left
UNSEEN = 33  # an item that nobody in `catalogue` has had before training
CONTENT = "--config.data.modalities="
MODELS = {  # and their flags
    "vbpr": (CONTENT,),
    "mmssl": (CONTENT,),
    "hybrid": (CONTENT, "--config.hybrid.members=2", "--config.train.steps_per_epoch=16"),
    "ease": (),
    "popularity": (),
}
USER_IDS = tuple(f"reader {index}" for index in range(USERS))
ITEM_IDS = ("a,b", 'quoted "x"', *(f"B{index:03}" for index in range(2, ITEMS)))


def uneven_world() -> Dataset:
    """`world` with raw ids and titles, a cold user and a busy one."""
    base = world()
    pairs = {split: getattr(base, split).nonzero() for split in SPLITS}
    users, items = pairs["train"]
    held_out = (base.val + base.test)[[BUSY]].nonzero()[1]
    rest = np.setdiff1d(np.arange(ITEMS), held_out)[: ITEMS - LEFT]
    kept = (users != COLD) & (users != BUSY)
    pairs["train"] = (
        np.concatenate([users[kept], np.full(len(rest), BUSY)]),
        np.concatenate([items[kept], rest]),
    )
    titles = ("", "[bold]Title\x1b[31m", *(f"Title {index}" for index in range(2, ITEMS)))
    return assemble(
        "uneven",
        "uneven",
        (USERS, ITEMS),
        pairs,
        base.features,
        user_ids=USER_IDS,
        item_ids=ITEM_IDS,
        item_titles=titles,
    )


def catalogue() -> Dataset:
    """`uneven_world` without training pairs of the item `UNSEEN`."""
    dataset = uneven_world()
    train = dataset.train.tolil()
    train[:, [UNSEEN]] = 0
    return dataclasses.replace(dataset, train=train.tocsr())
