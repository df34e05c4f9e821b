"""Titles of items from the item_attribute.csv of the public LLMRec folders.

It has no header. Netflix has index, year and title; MovieLens index, title and genres.
"""

import csv
import io
import re
from pathlib import Path

from mmssl_jax.data.checks.findings import Findings

FILE = "item_attribute.csv"
_YEAR = re.compile(r"\d{4}(\.0)?|null|nan|", re.IGNORECASE)


def read(folder: Path, num_items: int, findings: Findings) -> list[list[str]] | None:
    """Index, raw id and title of every item, as in items.tsv; None without the file.

    Rows go by their index or, where there is a row for every item and it is no index, by their
    place. As training needs no titles, a file that does not fit is only warned of.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        rows = [row for row in csv.reader(io.StringIO(_text(path))) if len(row) > 1]
    except (OSError, csv.Error) as error:
        findings.warn("titles", f"{path}: cannot be read, so no titles are known ({error})")
        return None
    years = all(_YEAR.fullmatch(row[1].strip()) for row in rows)
    # A comma in a title that is not in quotes makes more columns of it.
    titles = [",".join(row[2:] if years else row[1:-1] or row[1:]) for row in rows]
    ids = [row[0].strip() for row in rows]
    # Not of many more items than there are rows: a stray id elsewhere would cost lists of millions.
    places = [str(index) for index in range(min(num_items, 2 * len(rows)))]
    if len(places) == num_items and set(places).issuperset(ids) and len(set(ids)) == len(ids):
        known = dict(zip(ids, titles, strict=True))
        ids, titles = places, [known.get(place, "") for place in places]
    elif len(rows) != num_items:
        findings.warn(
            "titles", f"{path}: has {len(rows)} rows for {num_items} items, so no titles are known"
        )
        return None
    return [
        [str(index), _line(raw_id), _line(title)]
        for index, (raw_id, title) in enumerate(zip(ids, titles, strict=True))
    ]


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # as Netflix published its titles


def _line(text: str) -> str:
    """Without line breaks, tabs and other characters that steer a terminal."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())
