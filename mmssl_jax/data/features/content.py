"""Raw item features as a model is given them: missing rows filled, columns on one scale."""

import dataclasses

import numpy as np
from scipy.sparse import csr_array, diags_array, sparray

from mmssl_jax.data.dataset import Dataset
from mmssl_jax.errors import InputError

ROUNDS = 40
_COLUMNS = 256  # at a time, to bound the memory of the users' rows


def prepare(
    dataset: Dataset,
    *,
    missing: str,
    zeros_missing: bool,
    standardize: bool,
    first: int | None = None,
) -> Dataset:
    """The data set with features as a model is given them.

    Args:
      dataset: as read; where `present` is false, features are missing.
      missing: what takes their place. 'mean': the mean of the present rows. 'propagate': feature
        propagation over the training graph (Rossi et al., "On the unreasonable effectiveness of
        feature propagation", LoG 2022). 'learned': the mean, from which a model learns on.
      zeros_missing: rows that are all zero are missing as well.
      standardize: every column has mean 0 and variance 1 over the present rows.
      first: how many items, from the first, these means and variances are of; None is all. Those
        that follow came after training.
    """
    features, present = {}, {}
    counted = np.arange(dataset.num_items) < (dataset.num_items if first is None else first)
    for modality, values in dataset.features.items():
        known = dataset.present.get(modality, np.ones(len(values), bool))
        if zeros_missing:
            known = known & values.any(axis=1)
        own = known & counted
        if not own.any():
            raise InputError(
                f"{dataset.name}: all {modality} feature rows are zero, and so missing; leave "
                f"{modality} out of data.modalities"
            )
        values = _standardized(values, own) if standardize else values
        if not known.all():
            mean = values[own].mean(axis=0, dtype=np.float64)
            values = _filled(values, known, mean, missing, dataset.train)
        features[modality] = values
        if not known.all():
            present[modality] = known
    return dataclasses.replace(dataset, features=features, present=present)


def _standardized(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Columns less their mean, over their deviation; a constant column becomes zero."""
    mean = values[known].mean(axis=0, dtype=np.float64)
    deviation = values[known].std(axis=0, dtype=np.float64)
    # A column that is constant but for rounding has nothing to tell.
    constant = deviation <= 1e-6 * np.abs(mean)
    scale = np.where(constant, 0.0, 1 / np.where(constant, 1.0, deviation))
    scaled: np.ndarray = (values - mean.astype(np.float32)) * scale.astype(np.float32)
    return scaled.astype(np.float32)


def _filled(
    values: np.ndarray, known: np.ndarray, mean: np.ndarray, missing: str, train: csr_array
) -> np.ndarray:
    filled = values.copy()
    filled[~known] = mean
    if missing == "propagate":
        to_users, to_items = _means(train), _means(train.T)
        reached = ~known & (np.diff(to_items.indptr) > 0)
        for start in range(0, values.shape[1], _COLUMNS):
            part = filled[:, start : start + _COLUMNS]  # a view
            for _ in range(ROUNDS):
                part[reached] = (to_items @ (to_users @ part))[reached]
    return filled


def _means(matrix: sparray) -> csr_array:
    """The rows over their sums: a product with it takes the mean of a row's neighbours."""
    matrix = csr_array(matrix)
    degrees = np.maximum(np.diff(matrix.indptr), 1).astype(np.float32)
    return csr_array(diags_array(1 / degrees) @ matrix)
