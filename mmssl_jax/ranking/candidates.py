"""Which items are ranked: all, or the cold ones alone, those without a training pair.

Where cold items alone are ranked, only the truth that is cold counts. They are those of validation
and of test together, in both splits, and those in no split at all.
"""

from collections.abc import Sequence

import numpy as np
from jax.sharding import Mesh
from scipy.sparse import csr_array, diags_array

from mmssl_jax.config import Evaluation
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import fallback, full_ranking

COLD = "cold"  # of evaluation.candidates


def candidates(dataset: Dataset, evaluation: Evaluation) -> np.ndarray | None:
    """bool [items]: which are ranked; None where all are."""
    if evaluation.candidates != COLD:
        return None
    cold: np.ndarray = dataset.item_degrees == 0
    return cold


def check_cutoffs(dataset: Dataset, evaluation: Evaluation) -> None:
    """Raises InputError where a cutoff exceeds the number of items that are ranked."""
    ranked = candidates(dataset, evaluation)
    if ranked is None:
        full_ranking.check_cutoffs(evaluation.cutoffs, dataset.num_items)
    else:
        full_ranking.check_cutoffs(evaluation.cutoffs, int(ranked.sum()), "cold items")


def truths(dataset: Dataset, evaluation: Evaluation, splits: Sequence[str]) -> dict[str, csr_array]:
    """The pairs [users, items] of these splits whose items are ranked.

    Raises:
      InputError: a split has none.
    """
    given = {split: getattr(dataset, split) for split in splits}
    ranked = candidates(dataset, evaluation)
    if ranked is None:
        return given
    kept = {split: _of_items(truth, ranked) for split, truth in given.items()}
    for split, truth in kept.items():
        if not truth.nnz:
            raise InputError(
                f"config field 'evaluation.candidates' is '{COLD}', but no {split} pair is of an "
                "item without a training pair; rank all items, or import with --split cold-items"
            )
    return kept


def ranking_task(
    dataset: Dataset, evaluation: Evaluation, split: str, mesh: Mesh | None = None
) -> full_ranking.RankingTask:
    """A split to be ranked as the config says, by the devices of a mesh.

    Raises:
      InputError: as `truths`.
    """
    return full_ranking.ranking_task(
        dataset.unranked,
        truths(dataset, evaluation, (split,))[split],
        evaluation.user_block,
        fallback.fallback(dataset.train),
        candidates(dataset, evaluation),
        mesh,
    )


def _of_items(matrix: csr_array, items: np.ndarray) -> csr_array:
    kept = csr_array(matrix @ diags_array(items.astype(matrix.dtype)))
    kept.eliminate_zeros()
    return kept
