"""Makes a data set whose right recommendations can be seen by eye: shapes in colours.

python examples/shapes.py --to data/shapes
mmssl train --config shapes
mmssl report runs/shapes

Every item is a shape in a colour, such as a small red circle, and has a title, a category (its
shape) and a little picture. Every user likes one shape or one colour, and the user's id says which:
the list of `likes-red-07` ought to be red. One pair in ten is of any item, as people are not that
simple. GENERATED data: its scores say nothing about real data.
"""

import argparse
import itertools
import json
import math
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from PIL import Image, ImageDraw

import mmssl_jax as mj
from mmssl_jax.files import checksums

SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross")
COLOURS = {
    "red": (214, 39, 40),
    "orange": (242, 133, 0),
    "yellow": (235, 200, 20),
    "green": (44, 150, 60),
    "blue": (38, 102, 204),
    "purple": (140, 80, 190),
}
SIZES = {"small": 0.45, "medium": 0.68, "large": 0.92}  # of the picture's width
FILLS = ("filled", "hollow")
USERS_OF_A_TASTE = 40
PAIRS = (8, 14)  # fewest and most of a user
ASTRAY = 0.1  # the chance that a pair is of any item
PIXELS = 48


class Item(NamedTuple):
    """What is to be seen of an item."""

    size: str
    fill: str
    colour: str
    shape: str

    @property
    def id(self) -> str:
        """Its raw id."""
        return "-".join(self)

    @property
    def title(self) -> str:
        """Such as 'small red circle'; what is filled is not said to be."""
        words = [word for word in self if word != "filled"]
        return " ".join(words)

    def follows(self, taste: str) -> bool:
        """Whether a user with this taste, a shape or a colour, likes it."""
        return taste in (self.colour, self.shape)


ITEMS = [Item(*words) for words in itertools.product(SIZES, FILLS, COLOURS, SHAPES)]
TASTES = (*SHAPES, *COLOURS)


def taste_of(user: str) -> str:
    """What a user likes, by the raw id."""
    return user.split("-")[1]


def pairs(seed: int = 0) -> Iterator[tuple[str, str]]:
    """(user, item), both raw ids, wholly determined by `seed`."""
    rng = np.random.default_rng(seed)
    for taste, number in itertools.product(TASTES, range(USERS_OF_A_TASTE)):
        count = rng.integers(*PAIRS, endpoint=True)
        liked = np.array([item.follows(taste) for item in ITEMS])
        chance = np.where(liked, (1 - ASTRAY) / liked.sum(), ASTRAY / (~liked).sum())
        for item in rng.choice(len(ITEMS), count, replace=False, p=chance):
            yield f"likes-{taste}-{number:02}", ITEMS[item].id


def picture(item: Item) -> Image.Image:
    """A square picture of an item, drawn large and made small, so that its edges are smooth."""
    drawn = 8 * PIXELS
    image = Image.new("RGB", (drawn, drawn), "white")
    radius = SIZES[item.size] * drawn / 2
    places = [(drawn / 2 + radius * x, drawn / 2 + radius * y) for x, y in outline(item.shape)]
    colour = COLOURS[item.colour]
    draw = ImageDraw.Draw(image)
    if item.fill == "filled":
        draw.polygon(places, fill=colour)
    else:
        draw.line([*places, *places[:2]], fill=colour, width=drawn // 16, joint="curve")
    return image.resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)


def outline(shape: str) -> list[tuple[float, float]]:
    """The corners of a shape within the unit circle, the first on top; y goes down."""
    if shape == "cross":
        arm = 0.35
        quarter = [(-arm, -0.95), (arm, -0.95), (arm, -arm)]
        turns = [quarter]
        for _ in range(3):
            turns.append([(-y, x) for x, y in turns[-1]])
        return [corner for turn in turns for corner in turn]
    corners = {"circle": 96, "square": 4, "triangle": 3, "star": 10, "diamond": 4}[shape]
    first = math.pi / 4 if shape == "square" else 0
    narrow = 0.62 if shape == "diamond" else 1.0
    found = []
    for corner in range(corners):
        reach = 0.42 if shape == "star" and corner % 2 else 1.0
        angle = first + 2 * math.pi * corner / corners
        found.append((narrow * reach * math.sin(angle), -reach * math.cos(angle)))
    return found


def image_features() -> np.ndarray:
    """The pixels of every item's picture, 12 x 12 in three colours, float32 [items, 432]."""
    small = [picture(item).resize((12, 12), Image.Resampling.BOX) for item in ITEMS]
    return np.stack([np.asarray(image, np.float32).ravel() / 255 for image in small])


def text_features() -> np.ndarray:
    """The words of every item's title, float32 [items, words]: 1 where a title has a word."""
    words = sorted({word for item in ITEMS for word in item.title.split()})
    rows = [[float(word in item.title.split()) for word in words] for item in ITEMS]
    return np.array(rows, np.float32)


def make(folder: Path, seed: int = 0) -> mj.Dataset:
    """Writes the data folder, with items.parquet and pictures/, and returns the data set.

    Raises:
      InputError: the folder exists already, or cannot be written; the seed is negative.
    """
    if seed < 0:
        raise mj.InputError(f"--seed is {seed}; give a whole number from 0")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise mj.InputError(f"{folder} exists already; remove it, or name another with --to")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        table = pl.DataFrame(list(pairs(seed)), schema=["user", "item"], orient="row")
        table.write_csv(source / "likes.csv")
        items = [(item.id, item.title) for item in ITEMS]
        pl.DataFrame(items, schema=["item", "title"], orient="row").write_csv(source / "items.csv")
        (source / "ids.txt").write_text("".join(f"{item.id}\n" for item in ITEMS))
        features = {"image": image_features(), "text": text_features()}
        for modality, values in features.items():
            np.save(source / f"{modality}.npy", values)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what an import leaves out, which is nothing here
            mj.import_table(
                source / "likes.csv",
                to=folder,
                modalities={modality: source / f"{modality}.npy" for modality in features},
                item_order=source / "ids.txt",
                items=source / "items.csv",
                split="per-user",
                seed=seed,
                name="shapes",
            )
    mark_as_generated(folder)
    write_looks(folder)
    return mj.load_data(folder)


def mark_as_generated(folder: Path) -> None:
    """Says in dataset.json that the data are made up, which every table of scores then repeats."""
    path = folder / "dataset.json"
    about = json.loads(path.read_text(encoding="utf-8")) | {"synthetic": True}
    with checksums.changing(folder, [path.name]):
        path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def write_looks(folder: Path) -> None:
    """Adds pictures/ and items.parquet, which says how the items look, to a data folder."""
    (folder / "pictures").mkdir(exist_ok=True)
    for item in ITEMS:
        picture(item).save(folder / "pictures" / f"{item.id}.png")
    rows = [(item.id, item.title, item.shape, f"pictures/{item.id}.png") for item in ITEMS]
    table = pl.DataFrame(rows, schema=["id", "title", "category", "picture"], orient="row")
    table.write_parquet(folder / "items.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("data/shapes"), help="a new folder")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        dataset = make(given.to, given.seed)
    except (mj.InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(
        f"{given.to}: GENERATED data, {dataset.num_users} users, {dataset.num_items} items, "
        f"{dataset.train.nnz} training pairs; next:\n"
        f"  mmssl train --config shapes --config.data.path={given.to}\n"
        "  mmssl report runs/shapes"
    )


if __name__ == "__main__":
    main()
