"""Which Parquet files of a folder hold which pairs, as this project and engines elsewhere lay them.

    train.parquet                                 a file, or a folder of parts
    split=train/part-00000.parquet                parts in a folder for each split, maybe deeper
    part-00000.parquet                            parts with a column 'split'

Names that begin with '.' or '_' are no parts: checksums, _SUCCESS, what is being written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.checks.wording import counted, worded
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables.presplit import SPLIT_OF
from mmssl_jax.errors import InputError

SUFFIX = ".parquet"
_OF_PARTITION = "split="
_FEATURES = "_feat.parquet"
_ABOUT_ITEMS = "items.parquet"  # titles and categories, not pairs: `item_attributes`


class Part(NamedTuple):
    """A file of pairs, and their split: None where a column says it."""

    path: Path
    split: str | None


def find(folder: Path) -> list[Part]:
    """The parts by split and name; those whose split a column says alone where no other is there.

    Raises InputError for a partition that is no split.
    """
    entries = _visible(folder)
    splits = {entry: split_of_entry(entry) for entry in entries}
    of_splits = [
        Part(path, split)
        for split in SPLITS
        for entry in entries
        if splits[entry] == split
        for path in _files(entry)
    ]
    return of_splits or [
        Part(path, None) for path in entries if _is_part(path) and not path.name.endswith(_FEATURES)
    ]


def of_split(parts: list[Part], split: str) -> list[Path]:
    """The files that hold pairs of a split, or may hold some."""
    return [path for path, other in parts if other in (split, None)]


def split_of_entry(entry: Path) -> str | None:
    """The split of a file or folder directly in the data folder; None where its name says none."""
    name = entry.name
    if name.startswith(_OF_PARTITION) and entry.is_dir():
        return split_named(entry, name.removeprefix(_OF_PARTITION))
    stem = name.removesuffix(SUFFIX)
    if stem in SPLITS and (entry.is_dir() or name != stem):
        return stem
    return None


def split_named(where: Path, value: str | None) -> str:
    """The split that a partition or the column 'split' means; InputError where it means none."""
    split = SPLIT_OF.get((value or "").strip().lower())
    if split is None:
        shown = "nothing" if value is None else repr(value[:40])
        raise InputError(f"{where}: its split is {shown}; it must be one of {', '.join(SPLITS)}")
    return split


def warn_of_others(folder: Path, parts: list[Part], findings: Findings) -> None:
    """Warns of what lies among the parts and is not read."""
    taken = {part.path for part in parts}
    others = [path for path in _visible(folder) if _is_part(path) and path not in taken]
    for entry in _visible(folder):
        if entry.is_dir() and split_of_entry(entry) is not None:
            others += [path for path in _walk(entry) if path not in taken]
    others = [path for path in others if not path.name.endswith(_FEATURES)]
    if others:
        findings.warn(
            "files",
            f"{folder}: {counted(len(others), 'file')} beside the pairs "
            f"{worded(len(others), 'is', 'are')} not read, such as "
            f"{others[0].relative_to(folder)}",
        )


def _files(entry: Path) -> list[Path]:
    return [entry] if entry.is_file() else [path for path in _walk(entry) if _is_part(path)]


def _walk(folder: Path) -> Iterator[Path]:
    """Every visible file in a folder and the folders in it."""
    for path in _visible(folder):
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path


def _visible(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.glob("*")) if not path.name.startswith((".", "_"))]


def _is_part(path: Path) -> bool:
    return path.name.endswith(SUFFIX) and path.name != _ABOUT_ITEMS and path.is_file()
