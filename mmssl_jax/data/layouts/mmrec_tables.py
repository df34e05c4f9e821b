"""The tables of a folder of MMRec and MRLib: interactions with their splits, and raw ids."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.layouts import raw_ids
from mmssl_jax.data.layouts.splits_json import MAX_ID, Split
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import column_names, likes
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.data.tables import values as table_values
from mmssl_jax.errors import InputError


def read_splits(path: Path, columns: Sequence[str], findings: Findings) -> dict[str, Split]:
    """The splits of the table with `columns` of users, items and labels.

    A label is an index into SPLITS. Rows that are no likes are left out; `findings` say so. Raises
    InputError for a missing column and for a bad value.
    """
    user, item, label = columns
    frame = _read_text(path, "\t", quoted=False)
    if missing := [name for name in columns if name not in frame.columns]:
        raise InputError(
            f"{path}: has no column {' and no '.join(missing)}; its first line must name the "
            f"columns {user}, {item} and {label}, separated by tabs; without {label} it is a "
            "table to be split: mmssl data import PATH --to data/NAME"
        )
    users, items = (_whole_numbers(path, frame, name, MAX_ID) for name in (user, item))
    labels = _whole_numbers(path, frame, label, len(SPLITS) - 1)
    liked = _liked(path, frame, findings)
    users, items, labels = users[liked], items[liked], labels[liked]
    splits = {}
    for number, split in enumerate(SPLITS):
        part = users[labels == number], items[labels == number]
        splits[split] = Split(*part, *(int(ids.max(initial=-1)) + 1 for ids in part))
    return splits


def _liked(path: Path, frame: pl.DataFrame, findings: Findings) -> np.ndarray:
    """Which rows are likes, bool [n], where the table has ratings or events."""
    asked = dict.fromkeys(("rating", "event"), column_names.IF_THERE)
    taken, _ = column_names.take(path, frame.columns, asked, "")
    values = {
        role: table_values.read(path, frame[name], role, name) for role, name in taken.items()
    }
    if not values:
        return np.ones(len(frame), bool)
    rows = np.arange(len(frame))
    liked, _, said = likes.select(path, pl.DataFrame(values), taken, likes.Rule(), None, rows)
    for message in said:
        findings.warn("ratings", f"{message}, by import --from table")
    return liked


def read_mapping(path: Path, index: str) -> tuple[str, ...] | None:
    """The raw ids by the index in the column `index`; None without the file."""
    if not path.is_file():
        return None
    frame = _read_text(path, None, quoted=True)
    others = [name for name in frame.columns if name != index]
    if index not in frame.columns or not others:
        raise InputError(
            f"{path}: its first line must name two columns, {index} and one of raw ids"
        )
    indices = _whole_numbers(path, frame, index, MAX_ID)
    return raw_ids.by_index(path, indices, frame[others[0]].fill_null("").to_list())


def _whole_numbers(path: Path, frame: pl.DataFrame, name: str, largest: int) -> np.ndarray:
    """A column as int64 [n]; raises InputError for anything but 0 to `largest`."""
    values = frame[name].cast(pl.Int64, strict=False)
    good = values.is_between(0, largest).fill_null(False)
    if not good.all():
        row = int(np.argmin(good.to_numpy()))
        shown = repr((frame[name][row] or "")[:40])
        raise InputError(
            f"{path}: {name} is {shown} in row {row + 1} after the header; it must be a whole "
            f"number from 0 to {largest}"
        )
    return values.to_numpy().astype(np.int64)


def _read_text(path: Path, separator: str | None, quoted: bool) -> pl.DataFrame:
    """A table with a header, every column as text; raises InputError.

    Without a separator it is a tab if the first line has one, else a comma.
    """
    try:
        content = path.read_bytes()
        first_line = content.partition(b"\n")[0]
        separator = separator or ("\t" if b"\t" in first_line else ",")
        table_files.check_text(path, first_line, separator, quoted)
        frame = pl.read_csv(
            content, separator=separator, quote_char='"' if quoted else None, infer_schema=False
        )
        return frame.remove(pl.all_horizontal(pl.all().is_null()))  # blank lines
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = repr(str(error).partition("\n")[0][:100])
        raise InputError(f"{path}: is not a table in UTF-8 text ({reason})") from error
