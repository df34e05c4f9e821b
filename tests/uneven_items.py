"""The tiny world with raw ids and titles, as a folder."""

import dataclasses
from pathlib import Path

from worlds import ITEMS, USERS, world

from mmssl_jax.data.layouts import canonical

IDS = tuple(f"B{item:03}" for item in range(ITEMS))
USER_IDS = tuple(f"u{user}" for user in range(USERS))
TITLES = tuple(f"Title {item}" for item in range(ITEMS))


def data_with_ids(folder: Path) -> Path:
    """Writes the world as a data folder."""
    dataset = dataclasses.replace(world(), user_ids=USER_IDS, item_ids=IDS, item_titles=TITLES)
    canonical.write(dataset, folder, {"from": "tests"})
    return folder
