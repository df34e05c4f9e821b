"""Which reader a folder needs, decided by the files in it."""

import dataclasses
import filecmp
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from mmssl_jax.data import demo
from mmssl_jax.data.checks.findings import ERROR_OF_REPEATS, WITHOUT_VAL, Findings, SplitRules
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.features import side
from mmssl_jax.data.layouts import canonical, diffmm, lattice, lightgcn, mmrec, parquet, patterns
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.data.tables import presplit, unpacked
from mmssl_jax.errors import InputError, printable

DEMO = ":demo:"
IN_MEMORY = ":memory:"  # of a run whose data was read from no folder

# A layout is a module with FILES (names or patterns, which it must all find in the folder) and
# read(folder, modalities, findings). Of three FILES the second is the validation split.
LAYOUTS = (canonical, diffmm, lattice, mmrec, lightgcn, parquet)


def load(
    path: str,
    modalities: str = "",
    demo_seed: int = 0,
    repeats: str = ERROR_OF_REPEATS,
    *,
    final: bool = False,
) -> Dataset:
    """Reads and checks the data folder `path`; `DEMO` generates the demo data from `demo_seed`.

    `modalities` is a comma-separated list: empty takes every modality found (at least one),
    "none" takes no content and reads no features. `repeats` is for pairs that return in a later
    split, `final` puts all pairs into train (`checks.SplitRules`). Raises InputError for a folder
    that is missing or of no known layout, and for everything in it that cannot be used.
    """
    findings = Findings(rules=SplitRules(repeats, final=final))
    if path == DEMO:
        dataset = _demo(modalities, demo_seed, findings)
    else:
        dataset = read(existing(path), modalities, findings)
    source = {"path": path, "modalities": modalities, "demo_seed": demo_seed, "repeats": repeats}
    return dataclasses.replace(dataset, source=source)


def existing(path: str) -> Path:
    """The data folder; InputError where there is none."""
    if path == IN_MEMORY:
        raise InputError(
            "this run was trained on data in memory: give them again, as open_run(..., data=...)"
        )
    unpacked.check_name(path)
    folder = Path(os.path.expanduser(path))
    if not path or not os.path.isdir(folder):  # which takes a name that is too long
        problem = "is not a folder" if path and os.path.exists(folder) else "does not exist"
        raise InputError(
            f"data folder '{printable(path)}' {problem}: docs/data.md says how to get or import "
            "data, and mmssl demo runs on generated data"
        )
    return folder


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """`load` for a folder that exists; `findings` may collect what `load` raises.

    Even then InputError is raised where nothing more can be read.
    """
    layout = find(folder, findings)
    own = [path for name in layout.FILES for path in files_of(layout, folder, name)]
    features.warn_of_unread(top(layout, folder), findings, but=own)
    return side.added(layout.read(folder, modalities, findings), top(layout, folder), findings)


def top(layout: ModuleType, folder: Path) -> Path:
    """Where the features are: the folder, or the one above a core of LATTICE's or a file."""
    in_core = layout is lattice and lattice.is_core(folder)
    return Path(os.path.abspath(folder / "..")) if in_core or folder.is_file() else folder


def seen(folder: Path) -> ModuleType | None:
    """The layout of which a folder has any file."""
    if lattice.is_core(folder):
        return lattice
    found = (each for each in LAYOUTS if any(files_of(each, folder, name) for name in each.FILES))
    return next(found, None)


def folders(root: Path) -> dict[str, str]:
    """Path -> layout of the folders in a folder of data sets, as far as their files say."""
    inside = sorted(path for path in root.glob("*") if path.is_dir())
    layouts = {str(folder): seen(folder) for folder in inside}
    return {
        path: "no known layout" if layout is None else layout.__name__.rpartition(".")[2]
        for path, layout in layouts.items()
    }


def find(folder: Path, findings: Findings, known: Sequence[ModuleType] = LAYOUTS) -> ModuleType:
    """The first of the `known` layouts whose files are in the folder.

    Raises InputError where there is none and, unless `findings` collects it, where a file is
    missing.
    """
    core = lattice in known and lattice.is_core(folder)
    for layout in known:
        names = canonical.FILES if core and layout is lattice else layout.FILES
        present = [name for name in names if files_of(layout, folder, name)]
        missing = [name for name in names if name not in present]
        without_val = len(names) == len(SPLITS) and missing == [names[1]]
        renamed = _val_by_another_name(folder, names[1]) if without_val else ""
        rules = findings.rules
        settled = without_val and not renamed and (rules.final or rules.val_seed is not None)
        if present and missing and not settled:
            hint = f"; {renamed or WITHOUT_VAL}" if without_val else ""
            beside = files_of(layout, folder, present[0])[0].relative_to(folder)
            findings.error(
                "files", f"{folder}: {patterns.said(missing)} missing beside {beside}{hint}"
            )
        if present:
            chosen = lattice if core else layout
            _warn_of_others(folder, chosen, known, findings)
            return chosen
    if tables := presplit.folds(folder):
        files = presplit.said(next(iter(tables.values())))
        raise InputError(
            f"{folder}: holds tables ({files}), which are imported first: mmssl data import "
            f"{folder} --to data/NAME"
        )
    expected = " or ".join(patterns.said(layout.FILES) for layout in known)
    raise InputError(f"{folder}: no known data layout; expected {expected} (docs/data.md)")


def _val_by_another_name(folder: Path, name: str) -> str:
    """What to do with a validation split that has another name than `name`; empty without one."""
    for word in presplit.WORDS["val"][1:]:
        for path in patterns.matches(folder, name.replace("val", word)):
            other = path.relative_to(folder)
            return f"rename {other} to {other.with_name(other.name.replace(word, 'val'))}"
    return ""


def _warn_of_others(
    folder: Path, chosen: ModuleType, known: Sequence[ModuleType], findings: Findings
) -> None:
    """Warns where the folder is complete in another layout as well, if its splits are others."""
    in_core = chosen is lattice and lattice.is_core(folder)
    for other in known:
        if in_core and other is canonical:
            continue  # these files are the core's own, which are read
        complete = all(files_of(other, folder, name) for name in other.FILES)
        if other is not chosen and complete and not _same_files(folder, chosen, other):
            findings.warn(
                "files",
                f"{folder}: holds {patterns.said(other.FILES)} as well, which are not read; "
                "import with --from, or move them elsewhere, if they are the data",
            )


def _same_files(folder: Path, chosen: ModuleType, other: ModuleType) -> bool:
    """Whether two layouts have the same splits, byte by byte, as FOLDER and FOLDER/5-core may."""
    if {chosen, other} != {canonical, lattice}:
        return False
    for names in zip(canonical.FILES, lattice.FILES, strict=True):
        one, two = (folder / name for name in names)
        if not (one.is_file() and two.is_file() and filecmp.cmp(one, two, shallow=False)):
            return False
    return True


def is_canonical(folder: Path) -> bool:
    """Whether the folder is in the canonical layout, the one that this project writes."""
    if lattice.is_core(folder):
        return False
    forms = (canonical, parquet)
    return any(files_of(form, folder, name) for form in forms for name in form.FILES)


def files_of(layout: ModuleType, folder: Path, name: str) -> list[Path]:
    """The files in a folder that one of a layout's `FILES` means."""
    if layout is parquet:
        return parquet.files(folder, name)
    return patterns.matches(folder, name)


def _demo(modalities: str, seed: int, findings: Findings) -> Dataset:
    dataset = demo.generate(seed, findings)
    chosen = features.choose(modalities, dataset.features, dataset.name)
    return dataclasses.replace(dataset, features={name: dataset.features[name] for name in chosen})
