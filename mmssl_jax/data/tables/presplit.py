"""Tables that come split already, as the files of a folder: which of them is which split."""

import re
from collections.abc import Mapping
from pathlib import Path

from mmssl_jax.data.splits import SPLITS
from mmssl_jax.errors import InputError

WORDS = {
    "train": ("train", "training", "trn", "base"),  # MovieLens has u1.base and u1.test
    "val": ("val", "valid", "validation", "validate", "vali", "dev"),
    "test": ("test", "testing", "tst"),
}
SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
_SUFFIXES = (
    *(".csv", ".tsv", ".txt", ".dat", ".inter", ".parquet", ".pq", ".rating"),
    *(".jsonl", ".ndjson", ".base", ".test"),
)
_PACKED = ".gz"


def folds(folder: Path) -> dict[str, dict[str, Path]]:
    """The tables of a folder whose names differ in a word for the split alone, by what is left.

    u1.base and u1.test are the fold 'u1'; toy.train.inter, toy.valid.inter and toy.test.inter are
    'toy.inter'; train.csv and test.csv are 'csv'. Each has train and test at least. Raises
    InputError where two files are the same split of a fold.
    """
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.glob("[!.]*")):
        name = path.name.lower().removesuffix(_PACKED)
        if not name.endswith(_SUFFIXES) or not path.is_file():
            continue
        parts = re.split(r"([._-])", name)
        places = [place for place in range(0, len(parts), 2) if parts[place] in SPLIT_OF]
        if not places:
            continue
        place = places[-1]  # of test-data.train.csv, the last
        split = SPLIT_OF[parts[place]]
        before, after = "".join(parts[:place]).rstrip("._-"), "".join(parts[place + 1 :])
        fold = found.setdefault((before + after).lstrip("._-"), {})
        if split in fold:
            raise InputError(
                f"{folder}: {fold[split].name} and {path.name} are both a {split} split; keep one"
            )
        fold[split] = path
    return {name: fold for name, fold in found.items() if {"train", "test"} <= fold.keys()}


def said(files: Mapping[str, Path]) -> str:
    """Which file is which split."""
    return ", ".join(f"{split} {files[split].name}" for split in SPLITS if split in files)


def choose(folder: Path, fold: str | None) -> dict[str, Path]:
    """The files of a fold by split, in the order of SPLITS; without a name, of the only one.

    Raises InputError where there is none, or no such one, or several and none is named.
    """
    found = folds(folder)
    if fold is None and len(found) == 1:
        (fold,) = found
    if fold is None or fold not in found:
        listed = ", ".join(
            f"{name} ({', '.join(path.name for path in files.values())})"
            for name, files in list(found.items())[:12]
        )
        if not found:
            problem = "holds no tables of a train and a test split; give the path of a table itself"
        elif fold is None:
            problem = f"holds several splits; choose one with --fold: {listed}"
        else:
            problem = f"has no fold '{fold}'; there are {listed}"
        raise InputError(f"{folder}: {problem}")
    return {split: found[fold][split] for split in SPLITS if split in found[fold]}
