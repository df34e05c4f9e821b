"""Raw item features: which modalities a folder holds, and reading one `<modality>_feat.npy`."""

import math
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mmssl_jax.data import npz
from mmssl_jax.data.checks import Findings
from mmssl_jax.errors import InputError

NONE = "none"
SUFFIX = "_feat.npy"
MASK_SUFFIX = "_present.npy"


def find(folder: Path) -> dict[str, Path]:
    """The feature files of a folder by modality, in sorted name order."""
    paths = sorted(folder.glob(f"[!.]*{SUFFIX}"))  # no hidden files
    found = {path.name.removesuffix(SUFFIX): path for path in paths if path.is_file()}
    return {name: path for name, path in sorted(found.items()) if _can_be_chosen(name)}


def _can_be_chosen(name: str) -> bool:
    """Whether `data.modalities`, a list with commas, can name it."""
    return name != NONE and "," not in name


def warn_of_unread(folder: Path, findings: Findings, but: Iterable[Path] = ()) -> None:
    """Warns of files that look like features but are not read, all but some that are."""
    read = {*find(folder).values(), *(path.absolute() for path in but)}
    packed = [path for suffix in (".zip", ".gz", ".npz") for path in folder.glob(f"[!.]*{suffix}")]
    for path in sorted([*folder.glob("[!.]*.npy"), *packed]):
        if path.name.endswith(MASK_SUFFIX) or {path, path.absolute()} & read or not path.is_file():
            continue
        if path.suffix == ".npy":
            hint = "--modality NAME=FILE of import takes it as features"
        elif "_feat" in path.name:
            hint = f"unpack it to <modality>{SUFFIX}"
        else:
            continue
        findings.warn("unread", f"{path}: is not read; {hint}")


def is_name(name: str) -> bool:
    """Whether new features may be called so: it becomes part of a file's name."""
    return bool(re.fullmatch(r"\w[\w.-]{0,99}", name)) and name != NONE


def choose(modalities: str, found: Iterable[str], where: Path | str) -> tuple[str, ...]:
    """The modalities that the comma-separated `modalities` asks for, in sorted order.

    Empty means all of `found`, of which there must be one; "none" means no content. Raises
    InputError, naming those found, for anything else.
    """
    found = sorted(found)
    listed = ", ".join(found) if found else "no modality"
    if not modalities.strip():
        if not found:
            raise InputError(
                f"{where}: no <modality>{SUFFIX} found; add features, "
                f"or pass data.modalities={NONE} to train without content"
            )
        return tuple(found)
    asked = [name.strip() for name in modalities.split(",")]
    if asked == [NONE]:
        return ()
    for name in asked:
        if name not in found:
            raise InputError(
                f"{where}: data.modalities={modalities} asks for '{name}', found: {listed}"
            )
    if len(set(asked)) < len(asked):
        raise InputError(f"{where}: data.modalities={modalities} names a modality twice")
    return tuple(sorted(asked))


def read_header(path: Path) -> tuple[int, int]:
    """The shape (rows, width) of a feature file, from its header alone.

    Raises InputError unless the file is a 2-d float16/32/64 array exactly as long as its header
    says, so that nothing is allocated on the word of a damaged or hostile header.
    """
    shape, dtype = _checked_header(path)
    if dtype.kind != "f" or dtype.itemsize > 8:
        raise InputError(
            f"{path}: holds {_describe(dtype)}; features must be float16, float32 or float64, "
            "so convert the array with .astype('float32') and save it again"
        )
    if len(shape) != 2 or shape[1] == 0:
        raise InputError(f"{path}: has shape {shape}; features are 2-d, one row for each item")
    return shape


def read(path: Path) -> np.ndarray:
    """A feature file as float32 [rows, width]; raises InputError as `read_header` does.

    Also for NaN, infinities, and float64 values beyond float32.
    """
    read_header(path)
    raw = _load(path)
    _refuse_nonfinite(path, raw, "NaN or infinite values")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(raw, np.float32)
    _refuse_nonfinite(path, values, "values beyond the range of float32")
    return values


def read_present(folder: Path, modality: str, num_items: int) -> np.ndarray | None:
    """Which items have this modality, bool [num_items], of `<modality>_present.npy` if it is there.

    Raises InputError for any other array.
    """
    path = folder / f"{modality}{MASK_SUFFIX}"
    if not path.is_file():
        return None
    shape, dtype = _checked_header(path)
    if dtype != np.bool_ or shape != (num_items,):
        raise InputError(
            f"{path}: holds {_describe(dtype)} of shape {shape}; it must hold a boolean for each "
            f"of the {num_items} items: are its {modality} features real"
        )
    return _load(path)


def read_all(
    paths: Mapping[str, Path], names: Iterable[str], num_items: int, why: str, findings: Findings
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The features of the modalities `names`, and which items have them.

    Each is float32 [num_items, d_m]; a mask is bool [num_items], of the `<modality>_present.npy`
    beside the features, where there is one. `why` says where the number of items comes from.
    Raises InputError where the rows differ from it, before any array is read, unless `findings`
    collects it: what cannot be used is then left out.
    """
    fitting = []
    for name in names:
        header = findings.attempt("features", read_header, paths[name])
        if header and header[0] != num_items:
            findings.error(
                "rows",
                f"{paths[name]}: has {header[0]} rows, but there are {num_items} items ({why}); "
                "row i must be item i",
            )
        elif header:
            fitting.append(name)
    read_or_none = {name: findings.attempt("features", read, paths[name]) for name in fitting}
    values = {name: array for name, array in read_or_none.items() if array is not None}
    masks = {
        name: findings.attempt("missing", read_present, paths[name].parent, name, num_items)
        for name in values
    }
    return values, {name: mask for name, mask in masks.items() if mask is not None}


def _checked_header(path: Path) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of a .npy file that is exactly as long as they say; else InputError."""
    if not path.is_file():  # a pipe would wait for ever
        raise InputError(f"{path}: cannot be read (it is no file)")
    try:
        with path.open("rb") as file:
            shape, _, dtype = npz.parse_header(file)
            expected = file.tell() + math.prod(shape) * dtype.itemsize
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"{path}: is not a .npy file ({_one_line(error)})") from error
    if dtype.kind != "O" and size != expected:
        raise InputError(
            f"{path}: is {size} bytes long, its header says {expected}; "
            "it was cut off or damaged, so get it again"
        )
    return shape, dtype


def _load(path: Path) -> np.ndarray:
    try:
        with warnings.catch_warnings(action="ignore"):  # of headers that Python 2 wrote
            return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({_one_line(error)})") from error
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into memory") from error


def _describe(dtype: np.dtype) -> str:
    kinds = {"i": "integers", "u": "integers", "O": "Python objects", "b": "booleans"}
    return f"{kinds.get(dtype.kind, 'values')} ({dtype})"


def _refuse_nonfinite(path: Path, values: np.ndarray, what: str) -> None:
    bad = ~np.isfinite(values)
    if count := int(bad.sum()):
        row = int(np.argmax(bad.any(axis=1)))
        raise InputError(f"{path}: {count} {what}, the first in row {row}; correct the features")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
