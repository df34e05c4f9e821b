"""Full ranking on the device: all candidates but a user's training items, in blocks of users."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int

from mmssl_jax.errors import InputError
from mmssl_jax.ranking import metrics
from mmssl_jax.ranking.blocks import Block, pair_blocks, placed
from mmssl_jax.ranking.fallback import Fallback

PAIRS_AT_A_TIME = 64  # of the truth, each beside the scores of all items

ScoreFn = Callable[[Any, Int[Array, "block"]], Array]  # (representation, users) -> [block, items]


@dataclasses.dataclass(frozen=True)
class RankingTask:
    """One split to be ranked: its users with a non-empty truth, what is masked, their truth."""

    users: np.ndarray  # [n] user indices, ascending
    truth_sizes: np.ndarray  # [n]
    candidates: Bool[Array, "items"] | None  # the items that are ranked; None ranks all
    num_candidates: int
    blocks: Block  # on the devices
    truth: np.ndarray  # that of the blocks, on the host
    mesh: Mesh | None  # over whose devices the blocks are split; None where there is one
    fallback_scores: Float[Array, "items"]  # of the users without a training pair


def ranking_task(
    masked: scipy.sparse.csr_array,
    truth: scipy.sparse.csr_array,
    user_block: int,
    fallback: Fallback | None = None,
    candidates: np.ndarray | None = None,
    mesh: Mesh | None = None,
) -> RankingTask:
    """Builds the tables that rank a split, on the host, once.

    Args:
      masked: pairs [users, items] that are never ranked: `Dataset.unranked`.
      truth: the split's interactions [users, items], of candidates alone; users without any are
        left out.
      user_block: users ranked at a time.
      fallback: the users without a training pair, and their scores; None takes the model's.
      candidates: bool [items], the items that are ranked; None ranks all.
      mesh: over whose devices the users are split.
    """
    sizes = np.diff(truth.indptr)
    users = np.flatnonzero(sizes)
    devices = mesh.size if mesh else 1
    user_block = min(user_block, max(-(-len(users) // devices), 1))
    count = -(-len(users) // user_block)
    count += -count % devices
    filled = np.pad(users, (0, count * user_block - len(users)))
    padded = filled.astype(np.int32).reshape(count, user_block)
    fallback = fallback or Fallback(np.ones(truth.shape[0], bool), np.zeros(truth.shape[1], "f4"))
    place = partial(placed, mesh, count)
    own_truth = pair_blocks(truth, padded, len(users), PAIRS_AT_A_TIME)
    own = Block(
        users=place(lambda first, end: padded[first:end]),
        trained=place(lambda first, end: fallback.trained[padded[first:end]]),
        masked=place(pair_blocks(masked, padded, len(users)).make),
        truth=place(own_truth.make),
    )
    return RankingTask(
        users,
        truth_sizes=sizes[users],
        candidates=None if candidates is None else jnp.asarray(candidates),
        num_candidates=truth.shape[1] if candidates is None else int(np.sum(candidates)),
        blocks=own,
        truth=own_truth.make(0, count),
        mesh=mesh if devices > 1 else None,
        fallback_scores=jnp.asarray(fallback.scores),
    )


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


@partial(jax.jit, static_argnames=("score", "longest"))
def _located(
    representation: Any,
    blocks: Block,
    fallback_scores: Float[Array, "items"],
    candidates: Bool[Array, "items"] | None = None,
    *,
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


@partial(jax.jit, static_argnames=("mesh", "score", "longest"))
def _located_by_all(
    representation: Any, blocks: Block, *rest: Any, mesh: Mesh, score: ScoreFn, longest: int
) -> tuple[Array, Array]:
    """`_located` with the blocks split over a mesh, and the result whole on every device."""
    whole, split = PartitionSpec(), PartitionSpec(mesh.axis_names)

    def own(*arguments: Any) -> Any:
        found = _located(*arguments, score=score, longest=longest)
        return jax.lax.all_gather(found, mesh.axis_names, tiled=True)

    specs = (whole, split, *(whole for _ in rest))
    # Unchecked: jax cannot see that what is gathered is the same on every device.
    by_all = jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=whole, check_vma=False)
    return by_all(representation, blocks, *rest)  # type: ignore[no-any-return]


def rank(representation: Any, task: RankingTask, longest: int, score: ScoreFn) -> Ranking:
    """Where the truth of the task stands among the best `longest` items of its users.

    Args:
      representation: what `score` needs, such as the final user and item embeddings.
      task: the split, from `ranking_task`.
      longest: the length of the ranked lists, at least every cutoff that is asked for later.
      score: (representation, users [b]) -> scores [b, items].
    """
    check_cutoffs([longest], task.num_candidates)
    locate = _located if task.mesh is None else partial(_located_by_all, mesh=task.mesh)
    found = locate(
        representation,
        task.blocks,
        task.fallback_scores,
        task.candidates,
        score=score,
        longest=longest,
    )
    above, tied = map(np.asarray, found)
    block_rows, items = task.truth[..., 0], task.truth[..., 1]
    user_block = task.blocks.users.shape[1]
    real = block_rows < user_block  # the rest is padding
    rows = np.arange(len(task.truth))[:, None] * user_block + block_rows
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
