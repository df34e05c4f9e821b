"""`mmssl report`: one page on one run, or on several of the same data."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.files import atomic
from mmssl_jax.reporting import measured, page, scores
from mmssl_jax.reporting.looks import Looks
from mmssl_jax.reporting.measured import Measured
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import results

Say = Callable[[str], None]


def report(
    folders: Sequence[Path], to: Path, *, path: str | None = None, warn: Say, say: Say
) -> None:
    """Writes the report of some runs, with the first of which the others are compared.

    Args:
      folders: of the runs.
      to: the HTML file.
      path: of their data, where they are elsewhere now.
      warn: is called with each warning.
      say: is told what was done.

    Raises:
      InputError: a folder is no run, or is named twice; a run has other data than the first, or no
        scores; the table of items cannot be read; the extra is missing.
    """
    page.check_installed()
    from mmssl_jax.reporting import content  # needs the extra

    atomic.check_writable(to)
    runs, dataset, looks = _measured(folders, path, warn, say)
    if left_out := scores.left_out(runs):
        warn(f"{', '.join(left_out)} are left out: the cutoffs of the runs differ")
    html = page.render(content.content(runs, dataset, looks))
    if looks.unreadable:
        warn(
            f"{len(looks.unreadable)} pictures cannot be read, such as {looks.unreadable[0]!r}; "
            "they are left out"
        )
    atomic.write_text(to, html)
    say(f"{to}: {os.path.getsize(to) / 1e6:.1f} MB; open it in a browser")


def _measured(
    folders: Sequence[Path], path: str | None, warn: Say, say: Say
) -> tuple[list[Measured], Dataset, Looks]:
    """Every run, the data that all are of, and how its items look."""
    names = _names(folders)
    config, dataset = measured.opened(RunFolder(folders[0]), path, warn)
    looks = Looks(dataset)
    ranked = results.about_data(dataset, config)["ranked"]
    runs: list[Measured] = []
    for folder, name in zip(folders, names, strict=True):
        run, own = RunFolder(folder), dataset
        if runs:
            config, own = measured.opened(run, path, lambda line: None)
        if (
            own.fingerprint != dataset.fingerprint
            or results.about_data(own, config)["ranked"] != ranked
        ):
            raise InputError(
                f"{folder} is scored on other data, or other items of it, than {folders[0]} "
                f"('{own.name}', '{dataset.name}'), so no test compares them; report each alone"
            )
        runs.append(measured.measure(run, name, config, own))
        say(f"{folder}: measured")
        if not runs[-1].finished:
            warn(f"{folder} is not finished: the report is of its best epoch so far")
    return runs, dataset, looks


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names, where they differ; else what is not the same in their paths."""
    paths = [Path(os.path.abspath(folder)) for folder in folders]
    if len(set(paths)) < len(paths):
        raise InputError("a run is named twice; name each once")
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    above = Path(os.path.commonpath(paths))
    return [path.relative_to(above).as_posix() for path in paths]
