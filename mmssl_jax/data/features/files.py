"""Features in files of any kind that is read, for imports; training itself reads .npy only."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mmssl_jax.data.arrays import npy, npz, pickled_array, torch_file
from mmssl_jax.data.arrays.pickles import Refused
from mmssl_jax.data.features import tables
from mmssl_jax.data.features.tables import Index, Rows
from mmssl_jax.errors import InputError


class Features(NamedTuple):
    """float32 [n, width], finite; raw ids by row where the file has them; what was guessed.

    An `index_column` may have the ids as well, as the data's own tell (`row_ids`).
    """

    values: np.ndarray
    ids: tuple[str, ...] | None
    said: str
    index_column: Index | None = None


def read(path: Path, guess_ids: bool = True) -> Features:
    """The features in `path`, by its suffix: an array, a tensor, or a table with or without ids.

    `guess_ids` takes a column without a name as ids where it looks so. Raises InputError for what
    cannot be read as features, hostile files included: nothing of a file is run.
    """
    suffix = path.suffix.lower()
    if not path.is_file():  # a pipe would wait for ever
        raise InputError(f"{path}: cannot be read (it is no file)")
    if suffix not in _READERS:
        if suffix != ".npy" and not npy.is_npy(path):
            kinds = ", ".join(_READERS)
            raise InputError(
                f"{path}: is not a .npy file, nor one of {kinds}; save the array with numpy.save"
            )
        return Features(npy.read(path), None, "")
    try:
        rows = _READERS[suffix](path, guess_ids)
        if not len(rows.values):
            raise Refused("it has no rows")
        values = npy.as_features(path, rows.values)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory") from error
    except (Exception, pl.exceptions.PanicException) as error:  # garbage can fail anywhere
        reason = str(error)
        if not isinstance(error, Refused):
            first = reason.partition("\n")[0][:150]
            reason = f"it is damaged ({type(error).__name__}: {first})"
        raise InputError(
            f"{path}: refused as features, and nothing in it was run: {_shown(reason)}; correct "
            "it, or save the array with numpy.save and give the .npy file"
        ) from error
    said = f"{path}: {rows.said}" if rows.said else ""
    return Features(values, rows.ids, said, rows.index_column)


def _single(path: Path) -> np.ndarray:
    """The one array of an .npz file."""
    arrays = npz.read(path, pickled_array.MAX_FEATURES)
    if len(arrays) != 1:
        names = ", ".join(repr(name[:40]) for name in list(arrays)[:6])
        raise Refused(f"it holds {len(arrays)} arrays ({names}); save one alone")
    return next(iter(arrays.values()))


def _shown(reason: str) -> str:
    text = "".join(character if character.isprintable() else " " for character in reason)
    return " ".join(text.split())[:400]


_READERS: dict[str, Callable[[Path, bool], Rows]] = {
    ".npz": lambda path, _: Rows(_single(path)),
    **dict.fromkeys((".pt", ".pth"), lambda path, _: Rows(torch_file.read(path))),
    **dict.fromkeys((".pkl", ".pickle"), lambda path, _: Rows(pickled_array.read(path))),
    **dict.fromkeys((".csv", ".tsv", ".txt"), tables.read_text),
    ".parquet": lambda path, _: tables.read_parquet(path),
}
