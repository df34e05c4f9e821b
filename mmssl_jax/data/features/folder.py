"""Raw item features: which modalities a folder holds, and reading one `<modality>_feat.npy`."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from mmssl_jax.data.arrays import npy
from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.features import side
from mmssl_jax.errors import InputError

NONE = "none"
SUFFIX = "_feat.npy"
MASK_SUFFIX = "_present.npy"
_STEM = "_feat"
_ARRAYS = (".npy", ".npz", ".pt", ".pth", ".h5", ".hdf5", ".mat", ".safetensors")
# Beside .npy, what an import reads as features; `files` has a reader for each.
OTHER_KINDS = (".npz", ".pt", ".pth", ".pkl", ".pickle", ".csv", ".tsv", ".txt", ".parquet")
_PACKED = (".zip", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar")
_TEXTS = (".md", ".py", ".sh", ".ipynb", ".yaml", ".yml", ".log", ".html", ".png", ".pdf")


def find(folder: Path) -> dict[str, Path]:
    """The feature files of a folder by modality, in sorted name order."""
    paths = sorted(folder.glob(f"[!.]*{SUFFIX}"))  # no hidden files
    found = {path.name.removesuffix(SUFFIX): path for path in paths if path.is_file()}
    return {name: path for name, path in sorted(found.items()) if _can_be_chosen(name)}


def _can_be_chosen(name: str) -> bool:
    """Whether `data.modalities`, a list with commas, can name it as a modality."""
    return name != NONE and "," not in name and not side.is_side(name)


def beside(folder: Path) -> dict[str, Path]:
    """By modality the files <modality>_feat of other kinds that import reads, without a .npy."""
    paths = {
        path.stem.removesuffix(_STEM): path
        for path in sorted(folder.glob(f"[!.]*{_STEM}.*"), reverse=True)
        if path.suffix.lower() in OTHER_KINDS and path.stem.endswith(_STEM)
    }
    taken = find(folder)
    return {
        name: path
        for name, path in sorted(paths.items())
        if name not in taken and is_name(name) and path.is_file()
    }


def warn_of_unread(folder: Path, findings: Findings, but: Iterable[Path] = ()) -> None:
    """Warns of files that look like features but are not read, all but some that are."""
    taken = set(beside(folder).values())
    for path in _unread(folder, but):
        if path in taken:
            name = path.stem.removesuffix(_STEM)
            hint = f"--modality {name}={path} of import takes it, as import of its folder does"
        elif path.suffix.lower() in (".npy", *OTHER_KINDS):
            hint = "--modality NAME=FILE of import takes it as features"
        elif path.suffix.lower() in _PACKED:
            hint = f"unpack it to <modality>{SUFFIX}"
        else:
            hint = (
                f"save the array with numpy.save as <modality>{SUFFIX}, or for --modality "
                "NAME=FILE of import"
            )
        findings.warn("unread", f"{path}: is not read; {hint}")


def _unread(folder: Path, but: Iterable[Path] = ()) -> list[Path]:
    """The files of a folder that look like features, without those that are read."""
    read = {path.absolute() for path in (*find(folder).values(), *side.files(folder), *but)}
    paths = [path for path in sorted(folder.glob("[!.]*.*")) if path.is_file()]
    return [path for path in paths if path.absolute() not in read and _looks_like_features(path)]


def _looks_like_features(path: Path) -> bool:
    """By its name, or as it can be nothing but an array; caches of graphs are none."""
    if path.name.endswith(MASK_SUFFIX) or path.suffix.lower() in _TEXTS:
        return False
    if re.search(r"feat|embed|(^|[_-])emb([_.-]|$)", path.name, re.IGNORECASE):
        return True
    of_graph = re.search(r"(^|[_-])(adj|graph|mat|matrix)([_.-]|$)", path.stem, re.IGNORECASE)
    return path.suffix.lower() in _ARRAYS and not of_graph


def is_name(name: str) -> bool:
    """Whether new features may be called so: it becomes part of a file's name."""
    return bool(re.fullmatch(r"\w[\w.-]{0,99}", name)) and _can_be_chosen(name)


def choose(modalities: str, found: Iterable[str], where: Path | str) -> tuple[str, ...]:
    """The modalities that the comma-separated `modalities` asks for, in sorted order.

    Empty means all of `found`, of which there must be one; "none" means no content. Raises
    InputError, naming those found, for anything else.
    """
    found = sorted(found)
    listed = ", ".join(found) if found else "no modality"
    others = ", ".join(path.name for path in _unread(where)) if isinstance(where, Path) else ""
    others = f", but {others}, which import takes as features or says why not" if others else ""
    if not modalities.strip():
        if not found:
            raise InputError(
                f"{where}: no <modality>{SUFFIX} found{others}; add features, or train without "
                f"content: --config.data.modalities={NONE} (of check: --modalities {NONE})"
            )
        return tuple(found)
    asked = [name.strip() for name in modalities.split(",")]
    if asked == [NONE]:
        return ()
    for name in asked:
        if name not in found:
            raise InputError(
                f"{where}: data.modalities={modalities} asks for '{name}', found: {listed}{others}"
            )
    if len(set(asked)) < len(asked):
        raise InputError(f"{where}: data.modalities={modalities} names a modality twice")
    return tuple(sorted(asked))


def read_present(folder: Path, modality: str, num_items: int) -> np.ndarray | None:
    """Which items have this modality, bool [num_items], of `<modality>_present.npy` if it is there.

    Raises InputError for any other array.
    """
    path = folder / f"{modality}{MASK_SUFFIX}"
    if not path.is_file():
        return None
    shape, dtype = npy.checked_header(path)
    if dtype != np.bool_ or shape != (num_items,):
        raise InputError(
            f"{path}: holds {npy.describe(dtype)} of shape {shape}; it must hold a boolean for "
            f"each of the {num_items} items: are its {modality} features real"
        )
    return npy.load(path)


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
        header = findings.attempt("features", npy.read_header, paths[name])
        if header and header[0] != num_items:
            findings.error(
                "rows",
                f"{paths[name]}: has {header[0]} rows, but there are {num_items} items ({why}); "
                "row i must be item i"
                + ("; it has so many columns: is it transposed?" if header[1] == num_items else ""),
            )
        elif header:
            fitting.append(name)
    read_or_none = {name: findings.attempt("features", npy.read, paths[name]) for name in fitting}
    values = {name: array for name, array in read_or_none.items() if array is not None}
    masks = {
        name: findings.attempt("missing", read_present, paths[name].parent, name, num_items)
        for name in values
    }
    return values, {name: mask for name, mask in masks.items() if mask is not None}
