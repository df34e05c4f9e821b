"""What `fuzzing` spoils of tables that are split already, and how it reads them."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmssl_jax.data.checks.findings import Findings, SplitRules
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.data.importing import option_checks, table_import
from mmssl_jax.data.importing.options import ImportOptions

Read = Callable[[], None]
_DAY = 86_400


def targets(top: Path) -> dict[str, tuple[Path, Read]]:
    """Files below `top`, and what reads each."""
    rng = np.random.default_rng(2)
    rows = [
        (f"U{user}", f"B{item:03}", split, 1_577_836_800 + _DAY * int(rng.integers(99)))
        for user in range(6)
        for item, split in zip(rng.permutation(9)[:6], (*["train"] * 4, "dev", "test"), strict=True)
    ]
    folder, alone = top / "files", top / "alone"
    folder.mkdir()
    alone.mkdir()
    sources = {}
    for word in ("train", "dev", "test"):
        path = folder / f"{word}.tsv"
        lines = [f"{user}\t{item}\n" for user, item, split, _ in rows if split == word]
        path.write_text("user_id\titem_id\n" + "".join(lines))
        sources[f"files/{path.name}"] = path, folder
    labelled, timed = alone / "labelled.csv", alone / "timed.csv"
    lines = [",".join(map(str, row)) + "\n" for row in rows]
    for path in (labelled, timed):
        path.write_text("user_id,item_id,split,timestamp\n" + "".join(lines))
    sources[labelled.name] = labelled, labelled
    reads: dict[str, tuple[Path, Read]] = {
        name: (path, functools.partial(_read, ImportOptions(source, unseen="drop", repeats="drop")))
        for name, (path, source) in sources.items()
    }
    options = ImportOptions(
        timed,
        split="by-time",
        k_core=0,
        val_since="2020-02-01",
        test_since="2020-03-01",
        repeats="drop",
    )
    reads["timed.csv"] = timed, functools.partial(_read, options)
    return reads


def _read(options: ImportOptions) -> None:
    """Reads as an import does; every pair is then in one split."""
    findings = Findings(rules=SplitRules("drop"))
    dataset, _, _ = table_import.read(option_checks.settled(options), findings)
    for message in dataset.warnings:
        assert message.isprintable(), message
    if not any("IS THE SAME AS test" in message for message in dataset.warnings):
        assert sum(getattr(dataset, split) for split in SPLITS).max() == 1
