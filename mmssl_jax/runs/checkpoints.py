"""Checkpoints of the whole training state: the latest and the best.

Of several processes each writes and reads what its own devices hold, so all must make every call.
"""

import contextlib
import functools
import gc
import logging
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp

from mmssl_jax.errors import InputError, PlaceError
from mmssl_jax.files import durable, memory, sealed, signals
from mmssl_jax.runs import processes, state_arrays

_SCORED = "scored"  # what orbax has as metrics, once more, under the checksum
_REMEDY = "name another run's folder"

Rank = Callable[[float, int], tuple[float, int]]


class Checkpoints:
    """The checkpoints in a folder, by epoch; keeps the latest and the best.

    A checkpoint appears under its name only when it is complete and on the disk, and only then is
    an earlier one removed: after a kill or a power cut a run resumes from the one before. A state
    is stored as a flat mapping from the path of each array to the array, so that no container type
    is part of the format.
    """

    def __init__(self, folder: pathlib.Path, rank: Rank, *, clean: bool = True):
        """Opens the checkpoints of a run.

        Args:
          folder: of the checkpoints; made where it is missing.
          rank: (score, epoch) -> what the best checkpoint has the most of.
          clean: removes what a killed save left. False for a reader, as a run may be saving.

        Raises:
          InputError: the folder holds something else, or damaged checkpoints.
        """
        # Orbax reports every save, and damage, which is said in one line here.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._folder, self._rank, self._clean = folder, rank, clean
        # Beside the folder, where nobody looks for checkpoints: those half saved or half removed.
        self._unready = folder.absolute().with_name(f".{folder.name}")
        self._saver: Any = None
        try:
            if clean and processes.is_first():
                shutil.rmtree(self._unready, ignore_errors=True)
                durable.make_folder(folder)
            self._checkpointer = ocp.training.Checkpointer(
                folder.absolute(), cleanup_tmp_directories=clean
            )
            if clean and len(self._checkpointer.checkpoints) > 1:  # a kill may have left one
                self._keep_latest_and_best()
        except Exception as error:  # orbax raises many kinds
            if isinstance(error, InputError) or memory.ran_out(error):
                raise
            raise InputError(
                f"cannot read the checkpoints in {folder} ({type(error).__name__}); "
                "name another run's folder, or remove this one"
            ) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._checkpointer.close()
        if self._saver is not None:
            with contextlib.suppress(Exception):  # which `save` has raised already
                self._saver.close()
        if self._clean and processes.is_first():
            shutil.rmtree(self._unready, ignore_errors=True)

    @property
    def latest_epoch(self) -> int | None:
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    @property
    def best_epoch(self) -> int | None:
        """That of the best checkpoint; InputError where a score was damaged."""
        infos = [info for info in self._checkpointer.checkpoints if info.metrics]
        for info in infos:
            scored = self.about(info.step).get(_SCORED, info.metrics)  # not of earlier code
            if info.metrics != scored:
                raise self._damaged(info.step, "its score is not the one that was saved")
        return max(infos, key=lambda info: self._rank_of(info.metrics)).step if infos else None

    def _rank_of(self, metrics: dict[str, Any]) -> tuple[float, int]:
        try:
            return self._rank(metrics["score"], metrics["epoch"])
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"a checkpoint in {self._folder} has no score, so it is damaged; name another "
                "run's folder"
            ) from error

    def save(self, epoch: int, state: Any, score: float, about: dict[str, Any]) -> None:
        """Saves a state after an epoch, and drops what is neither the latest nor the best.

        Args:
          epoch: its number; must exceed that of any earlier checkpoint.
          state: any pytree of arrays.
          score: of its validation, which `rank` takes.
          about: JSON-compatible, stored with the checkpoint.

        Raises:
          PlaceError: it cannot be written.
        """
        arrays, scored = state_arrays.by_path(state), {"score": score, "epoch": epoch}
        about = about | {"sums": state_arrays.sums(arrays), _SCORED: scored}
        try:
            with signals.held_back():  # orbax, cut off, waits for itself for minutes
                self._save(epoch, arrays, scored, sealed.sealed(about))
        except (InputError, MemoryError, jax.errors.JaxRuntimeError):
            raise
        except TimeoutError as error:  # orbax waits for its own threads by the clock
            raise PlaceError(
                f"the checkpoint of epoch {epoch} in {self._folder} was not saved in time; was the "
                "clock put on, or does the disk hang? The same command goes on"
            ) from error
        except Exception as error:  # orbax and tensorstore raise many kinds for a disk
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
            raise PlaceError(
                f"cannot save the checkpoint of epoch {epoch} in {self._folder} ({reason}); the "
                "one before is intact: make room, and the same command goes on from there"
            ) from error

    def _save(
        self, epoch: int, arrays: dict[str, Any], scored: dict[str, Any], about: dict[str, Any]
    ) -> None:
        """Saves beside the folder; moves what is on the disk into it; then removes others."""
        if self._saver is None:
            policies = ocp.training.save_decision_policies
            self._saver = ocp.training.Checkpointer(
                self._unready, save_decision_policy=policies.FixedIntervalPolicy(1)
            )
        self._saver.save(epoch, arrays, metrics=scored, custom_metadata=about)
        if processes.is_first():
            durable.sync_tree(self._unready / str(epoch))
            durable.move(self._unready / str(epoch), self._folder / str(epoch))
        processes.wait("checkpoint")
        self._checkpointer.reload()
        self._keep_latest_and_best()

    def _keep_latest_and_best(self) -> None:
        """Removes the others; a kill meanwhile leaves none of which a part is missing."""
        processes.wait("checkpoints")  # all have read the list before any is removed
        if processes.is_first():
            kept = {self.latest_epoch, self.best_epoch}
            for epoch in {info.step for info in self._checkpointer.checkpoints} - kept:
                removed = self._unready / f"{epoch}.removed"
                durable.make_folder(self._unready)
                durable.move(self._folder / str(epoch), removed)
                shutil.rmtree(removed)
        processes.wait("removed")
        self._checkpointer.reload()

    def about(self, epoch: int) -> dict[str, Any]:
        """What was stored with a checkpoint; InputError where it was damaged."""
        try:
            about = dict(self._checkpointer.metadata(epoch).custom_metadata)
        except Exception as error:  # orbax raises many kinds
            if memory.ran_out(error):
                raise
            raise self._damaged(epoch, type(error).__name__) from error
        if "sums" not in about:
            if "checksum" not in about:  # of earlier code, of the arrays alone
                raise self._damaged(epoch, "its description cannot be read")
            return about
        return sealed.opened(about, f"the checkpoint of epoch {epoch} in {self._folder}", _REMEDY)

    def restore(self, epoch: int, like: Any) -> Any:
        """The state saved after an epoch, with the structure and the shardings of `like`.

        Args:
          epoch: `latest_epoch` or `best_epoch`.
          like: a pytree of arrays or ShapeDtypeStructs.

        Raises:
          InputError: the checkpoint is damaged, or is of another model or data set.
        """
        about = self.about(epoch)
        wanted = jax.tree.map(state_arrays.abstract, state_arrays.by_path(like))
        arrays, problem = None, ""
        with _abandoned_reads_unreported():
            try:
                arrays = self._checkpointer.load(epoch, wanted)
                if not state_arrays.agree(arrays, about):
                    arrays, problem = None, "its checksum differs"
            except Exception as error:  # orbax raises many kinds for a damaged or foreign one
                if memory.ran_out(error):
                    raise
                problem = type(error).__name__
            if arrays is None:
                gc.collect()  # of the reads that are abandoned, while none is reported
        if arrays is None:
            raise self._damaged(epoch, problem)
        return jax.tree.unflatten(
            jax.tree.structure(like), [arrays[path] for path in state_arrays.by_path(like)]
        )

    def _damaged(self, epoch: int, problem: str) -> InputError:
        return InputError(
            f"the checkpoint of epoch {epoch} in {self._folder} does not fit this config and "
            f"data set, or is damaged ({problem}); {_REMEDY}"
        )


@contextlib.contextmanager
def _abandoned_reads_unreported() -> Iterator[None]:
    """Where one read fails, orbax abandons the others, and Python reports each of them."""
    reports, hook = logging.getLogger("asyncio"), sys.unraisablehook
    reports.disabled, sys.unraisablehook = True, functools.partial(_report_of_ends, hook)
    try:
        yield
    finally:
        reports.disabled = False
        if getattr(hook, "func", None) is not _report_of_others:  # once, however many are restored
            hook = functools.partial(_report_of_others, hook)
        sys.unraisablehook = hook
        reports.addFilter(_is_of_others)


def _report_of_ends(hook: Callable[[Any], object], report: Any) -> None:
    """Reports a signal alone, which must not be lost."""
    if isinstance(report.exc_value, KeyboardInterrupt | SystemExit):
        hook(report)


def _is_of_others(record: logging.LogRecord) -> bool:
    """Whether asyncio reports no abandoned read, of which some are found later."""
    return "tensorstore" not in str(record.exc_info and record.exc_info[1])


def _report_of_others(hook: Callable[[Any], object], report: Any) -> None:
    """Reports what is no abandoned read; one in flight ends whenever it does."""
    if "Event loop is closed" not in str(report.exc_value):
        hook(report)
