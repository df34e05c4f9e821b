"""Damage to one file: what a bad disk, a cut transfer or a stray write makes of its bytes."""

from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
_MOST_BYTES = 64  # that are overwritten


def _flip(rng: Rng, content: bytes) -> bytes:
    """One bit is another."""
    changed, place = bytearray(content), int(rng.integers(len(content)))
    changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _overwrite(rng: Rng, content: bytes) -> bytes:
    """Some bytes in a row are random, zero, or those of another place in the file."""
    start = int(rng.integers(len(content)))
    count = int(rng.integers(1, _MOST_BYTES + 1))
    other = int(rng.integers(len(content)))
    new = (rng.bytes(count), bytes(count), content[other : other + count])[int(rng.integers(3))]
    return (content[:start] + new + content[start + len(new) :])[: len(content)]


def _cut(rng: Rng, content: bytes) -> bytes:
    """The file ends early; often at the end of a line, where that looks whole."""
    ends = [place + 1 for place, byte in enumerate(content[:-1]) if byte == ord("\n")]
    if ends and rng.random() < 0.3:
        return content[: ends[int(rng.integers(len(ends)))]]
    return content[: int(rng.integers(len(content)))]


KINDS: dict[str, Callable[[Rng, bytes], bytes]] = {
    "bit flipped": _flip,
    "bytes overwritten": _overwrite,
    "file cut short": _cut,
}


def damaged(rng: Rng, kind: str, content: bytes) -> bytes:
    """The content with one damage of a kind; it is never the same."""
    while (changed := KINDS[kind](rng, content)) == content:
        pass
    return changed
