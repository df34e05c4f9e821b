"""What an export has on request: vectors in other formats, an index, the scoring, a model card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmssl_jax.data.layouts import id_tables
from mmssl_jax.errors import InputError
from mmssl_jax.serving import card, scoring_export, vector_index
from mmssl_jax.training.session import Trained

OF_VECTORS = ("npy", "safetensors", "faiss")
ALSO = (*OF_VECTORS, "stablehlo", "card")


def check(also: Sequence[str]) -> None:
    """Raises InputError for a name that is not in `ALSO`."""
    for name in also:
        if name not in ALSO:
            raise InputError(f"--also has {name[:40]!r}; it can have {', '.join(ALSO)}")


def write(
    folder: Path,
    also: Sequence[str],
    trained: Trained,
    representation: Any,
    vectors: Mapping[str, np.ndarray],
    ids: tuple[Sequence[str], Sequence[str]],
    about: Mapping[str, Any],
    scores: Mapping[str, Any],
) -> None:
    """Writes the files that `also` names into an existing folder.

    Args:
      folder: of the export.
      also: of `ALSO`.
      trained: the run.
      representation: of its best epoch.
      vectors: of `export.vectors_of`.
      ids: raw ids of users and items, by index.
      about: what export.json says.
      scores: what results.json says; empty where there are none.

    Raises:
      InputError: the model has no vectors, or an extra is not installed.
    """
    model = trained.config.model.name
    if (asked := [name for name in also if name in OF_VECTORS]) and not vectors:
        raise InputError(
            f"'{model}' has no vectors, as its scores are no inner products; leave "
            f"{' and '.join(asked)} out of --also"
        )
    if set(also) - {"card"}:
        for name, own in zip(("users.tsv", "items.tsv"), ids, strict=True):
            id_tables.write(folder / name, [own])
    _write_vectors(folder, also, vectors, about)
    if "stablehlo" in also:
        scoring = scoring_export.export(trained.model, representation)
        (folder / "scoring.jax").write_bytes(scoring.program)
        with (folder / "scoring.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **scoring.arrays)
    if "card" in also:
        text = card.text(trained, about, scores, sorted(path.name for path in folder.iterdir()))
        (folder / "README.md").write_text(text, encoding="utf-8")


def _write_vectors(
    folder: Path, also: Sequence[str], vectors: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    if "npy" in also:
        for name, array in vectors.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
    if "safetensors" in also:
        _write_safetensors(folder / "vectors.safetensors", vectors, about)
    if "faiss" in also:
        items = vectors["items"]
        index = vector_index.VectorIndex(items, np.arange(len(items)), "exact")
        index.write(str(folder / "items.faiss"))


def _write_safetensors(
    path: Path, vectors: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise InputError('safetensors files need an extra: pip install ".[serve]"') from error
    said = {name: str(about[name]) for name in ("model", "data", "data_fingerprint", "seed")}
    arrays = {name: np.ascontiguousarray(array) for name, array in vectors.items()}
    path.write_bytes(save(arrays, metadata=said))
