"""The folder of LATTICE and MICRO: features at the top, and the splits in folders below.

    <modality>_feat.npy                   row i is item i
    5-core/{train,val,test}.json          user index -> list of item indices
    0-core/{train,val,test}.json          the same, with items that training never sees (optional)
    user_list.txt item_list.txt           raw id and index, at the top or in 5-core (optional)

The folder itself is its 5-core; the path of the 0-core, FOLDER/0-core, is a data set of its own.
"""

import os
from pathlib import Path

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import canonical, raw_ids
from mmssl_jax.data.layouts.indexed import assemble_indexed
from mmssl_jax.data.layouts.splits_json import read_splits

WARM, COLD = "5-core", "0-core"
FILES = tuple(f"{WARM}/{name}" for name in canonical.FILES)


def is_core(folder: Path) -> bool:
    """Whether `folder` is itself a folder of splits, whose features are one folder up.

    One with features or dataset.json of its own is a canonical folder that is called so.
    """
    name = os.path.basename(os.path.abspath(folder))  # for "." and such
    own = features.find(folder) or (folder / canonical.ABOUT).is_file()
    return name in (WARM, COLD) and not own


def read(folder: Path, modalities: str, findings: Findings) -> Dataset:
    """Reads the 5-core of a folder, or the folder of splits itself; raises InputError.

    Users and items are counted as in `assemble_indexed`.
    """
    core = Path(os.path.abspath(folder)) if is_core(folder) else folder / WARM
    top = core.parent
    found = features.find(top)
    chosen = findings.attempt("modalities", features.choose, modalities, found, top) or ()
    splits = read_splits(core, findings)
    users_path, items_path = (_list(top, name) for name in ("user_list.txt", "item_list.txt"))
    ids = raw_ids.read_lists(users_path, items_path, findings)
    name = top.resolve().name
    name = f"{name} {COLD}" if core.name == COLD else name
    return assemble_indexed(folder, name, splits, ids, found, chosen, findings)


def _list(top: Path, name: str) -> Path:
    return top / name if (top / name).is_file() else top / WARM / name
