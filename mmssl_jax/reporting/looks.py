"""How items look in a report: title, category and picture, where the data has them."""

import base64
import io
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data import Dataset
from mmssl_jax.data.features import item_attributes
from mmssl_jax.data.features.item_attributes import CATEGORY, PICTURE, TITLE

SIDE = 64  # pixels of a picture, at most
MOST_BYTES = 20_000_000  # of a picture's file
MOST_PIXELS = 40_000_000  # of a picture
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_CATEGORIES = 9  # with a colour of their own
OTHERS = "others"
_LONGEST = 120  # characters of a title


class Look(NamedTuple):
    """How one item looks."""

    id: str
    title: str  # the id, where there is none
    category: str  # empty where there is none
    picture: str | None  # a data: address of a small picture


class Looks:
    """How the items of a data set look."""

    def __init__(self, dataset: Dataset):
        """Raises InputError where the table of items cannot be read."""
        self._table = item_attributes.of(dataset)
        table = item_attributes.find(dataset)
        self._folder = table.parent.resolve() if table else None
        self._pictures: dict[str, str | None] = {}
        self.unreadable: list[str] = []  # pictures, by their paths in the table

    def of(self, item: int) -> Look:
        """How the item with this index looks."""
        row = self._table.row(item, named=True)
        return Look(
            id=_short(row[item_attributes.ID]),
            title=_short(row[TITLE] or row[item_attributes.ID]),
            category=_short(_text(row.get(CATEGORY))),
            picture=self._picture(_text(row.get(PICTURE))),
        )

    def titles(self, items: np.ndarray) -> list[str]:
        """The titles of these items, or their ids."""
        table = self._table[items]
        return [
            _short(title or name) for name, title in table.select(item_attributes.ID, TITLE).rows()
        ]

    def categories(self) -> list[str] | None:
        """The category of every item, those of few items as `OTHERS`; None without categories."""
        if CATEGORY not in self._table.columns:
            return None
        texts = pl.Series([_short(_text(value)) or OTHERS for value in self._table[CATEGORY]])
        counts = texts.value_counts(sort=True).filter(pl.col(texts.name) != OTHERS)
        kept = set(counts[texts.name].head(MOST_CATEGORIES))
        return [text if text in kept else OTHERS for text in texts]

    def _picture(self, path: str) -> str | None:
        if not path or self._folder is None:
            return None
        if path not in self._pictures:
            self._pictures[path] = thumbnail(self._folder, path)
            if self._pictures[path] is None:
                self.unreadable.append(path)
        return self._pictures[path]


def thumbnail(folder: Path, path: str) -> str | None:
    """A picture of a data folder as a data: address, small; None where it cannot be read.

    It is decoded and written anew, so nothing of a stranger's file but its pixels is in a report.
    """
    from PIL import Image  # of the extra: the rest of the package works without it

    try:
        file = (folder / path).resolve()
        if not file.is_relative_to(folder) or not file.is_file():
            return None
        if file.stat().st_size > MOST_BYTES:
            return None
        with warnings.catch_warnings(), Image.open(file, formats=FORMATS) as image:
            warnings.simplefilter("ignore")  # of odd metadata; the size is checked here
            if image.width * image.height > MOST_PIXELS:
                return None
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            small = image.convert("RGBA")
            small.thumbnail((SIDE, SIDE))
            return _encoded(small)
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
        return None


def _encoded(image: Any) -> str:
    """As WebP, the smallest that browsers read."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _text(value: object) -> str:
    """Of a cell: of a list the first."""
    if isinstance(value, list):
        value = value[0] if value else None
    return "" if value is None else str(value)


def _short(text: str) -> str:
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"
