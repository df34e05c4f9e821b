"""Full ranking on the device: every item but a user's training items, in blocks of users."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Int

from mmssl_jax import metrics
from mmssl_jax.errors import InputError

ScoreFn = Callable[[Any, Int[Array, "block"]], Array]  # (representation, users) -> [block, items]


class Block(NamedTuple):
    """Tables of the ranked users, in blocks; the pairs are (row in the block, item).

    Pairs are padded with a row out of range, which a scatter drops; users are padded with 0.
    """

    users: Int[Array, "blocks block"]
    seen: Int[Array, "blocks seen_pairs 2"]
    truth: Int[Array, "blocks truth_pairs 2"]


@dataclasses.dataclass(frozen=True)
class RankingTask:
    """One split to be ranked: its users with a non-empty truth, their seen items, their truth."""

    users: np.ndarray  # [n] user indices, ascending
    truth_sizes: np.ndarray  # [n]
    num_items: int
    blocks: Block  # on the device


def ranking_task(
    train: scipy.sparse.csr_array, truth: scipy.sparse.csr_array, user_block: int
) -> RankingTask:
    """Builds the tables that rank a split, on the host, once.

    Args:
      train: training interactions [users, items]; these items are never ranked.
      truth: the split's interactions [users, items]; users without any are left out.
      user_block: users ranked at a time.
    """
    sizes = np.diff(truth.indptr)
    users = np.flatnonzero(sizes)
    user_block = min(user_block, max(len(users), 1))
    count = -(-len(users) // user_block)
    padded = np.zeros(count * user_block, np.int32)
    padded[: len(users)] = users
    blocks = Block(
        users=jnp.asarray(padded.reshape(count, user_block)),
        seen=jnp.asarray(_block_pairs(train, users, user_block)),
        truth=jnp.asarray(_block_pairs(truth, users, user_block)),
    )
    return RankingTask(users, sizes[users], train.shape[1], blocks)


def _block_pairs(matrix, users: np.ndarray, user_block: int) -> np.ndarray:
    """(row in block, item) of every entry of these users: int32 [blocks, widest block, 2]."""
    chosen = matrix[users].tocoo()
    block, row = np.divmod(chosen.row, user_block)
    count = -(-len(users) // user_block)
    per_block = np.bincount(block, minlength=count)
    start = np.concatenate([[0], np.cumsum(per_block)[:-1]])
    pairs = np.full((count, max(per_block.max(initial=0), 1), 2), user_block, np.int32)
    pairs[block, np.arange(len(block)) - start[block]] = np.stack([row, chosen.col], axis=1)
    return pairs


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The top of a split's ranked lists, on the host."""

    users: np.ndarray  # [n] user indices, ascending
    truth_sizes: np.ndarray  # [n]
    top: np.ndarray  # [n, ranks] item indices, the best first
    hits: np.ndarray  # [n, ranks] whether the item is in the user's truth

    def per_user(self, cutoffs: Sequence[int]) -> dict[str, np.ndarray]:
        """Every metric at every cutoff, one value per user: 'recall@20' -> [n]."""
        hits, sizes = jnp.asarray(self.hits), jnp.asarray(self.truth_sizes)
        return jax.tree.map(np.asarray, _per_user(hits, sizes, cutoffs=tuple(cutoffs)))


@functools.partial(jax.jit, static_argnames=("score", "cutoff"))
def _ranked_hits(representation, blocks: Block, *, score: ScoreFn, cutoff: int):
    """The top items [blocks, block, cutoff] and which of them are hits."""

    def rank(block: Block):
        scores = score(representation, block.users)
        scores = scores.at[block.seen[:, 0], block.seen[:, 1]].set(-jnp.inf, mode="drop")
        best, top = jax.lax.top_k(scores, cutoff)
        truth = jnp.zeros(scores.shape, bool)
        truth = truth.at[block.truth[:, 0], block.truth[:, 1]].set(True, mode="drop")
        return top, jnp.take_along_axis(truth, top, axis=1) & (best > -jnp.inf)

    return jax.lax.map(rank, blocks)


@functools.partial(jax.jit, static_argnames="cutoffs")
def _per_user(hits, truth_sizes, *, cutoffs):
    return {
        f"{name}@{k}": metric(hits, truth_sizes, k)
        for name, metric in metrics.METRICS.items()
        for k in cutoffs
    }


def rank(representation: Any, task: RankingTask, cutoff: int, score: ScoreFn) -> Ranking:
    """The best `cutoff` items of every user of the task.

    Args:
      representation: what `score` needs, such as the final user and item embeddings.
      task: the split, from `ranking_task`.
      cutoff: the length of the ranked lists.
      score: (representation, users [b]) -> scores [b, items].
    """
    check_cutoffs([cutoff], task.num_items)
    found = _ranked_hits(representation, task.blocks, score=score, cutoff=cutoff)
    top, hits = (np.asarray(x).reshape(-1, cutoff)[: len(task.users)] for x in found)
    return Ranking(task.users, task.truth_sizes, top, hits)


def evaluate_users(
    representation: Any, task: RankingTask, cutoffs: Sequence[int], score: ScoreFn
) -> dict[str, np.ndarray]:
    """Every metric at every cutoff, one value per user: 'recall@20' -> [n]; see `rank`."""
    return rank(representation, task, max(cutoffs), score).per_user(cutoffs)


def evaluate(
    representation: Any, task: RankingTask, cutoffs: Sequence[int], score: ScoreFn
) -> dict[str, float]:
    """Every metric at every cutoff, averaged over the users of the task."""
    return means(evaluate_users(representation, task, cutoffs, score))


def means(per_user: dict[str, np.ndarray]) -> dict[str, float]:
    """The mean over users of every metric."""
    return {name: float(np.mean(values, dtype=np.float64)) for name, values in per_user.items()}


def check_cutoffs(cutoffs: Sequence[int], num_items: int) -> None:
    """Raises InputError where a cutoff exceeds the number of items."""
    if max(cutoffs) > num_items:
        raise InputError(
            f"config field 'evaluation.cutoffs' asks for the top {max(cutoffs)}, but the data set "
            f"has {num_items} items; choose smaller cutoffs (20 must stay, as Recall@20 selects "
            "the epoch: a data set needs 20 items)"
        )


def dot_scores(embeddings: tuple[Array, Array], users: Int[Array, "block"]) -> Array:
    """Scores [block, items] as inner products of (user [U, d], item [I, d]) embeddings."""
    user, item = embeddings
    return user[users] @ item.T
