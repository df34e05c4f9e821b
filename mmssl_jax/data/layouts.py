"""Which reader a folder needs, decided by the files in it."""

import dataclasses
import os
from pathlib import Path

from mmssl_jax.data import canonical, demo, diffmm, features
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.errors import InputError

DEMO = ":demo:"

# A layout is a module with FILES (what it must find in the folder) and read(folder, modalities).
LAYOUTS = (canonical, diffmm)


def load(path: str, modalities: str = "", demo_seed: int = 0) -> Dataset:
    """Reads and checks the data folder `path`; `DEMO` generates the demo data from `demo_seed`.

    `modalities` is a comma-separated list: empty takes every modality found (at least one),
    "none" takes no content and reads no features. Raises InputError for a folder that is missing
    or of no known layout, and for everything in it that cannot be used.
    """
    if path == DEMO:
        return _demo(modalities, demo_seed)
    folder = Path(os.path.expanduser(path))
    if not path or not folder.is_dir():
        problem = "is not a folder" if path and folder.exists() else "does not exist"
        raise InputError(
            f"data folder '{path}' {problem}: docs/data.md says how to get or import data, and "
            "--config configs/demo.py runs on generated data"
        )
    for layout in LAYOUTS:
        present = [name for name in layout.FILES if (folder / name).is_file()]
        missing = [name for name in layout.FILES if name not in present]
        if present and missing:
            raise InputError(f"{folder}: {', '.join(missing)} missing beside {present[0]}")
        if present:
            return layout.read(folder, modalities)
    known = " or ".join(", ".join(layout.FILES) for layout in LAYOUTS)
    raise InputError(f"{folder}: no known data layout; expected {known} (docs/data.md)")


def _demo(modalities: str, seed: int) -> Dataset:
    dataset = demo.generate(seed)
    chosen = features.choose(modalities, dataset.features, dataset.name)
    return dataclasses.replace(dataset, features={name: dataset.features[name] for name in chosen})
