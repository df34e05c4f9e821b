"""What an import says: the data set, what is suspicious, and the command to go on with."""

import shlex
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mmssl_jax.config import Config, named
from mmssl_jax.data.checks import cold
from mmssl_jax.data.dataset import Dataset
from mmssl_jax.data.features.folder import NONE
from mmssl_jax.data.importing.imports import Imported
from mmssl_jax.data.splits import SPLITS
from mmssl_jax.errors import printable

_CUTOFFS = Config().evaluation.cutoffs
_SELECTS = 20  # the cutoff that no run can leave out


def show(imported: Imported) -> None:
    """Prints a report of what was read, and of what was written, if anything was."""
    dataset, source, folder = imported
    console = Console(markup=False, highlight=False, soft_wrap=True)
    console.print(printable(f"{dataset.name} (layout: {source['layout']})"), style="bold")
    for kind in ("columns", "pairs"):  # of tables
        if kind in source:
            steps = ", ".join(f"{name} {value}" for name, value in source[kind].items())
            console.print(printable(f"{kind}: {steps}"))
    if "split" in source:
        since = "".join(f", {name} since {when}" for name, when in source.get("since", {}).items())
        whole = "" if source["k_core"] > 1 else ", no k-core"
        console.print(printable(f"split: {source['split']}{since}{whole}"))
    console.print(_table(dataset))
    for warning in dataset.warnings:
        console.print(printable(f"warning: {warning}"), style="yellow")
    splits = SPLITS[1:]
    if text := cold.said(_of_cold_items(dataset), splits):
        line = f"warning: {text}, which most models cannot score; {cold.ABLE}"
        console.print(line, style="yellow")
    if text := _few_items(dataset):
        console.print(f"warning: {text}", style="yellow")
    if folder is None:
        console.print("nothing was written; give --to FOLDER without --dry-run to import it")
        return
    console.print(printable(f"written: {folder}"))
    console.print(f"next: {_next(dataset, folder)}")


def _table(dataset: Dataset) -> Table:
    table = Table("what", "how much", show_header=False)
    table.add_row("users", f"{dataset.num_users:,}")
    table.add_row("items", f"{dataset.num_items:,}")
    total = 0
    for split in SPLITS:
        total += getattr(dataset, split).nnz
        table.add_row(f"{split} pairs", f"{getattr(dataset, split).nnz:,}")
    table.add_row("density", f"{total / dataset.num_users / dataset.num_items:.3%}")
    for name, values in dataset.features.items():
        lacking = int((~dataset.present[name]).sum()) if name in dataset.present else 0
        missing = f", {lacking:,} items missing" if lacking else ""
        table.add_row(printable(name), f"{values.shape[0]:,} x {values.shape[1]:,}{missing}")
    if not dataset.features:
        table.add_row("modalities", "none")
    for name, values in dataset.side_information.items():
        table.add_row(printable(name), f"{values.shape[0]:,} x {values.shape[1]:,}")
    return table


def _next(dataset: Dataset, folder: Path) -> str:
    """The command that trains on the folder, by the config of its name where there is one."""
    config, workdir = folder.name, ""
    if dataset.side_information:
        config, workdir = "llmrec", f" --workdir {shlex.quote(str(Path('runs') / folder.name))}"
    elif config not in named.shipped():
        config, workdir = "baby", f" --workdir {shlex.quote(str(Path('runs') / folder.name))}"
    content = "" if dataset.features else f" --config.data.modalities={NONE}"
    if dataset.features and _of_cold_items(dataset)["val/unscored_share"] == 1.0:
        content = f" --config.model.name={cold.ABLE.partition(',')[0]}"
    flags = f"--config.data.path={shlex.quote(str(folder))}{_smaller(dataset)}{content}"
    return f"mmssl train --config {config}{workdir} {flags}"


def _of_cold_items(dataset: Dataset) -> dict[str, Any]:
    """How much of the truth most models have no score for."""
    truths = {split: getattr(dataset, split) for split in SPLITS[1:]}
    return cold.unscored(dataset.train, truths, able=False)


def _few_items(dataset: Dataset) -> str:
    """What is to be said of a data set with fewer items than the lists that are scored are long."""
    longest, items = max(_CUTOFFS), f"there are {dataset.num_items} items"
    if dataset.num_items < _SELECTS:
        return f"{items}, and training needs {_SELECTS}, as Recall@{_SELECTS} selects the epoch"
    if smaller := _smaller(dataset).strip():
        return f"{items}, and the default is to score lists of up to {longest}; add {smaller}"
    return ""


def _smaller(dataset: Dataset) -> str:
    """The flag for the default cutoffs that the items suffice for, where they do not for all."""
    fit = [cutoff for cutoff in _CUTOFFS if cutoff <= dataset.num_items]
    if _SELECTS not in fit or len(fit) == len(_CUTOFFS):
        return ""
    return f" --config.evaluation.cutoffs={','.join(map(str, fit))}"
