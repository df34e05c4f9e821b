"""Titles, categories and pictures for the tiny world, some of them hostile."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import polars as pl
from worlds import ITEMS, ROOT

HOSTILE = '</script><script>window.hostile=1</script><img src=x onerror="window.hostile=2">'
HOSTILE_CATEGORY = "<b>cross</b>"


def shapes() -> SimpleNamespace:
    """The module examples/shapes.py."""
    return SimpleNamespace(**runpy.run_path(str(ROOT / "examples/shapes.py")))


def with_looks(folder: Path) -> None:
    """Gives every item of a data folder of `world` the title and the picture of a shape."""
    drawn = shapes()
    items = drawn.ITEMS[:ITEMS]
    (folder / "pictures").mkdir()
    for item in items:
        drawn.picture(item).save(folder / "pictures" / f"{item.id}.png")
    titles = [HOSTILE, *(item.title for item in items[1:])]
    categories = [item.shape.replace("cross", HOSTILE_CATEGORY) for item in items]
    pictures = [f"pictures/{item.id}.png" for item in items]
    ids = [str(index) for index in range(ITEMS)]
    columns = {"id": ids, "title": titles, "category": categories, "picture": pictures}
    pl.DataFrame(columns).write_parquet(folder / "items.parquet")
