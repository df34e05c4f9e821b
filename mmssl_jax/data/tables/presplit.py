"""Tables that come split already: the files of a folder, or a column that names the split."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.checks.findings import WITHOUT_VAL
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables.column_names import plain_name
from mmssl_jax.errors import InputError

WORDS = {
    "train": ("train", "training", "trn", "base"),  # MovieLens has u1.base and u1.test
    "val": ("val", "valid", "validation", "validate", "vali", "dev"),
    "test": ("test", "testing", "tst"),
}
_SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
_LABELS = {word: SPLITS.index(split) for word, split in _SPLIT_OF.items()} | {
    f"{label}{rest}": label for label in range(len(SPLITS)) for rest in ("", ".0")
}
_NUMBERED = ("split", "xlabel")  # columns whose numbers are splits, and not those of folds
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
        places = [place for place in range(0, len(parts), 2) if parts[place] in _SPLIT_OF]
        if not places:
            continue
        place = places[-1]  # of test-data.train.csv, the last
        split = _SPLIT_OF[parts[place]]
        before, after = "".join(parts[:place]).rstrip("._-"), "".join(parts[place + 1 :])
        fold = found.setdefault((before + after).lstrip("._-") or before, {})
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


def labels_of(
    path: Path, values: pl.Series, name: str, asked: bool, said: list[str]
) -> np.ndarray | str:
    """For each row the index of its split in SPLITS, int8 [n], or why the column names none.

    Words such as train, valid, dev, test in any case, or 0, 1, 2: these only in a column that is
    `asked` for or called split or x_label, as they may count folds; `said` gets the guess. Where
    some rows have such a word and others do not, that is an InputError, as these would go astray.
    """
    plain = values.str.strip_chars().str.to_lowercase().fill_null("")
    distinct = plain.unique().sort().to_list()
    unknown = [value for value in distinct if value not in _LABELS]
    if not unknown:
        if not asked and not any(value in _SPLIT_OF for value in distinct):
            if plain_name(name) not in _NUMBERED:
                return (
                    "its numbers may be those of folds; --split-column "
                    f"{repr(name[:40])[1:-1]} takes 0, 1 and 2 as train, val and test"
                )
            said.append(
                f"{path}: the numbers 0, 1 and 2 in column {name[:40]!r} are taken as train, val "
                "and test; --split per-user makes another split"
            )
        return plain.replace_strict(_LABELS, return_dtype=pl.Int8).to_numpy()
    shown = repr(unknown[0][:40]) if unknown[0] else "nothing"
    if any(value in _SPLIT_OF for value in distinct):
        count = int(plain.is_in(unknown).sum())
        raise InputError(
            f"{path}: column {name[:40]!r} names splits, but holds {shown} in one of {count} "
            "rows that name none; correct it, or give --split to split anew"
        )
    return f"it holds {shown}, which names no split"


def given(
    path: Path, column: pl.Series, name: str, anew: str | None, asked: bool, warnings: list[str]
) -> tuple[np.ndarray | None, str]:
    """The labels that a table comes with; or None, and why not."""
    if anew is not None:
        return None, f"--split {anew} is given"
    labels = labels_of(path, column, name, asked, warnings)
    return (None, labels) if isinstance(labels, str) else (labels, "")


def check_full(path: Path, labels: np.ndarray, name: str, val_follows: bool) -> None:
    """Raises InputError where the column leaves a split empty, but for a val that follows."""
    counts = np.bincount(labels, minlength=len(SPLITS))
    for split, count in zip(SPLITS, counts, strict=True):
        if not count and not (split == "val" and val_follows):
            hint = f"; {WITHOUT_VAL}" if split == "val" else ""
            raise InputError(
                f"{path}: the {split} split is empty by column {name[:40]!r}; --split per-user "
                f"makes another split, --split-column takes it from another column{hint}"
            )
