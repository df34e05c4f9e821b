"""Full ranking on the device: all candidates but a user's training items, in blocks of users."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.errors import InputError
from mmssl_jax.ranking import metrics
from mmssl_jax.ranking.fallback import Fallback

PAIRS_AT_A_TIME = 64  # of the truth, each beside the scores of all items

ScoreFn = Callable[[Any, Int[Array, "block"]], Array]  # (representation, users) -> [block, items]


class Block(NamedTuple):
    """The users to rank, in blocks, with their pairs as (row in the block, item).

    Padding pairs have a row out of range, which a scatter drops; padding users are 0.
    """

    users: Int[Array, "blocks block"]
    trained: Bool[Array, "blocks block"]  # whether the model's scores are used, not the fallback's
    masked: Int[Array, "blocks masked_pairs 2"]
    truth: Int[Array, "blocks truth_pairs 2"]


@dataclasses.dataclass(frozen=True)
class RankingTask:
    """One split to be ranked: its users with a non-empty truth, what is masked, their truth."""

    users: np.ndarray  # [n] user indices, ascending
    truth_sizes: np.ndarray  # [n]
    candidates: Bool[Array, "items"] | None  # the items that are ranked; None ranks all
    num_candidates: int
    blocks: Block  # on the device
    fallback_scores: Float[Array, "items"]  # of the users without a training pair


def ranking_task(
    masked: scipy.sparse.csr_array,
    truth: scipy.sparse.csr_array,
    user_block: int,
    fallback: Fallback | None = None,
    candidates: np.ndarray | None = None,
) -> RankingTask:
    """Builds the tables that rank a split, on the host, once.

    Args:
      masked: pairs [users, items] that are never ranked: `Dataset.unranked`.
      truth: the split's interactions [users, items], of candidates alone; users without any are
        left out.
      user_block: users ranked at a time.
      fallback: the users without a training pair, and their scores; None takes the model's.
      candidates: bool [items], the items that are ranked; None ranks all.
    """
    sizes = np.diff(truth.indptr)
    users = np.flatnonzero(sizes)
    user_block = min(user_block, max(len(users), 1))
    count = -(-len(users) // user_block)
    filled = np.pad(users, (0, count * user_block - len(users)))
    padded = filled.astype(np.int32).reshape(count, user_block)
    if fallback is None:
        fallback = Fallback(np.ones(truth.shape[0], bool), np.zeros(truth.shape[1], np.float32))
    blocks = Block(
        users=jnp.asarray(padded),
        trained=jnp.asarray(fallback.trained[padded]),
        masked=jnp.asarray(_block_pairs(masked, users, user_block)),
        truth=jnp.asarray(_block_pairs(truth, users, user_block, PAIRS_AT_A_TIME)),
    )
    return RankingTask(
        users=users,
        truth_sizes=sizes[users],
        candidates=None if candidates is None else jnp.asarray(candidates),
        num_candidates=truth.shape[1] if candidates is None else int(np.sum(candidates)),
        blocks=blocks,
        fallback_scores=jnp.asarray(fallback.scores),
    )


def _block_pairs(
    matrix: scipy.sparse.csr_array, users: np.ndarray, user_block: int, multiple: int = 1
) -> np.ndarray:
    """(row in block, item) of every entry of these users: int32 [blocks, pairs, 2].

    There is room for the pairs of the widest block, up to the next multiple.
    """
    chosen = matrix[users].tocoo()
    block, row = np.divmod(chosen.row, user_block)
    count = -(-len(users) // user_block)
    per_block = np.bincount(block, minlength=count)
    start = np.concatenate([[0], np.cumsum(per_block)[:-1]])
    room = -(-max(per_block.max(initial=0), 1) // multiple) * multiple
    pairs = np.full((count, room, 2), user_block, np.int32)
    pairs[block, np.arange(len(block)) - start[block]] = np.stack([row, chosen.col], axis=1)
    return pairs


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Where a split's truth stands in the ranked lists, on the host; see `metrics.Places`."""

    users: np.ndarray  # [n] user indices, ascending
    items: np.ndarray  # [pairs] item of every pair of the truth
    places: metrics.Places  # of these pairs, as numpy arrays; rows are those of `users`

    def per_user(self, cutoffs: Sequence[int]) -> dict[str, np.ndarray]:
        """Every metric at every cutoff, one value per user: 'recall@20' -> [n]."""
        places = jax.tree.map(jnp.asarray, self.places)
        found = _all_metrics(places, cutoffs=tuple(cutoffs))
        return {name: np.asarray(values) for name, values in found.items()}


_all_metrics = jax.jit(metrics.all_metrics, static_argnames="cutoffs")


@functools.partial(jax.jit, static_argnames=("score", "longest"))
def _located(
    representation: Any,
    blocks: Block,
    fallback_scores: Float[Array, "items"],
    *,
    candidates: Bool[Array, "items"] | None = None,
    score: ScoreFn,
    longest: int,
) -> tuple[Int[Array, "blocks pairs"], Int[Array, "blocks pairs"]]:
    """For each truth pair: how many items have a higher score, and how many the same one."""

    def locate(block: Block) -> tuple[Int[Array, "pairs"], Int[Array, "pairs"]]:
        scores = score(representation, block.users)
        scores = jnp.where(block.trained[:, None], scores, fallback_scores[None, :])
        if candidates is not None:
            scores = jnp.where(candidates[None, :], scores, -jnp.inf)
        scores = scores.at[block.masked[:, 0], block.masked[:, 1]].set(-jnp.inf, mode="drop")
        rows, items = block.truth.T
        own = scores.at[rows, items].get(mode="fill", fill_value=-jnp.inf)

        def place(pair: tuple[Array, Array]) -> tuple[Array, Array]:
            row, own = pair
            others = scores[jnp.minimum(row, len(scores) - 1)]
            return jnp.sum(others > own), jnp.sum(others == own)

        # Counting costs less than sorting the scores, which XLA does on a CPU to find the best.
        above, tied = jax.lax.map(place, (rows, own), batch_size=PAIRS_AT_A_TIME)
        listed = (above < longest) & (own > -jnp.inf)
        return jnp.minimum(above, longest), jnp.where(listed, tied, 0)

    above, tied = jax.lax.map(locate, blocks)
    return above, tied


def rank(representation: Any, task: RankingTask, longest: int, score: ScoreFn) -> Ranking:
    """Where the truth of the task stands among the best `longest` items of its users.

    Args:
      representation: what `score` needs, such as the final user and item embeddings.
      task: the split, from `ranking_task`.
      longest: the length of the ranked lists, at least every cutoff that is asked for later.
      score: (representation, users [b]) -> scores [b, items].
    """
    check_cutoffs([longest], task.num_candidates)
    found = _located(
        representation,
        task.blocks,
        task.fallback_scores,
        candidates=task.candidates,
        score=score,
        longest=longest,
    )
    above, tied = map(np.asarray, found)
    truth = np.asarray(task.blocks.truth)
    block_rows, items = truth[..., 0], truth[..., 1]
    user_block = task.blocks.users.shape[1]
    real = block_rows < user_block  # the rest is padding
    rows = np.arange(len(truth))[:, None] * user_block + block_rows
    places = metrics.Places(rows[real], above[real], tied[real], task.truth_sizes)
    return Ranking(task.users, items[real], places)


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


def check_cutoffs(cutoffs: Sequence[int], count: int, kind: str = "items") -> None:
    """Raises InputError where a cutoff exceeds the number of items of a kind that are ranked."""
    if max(cutoffs) > count:
        raise InputError(
            f"config field 'evaluation.cutoffs' asks for the top {max(cutoffs)}, but the data set "
            f"has {count} {kind}; choose smaller cutoffs (20 must stay, as Recall@20 selects "
            f"the epoch: a data set needs 20 {kind})"
        )
