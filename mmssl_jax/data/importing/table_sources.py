"""Which file or files a raw table is read from, and whether a path is a table at all."""

from pathlib import Path

from mmssl_jax.data import loading
from mmssl_jax.data.layouts import lightgcn, mmrec, parquet
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import presplit
from mmssl_jax.errors import InputError


def is_table(path: Path, asked_as_table: bool) -> bool:
    """Whether `path` is to be read as a table, where nobody says so by --from.

    Args:
      path: a file or folder, or nothing.
      asked_as_table: options that are for tables are given, which an MMRec file can be as well.
    """
    if path.is_file():
        return asked_as_table or not mmrec.is_one(path)
    if not path.is_dir():
        return False
    if layout := loading.seen(path):
        if layout is mmrec:
            tables = sorted(path.glob(mmrec.FILES[0]))
            unsplit = len(tables) == 1 and not mmrec.is_one(tables[0])
            return unsplit or bool(presplit.folds(path))
        if layout is parquet:
            return not parquet.is_own(path) and bool(presplit.folds(path))
        return layout is lightgcn and not lightgcn.fits(path) and bool(presplit.folds(path))
    return bool(presplit.folds(path))


def files(path: Path, fold: str | None) -> Path | dict[str, Path]:
    """The table at `path`; or, for a folder, its only .inter file, or its tables by split.

    Raises InputError where a folder holds neither, or several and `fold` names none.
    """
    if not path.is_dir():
        if fold is not None:
            raise InputError(f"--fold is for a folder of tables, and {path} is none")
        return path
    if fold is None and not presplit.folds(path):
        tables = sorted(each for each in path.glob(mmrec.FILES[0]) if each.is_file())
        if len(tables) == 1:
            return tables[0]
        if tables:
            raise InputError(mmrec.several(path, tables))
    return presplit.choose(path, fold)


def by_name(path: Path | dict[str, Path]) -> dict[str, Path]:
    """The files, by their names."""
    paths = [path] if isinstance(path, Path) else [path[split] for split in SPLITS if split in path]
    return {each.name: each for each in paths}
