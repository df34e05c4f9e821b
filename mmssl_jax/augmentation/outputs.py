"""Writes what training reads: pairs, and vectors of profiles and attributes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmssl_jax.augmentation.options import AugmentOptions
from mmssl_jax.data.encoding import encoders, rows
from mmssl_jax.data.encoding.encoders import Encoder
from mmssl_jax.data.encoding.rows import Job, Progress
from mmssl_jax.data.features import side
from mmssl_jax.files import atomic, checksums

_BATCH = 32  # texts encoded at a time


def write_pairs(folder: Path, pairs: Mapping[int, tuple[int, int]]) -> Path:
    """Writes augmented_edges.npy of user -> (liked item, disliked item)."""
    path = folder / side.AUGMENTED
    triples = [(user, *items) for user, items in sorted(pairs.items())]
    with checksums.changing(folder, [path.name]):
        atomic.write_array(path, np.array(triples, np.int64).reshape(-1, 3))
    return path


def write_vectors(folder: Path, name: str, vectors: np.ndarray) -> Path:
    """Writes `<name>_feat.npy`, float32 [users or items, width]."""
    path = folder / f"{name}{side.SUFFIX}"
    with checksums.changing(folder, [path.name]):
        atomic.write_array(path, np.asarray(vectors, np.float32))
    return path


class Texts:
    """Turns texts of users and items into vectors, with one encoder for all of them."""

    def __init__(self, options: AugmentOptions, progress: Progress):
        self._options, self._progress = options, progress
        self._encoder: Encoder | None = None

    def load(self) -> Encoder:
        """The encoder, loaded when it is needed first.

        Raises:
          InputError: the extra `encode` is not installed, or the encoder cannot be loaded.
        """
        if self._encoder is None:
            self._encoder = encoders.load("text", self._options.text_model, _BATCH, None)
        return self._encoder

    def write(self, folder: Path, name: str, texts: Sequence[str]) -> Path:
        """Writes `<name>_feat.npy`: zeros for an empty text; each text is encoded once.

        Raises:
          InputError: the extra `encode` is not installed, or the encoder cannot be loaded.
        """
        different = sorted(set(texts) - {""})
        place = {text: row for row, text in enumerate(different)}
        job = Job(name, "text", self._options.text_model, _BATCH, different, str)
        with rows.made(folder, job, self.load(), self._progress) as made:
            vectors = np.zeros((len(texts), made.shape[1]), np.float32)
            for row, text in enumerate(texts):
                if text:
                    vectors[row] = made[place[text]]
            return write_vectors(folder, name, vectors)


def write_texts(path: Path, head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> None:
    """Writes texts for people to read: tab-separated, with a header."""
    atomic.write_text(path, "".join("\t".join(line) + "\n" for line in (head, *lines)))
