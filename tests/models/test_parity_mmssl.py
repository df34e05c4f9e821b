"""Parity with the public PyTorch release of MMSSL, computed once on small problems."""

import golden
import golden_mmssl
import jax.numpy as jnp
import pytest
from golden_mmssl import Problem, matrix

from mmssl_jax.models.model import dot_scores
from mmssl_jax.ranking import full_ranking


@pytest.mark.parametrize("path", golden.files("mmssl_released"))
@pytest.mark.parametrize(
    "check",
    [golden_mmssl.check_forward, golden_mmssl.check_critic_step, golden_mmssl.check_generator_step],
)
def test_one_step(path, check):
    check(Problem(path))


@pytest.mark.parametrize("path", golden.files("mmssl_released"))
def test_metrics_parity(path):
    problem = Problem(path)
    g = problem.golden
    cutoffs = tuple(int(k) for k in g["metric/ks"])
    task = full_ranking.ranking_task(
        problem.train, matrix(g["metric/test_edges"], problem.shape), 16
    )
    embeddings = jnp.asarray(g["out/user_final"]), jnp.asarray(g["out/item_final"])
    result = full_ranking.evaluate(embeddings, task, cutoffs, dot_scores)
    names = {"ndcg_released": "ndcg", "hit_rate": "hit_ratio"}
    for ours in ("recall", "precision", "ndcg_released", "hit_rate"):
        theirs = names.get(ours, ours)
        g.check(f"metric/{theirs}", [result[f"{ours}@{k}"] for k in cutoffs])
