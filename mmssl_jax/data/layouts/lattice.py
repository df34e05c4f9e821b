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
from mmssl_jax.data.dataset import Dataset, assemble
from mmssl_jax.data.features import folder as features
from mmssl_jax.data.layouts import canonical, raw_ids
from mmssl_jax.data.layouts.counts import Counts
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

    There are as many users and items as the largest of: the ids in the splits, the lines of the
    lists, and for items the rows of every feature file.
    """
    core = Path(os.path.abspath(folder)) if is_core(folder) else folder / WARM
    top = core.parent
    found = features.find(top)
    chosen = findings.attempt("modalities", features.choose, modalities, found, top) or ()
    splits = read_splits(core, findings)
    users_path, items_path = (_list(top, name) for name in ("user_list.txt", "item_list.txt"))
    user_ids = findings.attempt("ids", raw_ids.read_list, users_path)
    item_ids = findings.attempt("ids", raw_ids.read_list, items_path)
    counts = Counts(folder, splits.values())
    counts.add_rows(found, chosen, findings)
    counts.add(users_path.name, users=None if user_ids is None else len(user_ids))
    counts.add(items_path.name, items=None if item_ids is None else len(item_ids))
    shape = counts.settle(findings)
    name = top.resolve().name
    values, present = features.read_all(found, chosen, shape[1], counts.why, findings)
    return assemble(
        folder,
        f"{name} {COLD}" if core.name == COLD else name,
        shape,
        {split: (part.users, part.items) for split, part in splits.items()},
        values,
        user_ids=raw_ids.complete(users_path, user_ids, shape[0], findings),
        item_ids=raw_ids.complete(items_path, item_ids, shape[1], findings),
        present=present,
        findings=findings,
    )


def _list(top: Path, name: str) -> Path:
    return top / name if (top / name).is_file() else top / WARM / name
