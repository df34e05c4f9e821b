"""Learned vectors in place of features that are missing, where the config asks for them."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from mmssl_jax.config import Config
from mmssl_jax.data import Dataset

Features = Mapping[str, Float[Array, "items _"]]
Present = dict[str, Bool[Array, "items"]]
Vectors = Mapping[str, Float[Array, "_"]]


def present(config: Config, dataset: Dataset) -> Present:
    """For each modality whose missing rows are learned: which items have it."""
    if config.data.missing != "learned":
        return {}
    return {modality: jnp.asarray(known) for modality, known in dataset.present.items()}


def init_vectors(config: Config, dataset: Dataset) -> dict[str, Float[Array, "_"]]:
    """A vector for each modality of `present`, at first what the missing rows are filled with."""
    return {
        modality: jnp.asarray(dataset.features[modality][int(np.argmin(dataset.present[modality]))])
        for modality in present(config, dataset)
    }


def replaced(features: Features, present: Present, vectors: Vectors) -> Features:
    """The features with the learned vector of a modality in each of its missing rows."""
    learned = {
        modality: jnp.where(known[:, None], features[modality], vectors[modality][None, :])
        for modality, known in present.items()
    }
    return {**features, **learned}
