"""Rows that an encoder makes of inputs: what is made so far is kept on disk, in a hidden file."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmssl_jax.data.encoding.encoders import Encoder
from mmssl_jax.data.encoding.partial_rows import PartialRows
from mmssl_jax.data.features import folder as features
from mmssl_jax.errors import InputError

_BATCHES = 4  # at a time: few are lost by a kill, and a model sorts texts by length among them

# Of (name, done, total) makes a context to be in while rows are made; it gives what is told of each
# further number of rows that are done.
_Tell = Callable[[int], object]
Progress = Callable[[str, int, int], contextlib.AbstractContextManager[_Tell]]


def silent(name: str, done: int, total: int) -> contextlib.AbstractContextManager[_Tell]:
    """A `Progress` that says nothing."""
    return contextlib.nullcontext(lambda done: None)


class Job(NamedTuple):
    """Features to be made: `prepare` maps one of the inputs, None where it is missing."""

    name: str
    modality: str  # 'text' or 'image'
    model: str
    batch_size: int
    inputs: Sequence[Any]
    prepare: Callable[[Any], Any]

    @property
    def chunk(self) -> int:
        """How many rows are made at a time."""
        return _BATCHES * self.batch_size


@contextlib.contextmanager
def made(folder: Path, job: Job, encoder: Encoder, progress: Progress) -> Iterator[np.ndarray]:
    """Gives all rows, float32 [inputs, width], NaN for missing inputs.

    After a kill it goes on with the rows that are on the disk; they stay there until the block has
    written what is made of them.

    Raises:
      InputError: no input can be read, or the rows cannot be written.
    """
    path = folder / f".{job.name}{features.SUFFIX}.partial"
    shape = (len(job.inputs), encoder.width)
    with PartialRows.open(path, _fingerprint(job, encoder), shape, job.chunk) as rows:
        with progress(job.name, rows.done, len(job.inputs)) as tell:
            _encode(job, encoder, rows, tell)
        values = rows.read()
        if np.isnan(values).all():
            rows.remove()
            raise InputError(f"{job.name}: none of the {job.modality}s can be read; get them again")
        yield values
        rows.remove()


def _fingerprint(job: Job, encoder: Encoder) -> bytes:
    """Of all that the rows depend on; an image counts as changed when its time or size is."""
    state = hashlib.sha256(f"2 {encoder.fingerprint} {encoder.width} {job.chunk}".encode())
    for each in job.inputs:
        if isinstance(each, Path):
            status = each.stat()
            each = (each.name, status.st_size, status.st_mtime_ns)
        state.update(json.dumps(each).encode() + b"\n")
    return state.digest()


def _encode(job: Job, encoder: Encoder, rows: PartialRows, tell: _Tell) -> None:
    """Adds the rows that are still to be made; those of missing inputs are NaN."""
    while rows.done < len(job.inputs):
        part = job.inputs[rows.done : rows.done + job.chunk]
        ready = [None if each is None else job.prepare(each) for each in part]
        present = np.array([each is not None for each in ready])
        values = np.full((len(part), encoder.width), np.nan, np.float32)
        if present.any():
            values[present] = encoder.encode([each for each in ready if each is not None])
        if not np.isfinite(values[present]).all():
            raise InputError(f"{job.model} gives NaN or infinity; take another model")
        rows.append(values)
        tell(rows.done)
