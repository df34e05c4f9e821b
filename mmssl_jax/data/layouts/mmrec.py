"""The folder of MMRec and MRLib: one table of interactions, which names the split of each.

    <name>.inter                          tab separated: userID, itemID, x_label among others
    <modality>_feat.npy                   row i is item i
    u_id_mapping.csv i_id_mapping.csv     raw id and index, with a header (optional)

A label is 0 for train, 1 for val and 2 for test. A table without labels, as RecBole has it, is only
imported.
"""

from collections.abc import Sequence
from pathlib import Path

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import raw_ids
from mmssl_jax.data.layouts.indexed import assemble_indexed
from mmssl_jax.data.tables import presplit
from mmssl_jax.errors import InputError

FILES = ("*.inter",)
_COLUMNS = _USER, _ITEM, _LABEL = "userID", "itemID", "x_label"
_USER_IDS, _ITEM_IDS = "u_id_mapping.csv", "i_id_mapping.csv"


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """Reads the one .inter file, or the one that `folder` is, and the chosen *_feat.npy beside it.

    Raises InputError.

    Users and items are counted as in `assemble_indexed`.
    """
    # Here, as it loads polars, which no other layout needs.
    from mmssl_jax.data.layouts.mmrec_tables import read_mapping, read_splits

    if folder.is_file():
        tables, folder = [folder], folder.parent
    else:
        tables = sorted(path for path in folder.glob(FILES[0]) if path.is_file())
        if len(tables) != 1:
            raise InputError(several(folder, tables))
    found = features.find(folder)
    chosen = findings.attempt("modalities", features.choose, modalities, found, folder) or ()
    splits = findings.attempt("split", read_splits, tables[0], _COLUMNS, findings) or {}
    paths = folder / _USER_IDS, folder / _ITEM_IDS
    users = findings.attempt("ids", read_mapping, paths[0], _USER)
    items = findings.attempt("ids", read_mapping, paths[1], _ITEM)
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
    return set(_COLUMNS) <= set(first.decode(errors="replace").split("\t"))


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
