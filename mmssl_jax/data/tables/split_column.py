"""The column of a table that names the split of each row."""

from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.checks.findings import WITHOUT_VAL
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables.column_names import plain_name
from mmssl_jax.data.tables.presplit import SPLIT_OF
from mmssl_jax.errors import InputError

_LABELS = {word: SPLITS.index(split) for word, split in SPLIT_OF.items()} | {
    f"{label}{rest}": label for label in range(len(SPLITS)) for rest in ("", ".0")
}
_NUMBERED = ("split", "xlabel")  # columns whose numbers are splits, and not those of folds


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
        if not asked and not any(value in SPLIT_OF for value in distinct):
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
    if any(value in SPLIT_OF for value in distinct):
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
