"""Checkpoints of the whole training state: the latest and the best.

Of several processes each writes and reads what its own devices hold, so all must make every call.
"""

import contextlib
import functools
import gc
import logging
import pathlib
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from orbax.checkpoint import v1 as ocp

from mmssl_jax.errors import InputError
from mmssl_jax.files import signals

_ODD = np.uint32(2654435761)  # Knuth's, by which places are told apart

Rank = Callable[[float, int], tuple[float, int]]


class Checkpoints:
    """The checkpoints in a folder, by epoch; keeps the latest and the best.

    A checkpoint appears under its name only when it is complete, so a run that is killed while
    saving resumes from the one before. A state is stored as a flat mapping from the path of each
    array to the array, so that no container type is part of the format.
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
        logging.getLogger("absl").setLevel(logging.ERROR)  # orbax reports every save
        keep = ocp.training.preservation_policies
        # A checkpoint has lost its metrics where a run was killed while deleting it.
        best = keep.BestN(n=1, get_metric_fn=self._rank_of, keep_checkpoints_without_metrics=False)
        self._folder, self._rank = folder, rank
        try:
            self._checkpointer = ocp.training.Checkpointer(
                folder.absolute(),
                save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
                preservation_policy=keep.AnyPreservationPolicy([keep.LatestN(1), best]),
                cleanup_tmp_directories=clean,
            )
        except Exception as error:  # orbax raises many kinds
            raise InputError(
                f"cannot read the checkpoints in {folder} ({type(error).__name__}); "
                "name another run's folder, or remove this one"
            ) from error

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._checkpointer.close()

    @property
    def latest_epoch(self) -> int | None:
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    @property
    def best_epoch(self) -> int | None:
        infos = [info for info in self._checkpointer.checkpoints if info.metrics]
        return max(infos, key=lambda info: self._rank_of(info.metrics)).step if infos else None

    def _rank_of(self, metrics: dict[str, Any]) -> tuple[float, int]:
        return self._rank(metrics["score"], metrics["epoch"])

    def save(self, epoch: int, state: Any, score: float, about: dict[str, Any]) -> None:
        """Saves a state after an epoch, and drops what is neither the latest nor the best.

        Args:
          epoch: its number; must exceed that of any earlier checkpoint.
          state: any pytree of arrays.
          score: of its validation, which `rank` takes.
          about: JSON-compatible, stored with the checkpoint.
        """
        arrays = _flat(state)
        with signals.held_back():  # orbax, cut off, waits for itself for minutes
            self._checkpointer.save(
                epoch,
                arrays,
                metrics={"score": score, "epoch": epoch},
                custom_metadata=about | {"sums": _sums(arrays)},
            )

    def about(self, epoch: int) -> dict[str, Any]:
        """What was stored with a checkpoint."""
        return dict(self._checkpointer.metadata(epoch).custom_metadata)

    def restore(self, epoch: int, like: Any) -> Any:
        """The state saved after an epoch, with the structure and the shardings of `like`.

        Args:
          epoch: `latest_epoch` or `best_epoch`.
          like: a pytree of arrays or ShapeDtypeStructs.

        Raises:
          InputError: the checkpoint is damaged, or is of another model or data set.
        """
        wanted = jax.tree.map(abstract, _flat(like))
        arrays, problem = None, ""
        with _abandoned_reads_unreported():
            try:
                arrays = self._checkpointer.load(epoch, wanted)
                if not _is_whole(arrays, self.about(epoch)):
                    arrays, problem = None, "its checksum differs"
            except Exception as error:  # orbax raises many kinds for a damaged or foreign one
                problem = type(error).__name__
            if arrays is None:
                gc.collect()  # of the reads that are abandoned, while none is reported
        if arrays is None:
            raise InputError(
                f"the checkpoint of epoch {epoch} in {self._folder} does not fit this config and "
                f"data set, or is damaged ({problem}); name another run's folder"
            )
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[path] for path in _flat(like)])


@contextlib.contextmanager
def _abandoned_reads_unreported() -> Iterator[None]:
    """Where one read fails, orbax abandons the others, and Python reports each of them."""
    reports, hook = logging.getLogger("asyncio"), sys.unraisablehook
    reports.disabled, sys.unraisablehook = True, lambda _: None
    try:
        yield
    finally:
        reports.disabled = False
        if getattr(hook, "func", None) is not _report_of_others:  # once, however many are restored
            hook = functools.partial(_report_of_others, hook)
        sys.unraisablehook = hook


def _report_of_others(hook: Callable[[Any], object], report: Any) -> None:
    """Reports what is no abandoned read; one in flight ends whenever it does."""
    if "Event loop is closed" not in str(report.exc_value):
        hook(report)


def _is_whole(arrays: dict[str, Any], about: dict[str, Any]) -> bool:
    """Whether these are the values that were saved, so that a damaged file is no result."""
    if "sums" in about:
        return bool(about["sums"] == _sums(arrays))
    checksum = 0  # of earlier code
    for path in sorted(arrays):
        if not arrays[path].is_fully_addressable:
            return True  # a process cannot see it all
        checksum = zlib.crc32(np.ascontiguousarray(arrays[path]).data, checksum)
    return bool(about["checksum"] == checksum)


def _sums(arrays: dict[str, Any]) -> dict[str, int]:
    """Path -> sum of the bits of an array's values, each by a weight of its place, modulo 2**32.

    It is made on the devices, and is the same however the values are split over them.
    """
    totals = jax.device_get(_weighted_sums(arrays))
    return {path: int(total) for path, total in totals.items()}


@jax.jit
def _weighted_sums(arrays: dict[str, jax.Array]) -> dict[str, jax.Array]:
    def of(array: jax.Array) -> jax.Array:
        kind = jnp.uint8 if array.dtype == bool else f"uint{8 * array.dtype.itemsize}"
        bits = array.astype(kind) if array.dtype == bool else array.view(kind)
        place = jnp.zeros((), jnp.uint32)
        for axis in range(array.ndim):
            place = place * _ODD + jax.lax.broadcasted_iota(jnp.uint32, array.shape, axis)
        return jnp.sum(bits.astype(jnp.uint32) * (2 * place + 1), dtype=jnp.uint32)

    return {path: of(array) for path, array in arrays.items()}


def _flat(state: Any) -> dict[str, Any]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}


def abstract(leaf: Any) -> jax.ShapeDtypeStruct:
    """An array's shape, type and place, without its values: what `restore` can take as `like`."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])  # for what is no array yet
    sharding = getattr(leaf, "sharding", None) or here
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
