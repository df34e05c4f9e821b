"""Damaged files of data folders, runs, exports and caches."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from faults import damage, readers
from faults.readers import Reader
from faults.tally import Tally
from mmssl_jax.errors import InputError

PROMISE = (
    "A damaged file of a data folder that was imported, of a run, of an export or of the kept "
    "indices is noticed and named in one line, or what is read of it is the same, bit for bit."
)


def campaign(tally: Tally, rng: np.random.Generator, share: float, folder: Path) -> None:
    """Damages one file at a time, reads everything, and puts the file back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of orbax, of what it cannot read
        for reader in readers.all_readers(folder):
            expected = reader.read()
            kinds = list(damage.KINDS)
            for number in range(max(round(share * reader.faults), 2 * len(kinds))):
                path = reader.files[int(rng.integers(len(reader.files)))]
                _damage(tally, rng, reader, path, kinds[number % len(kinds)], expected)


def _damage(
    tally: Tally,
    rng: np.random.Generator,
    reader: Reader,
    path: Path,
    kind: str,
    expected: dict[str, Any],
) -> None:
    content = path.read_bytes()
    changed = damage.damaged(rng, kind, content)
    path.write_bytes(changed)
    try:
        with tally.fault(f"{reader.name}: {kind}", f"{path.name}, {_first(content, changed)}"):
            assert path.read_bytes() != content
            _judge(reader, path, expected)
    finally:
        path.write_bytes(content)


def _judge(reader: Reader, path: Path, expected: dict[str, Any]) -> None:
    """It was noticed and named, or the same numbers were read."""
    try:
        found = reader.read()
    except InputError as error:
        line = str(error)
        assert line.isprintable(), line
        assert _names(line, path), f"{path} is not named: {line}"
        return
    for name, value in expected.items():
        if name.startswith("per user: ") and name not in found:
            continue  # it is made anew of the checkpoint
        assert _same(found.get(name), value), f"{name} is read as {str(found.get(name))[:60]}"


def _same(found: Any, expected: Any) -> bool:
    """Equal; an object may have a key more, as where it was its checksum's key that was damaged."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and _same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(_same, found, expected))
    return bool(found == expected)


def _names(line: str, path: Path) -> bool:
    """Whether a line says which file it is; of those in a checkpoint, which checkpoint."""
    inside = [part for part in path.parts if part in ("checkpoints", "stopped")]
    return path.name in line or any(f"/{part}" in line for part in inside)


def _first(content: bytes, changed: bytes) -> str:
    """Where the files differ first, and what is there."""
    ends = min(len(content), len(changed))
    both = zip(content, changed, strict=False)
    place = next((at for at, (one, other) in enumerate(both) if one != other), ends)
    old, new = content[place : place + 12], changed[place : place + 12]
    return f"byte {place} of {len(content)}: {old!r} -> {new!r}"
