"""The folder of MMRec and MRLib: one table of interactions, which names the split of each.

    <name>.inter                          tab separated: userID, itemID, x_label among others
    <modality>_feat.npy                   row i is item i
    u_id_mapping.csv i_id_mapping.csv     raw id and index, with a header (optional)

A label is 0 for train, 1 for val and 2 for test. A table without labels, as RecBole has it, is only
imported.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import raw_ids
from mmssl_jax.data.layouts.indexed import assemble_indexed
from mmssl_jax.data.layouts.splits_json import MAX_ID, Split
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import column_names, likes, presplit
from mmssl_jax.data.tables import files as table_files
from mmssl_jax.data.tables import values as table_values
from mmssl_jax.errors import InputError

FILES = ("*.inter",)
_USER, _ITEM, _LABEL = "userID", "itemID", "x_label"  # a label is an index into SPLITS
_USER_IDS, _ITEM_IDS = "u_id_mapping.csv", "i_id_mapping.csv"


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """Reads the one .inter file, or the one that `folder` is, and the chosen *_feat.npy beside it.

    Raises InputError.

    Users and items are counted as in `assemble_indexed`.
    """
    if folder.is_file():
        tables, folder = [folder], folder.parent
    else:
        tables = sorted(path for path in folder.glob(FILES[0]) if path.is_file())
        if len(tables) != 1:
            raise InputError(several(folder, tables))
    found = features.find(folder)
    chosen = findings.attempt("modalities", features.choose, modalities, found, folder) or ()
    splits = findings.attempt("split", _read_splits, tables[0], findings) or {}
    paths = folder / _USER_IDS, folder / _ITEM_IDS
    users = findings.attempt("ids", _read_mapping, paths[0], _USER)
    items = findings.attempt("ids", _read_mapping, paths[1], _ITEM)
    ids = raw_ids.IdLists(*paths, users, items)
    return assemble_indexed(folder, tables[0].stem, splits, ids, found, chosen, findings)


def is_one(path: Path) -> bool:
    """Whether a file is a table of this layout, by its name and first line."""
    if not path.name.endswith(".inter"):
        return False
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 16).removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n")
    except OSError:
        return False
    return {_USER, _ITEM, _LABEL} <= set(first.decode(errors="replace").split("\t"))


def several(folder: Path, tables: Sequence[Path]) -> str:
    """The message for a folder that has not one table."""
    names = ", ".join(path.name for path in tables[:12]) or "none"
    hint = f"; give import the path of one, such as {tables[0]}" if tables else ""
    if presplit.folds(folder):
        hint = (
            "; these are the splits of one data set, so import the folder: mmssl data import "
            f"{folder} --to data/NAME"
        )
    return f"{folder}: must hold one .inter file, not {names}{hint}"


def _read_splits(path: Path, findings: Findings) -> dict[str, Split]:
    """The splits of the table; raises InputError for a missing column and for a bad value.

    Rows that are no likes are left out; `findings` say so.
    """
    frame = _read_text(path, "\t", quoted=False)
    if missing := [name for name in (_USER, _ITEM, _LABEL) if name not in frame.columns]:
        raise InputError(
            f"{path}: has no column {' and no '.join(missing)}; its first line must name the "
            f"columns {_USER}, {_ITEM} and {_LABEL}, separated by tabs; without {_LABEL} it is a "
            "table to be split: mmssl data import PATH --to data/NAME"
        )
    users, items = (_whole_numbers(path, frame, name, MAX_ID) for name in (_USER, _ITEM))
    labels = _whole_numbers(path, frame, _LABEL, len(SPLITS) - 1)
    liked = _liked(path, frame, findings)
    users, items, labels = users[liked], items[liked], labels[liked]
    splits = {}
    for label, split in enumerate(SPLITS):
        part = users[labels == label], items[labels == label]
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


def _read_mapping(path: Path, index: str) -> tuple[str, ...] | None:
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
