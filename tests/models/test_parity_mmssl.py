"""Parity with the public PyTorch release of MMSSL, computed once on small problems."""

import flax.traverse_util
import golden
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden_mmssl import MODALITIES, Problem, matrix

from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial import real_rows, relation_rows
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import dot_scores
from mmssl_jax.ranking import full_ranking


def critic_step(problem):
    """The critic's loss, gradients and parameters after one step, with the golden noise."""
    g, config = problem.golden, problem.config
    embeddings = problem.forward(problem.generator)
    users = problem.batch.users
    fake = mmssl.losses.fake_rows(embeddings, users, problem.pairs)
    relation = relation_rows.relation_rows(embeddings.users[users], embeddings.items, problem.pairs)
    spec = real_rows.RealRowsSpec(
        config.mmssl.real_temperature, config.mmssl.real_relation_weight, temper_all=False
    )
    real = real_rows.real_rows(spec, relation, jnp.asarray(g["noise/real_uniform"]))

    def loss(params):
        return critics.critic_loss(
            problem.critic,
            params,
            real,
            fake,
            jnp.asarray(g["noise/gp_alpha"]),
            jax.random.key(0),
            penalty_weight=g.hyper["gp_weight"],
        )

    (value, terms), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(
        problem.critic_params
    )
    beta1, beta2 = g.hyper["d_betas"]
    optimiser = optax.adam(g.hyper["d_lr"], beta1, beta2)
    updates, _ = optimiser.update(gradients, optimiser.init(problem.critic_params))
    after = optax.apply_updates(problem.critic_params, updates)
    return value, terms, gradients, after, fake, relation, real


def check_scalar(g, name, actual):
    """A loss to rtol 1e-5 alone: the group's largest magnitude would hide the small ones."""
    g.check(name, actual)
    np.testing.assert_allclose(actual, g[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("path", golden.files("mmssl_released"))
def test_forward_parity(path):
    problem = Problem(path)
    check = problem.golden.check
    out = problem.forward(problem.generator)
    check("out/user_final", out.users)
    check("out/item_final", out.items)
    for m in MODALITIES:
        check(f"out/{m}_user_feat", out.user_views[m].feature)
        check(f"out/{m}_item_feat", out.item_views[m].feature)
        check(f"out/{m}_user_id", out.user_views[m].ids)
        check(f"out/{m}_item_id", out.item_views[m].ids)
    problem.check_every_array_of("out")


@pytest.mark.parametrize("path", golden.files("mmssl_released"))
def test_critic_parity(path):
    problem = Problem(path)
    check = problem.golden.check
    value, terms, gradients, after, fake, relation, real = critic_step(problem)
    check("sim/final", relation.dense())
    for m, modality_rows in zip(MODALITIES, fake, strict=True):
        check(f"sim/{m}", modality_rows.dense())
    check("real_rows", real)
    for name, group in (("fake", fake), ("real", jnp.tile(real, (len(MODALITIES), 1)))):
        at_first = critics.first(problem.critic, problem.critic_params, group)
        scores = critics.head(problem.critic, problem.critic_params, at_first, jax.random.key(0))
        check(f"disc_out/{name}", scores)
    check_scalar(problem.golden, "loss/gp", problem.golden.hyper["gp_weight"] * terms["penalty"])
    check_scalar(problem.golden, "loss/disc", value)
    for name, gradient in flax.traverse_util.flatten_dict(gradients, sep="/").items():
        check(f"grad_disc/{name}", gradient)
    for name in problem.golden.group("disc_after"):
        check(f"disc_after/{name}", flax.traverse_util.flatten_dict(after, sep="/")[name])
    problem.check_every_array_of("sim", "real_rows", "disc_out", "grad_disc", "disc_after")


@pytest.mark.parametrize("path", golden.files("mmssl_released"))
def test_generator_parity(path):
    problem = Problem(path)
    g, config = problem.golden, problem.config
    critic_params = critic_step(problem)[3]

    def loss(generator):
        embeddings = problem.forward(generator)
        terms = mmssl.losses.generator_terms(embeddings, problem.batch, config)
        fake = mmssl.losses.fake_rows(embeddings, problem.batch.users, problem.pairs)
        terms["adversarial"] = critics.generator_loss(
            problem.critic, critic_params, fake, jax.random.key(0)
        )
        return mmssl.losses.generator_total(terms, config), terms

    (value, terms), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(problem.generator)
    optimiser = optax.adamw(g.hyper["lr"], weight_decay=g.hyper["adamw_weight_decay"])
    updates, _ = optimiser.update(gradients, optimiser.init(problem.generator), problem.generator)
    after = optax.apply_updates(problem.generator, updates)
    contrastive = [f"contrastive_{m}" for m in MODALITIES]
    for name in ("bpr", "embedding_l2", "feature_l2", "adversarial", *contrastive):
        check_scalar(g, f"loss/{name}", terms[name])
    check_scalar(g, "loss/generator", value)
    problem.check_generator("grad", gradients)
    problem.check_generator("after", after)
    problem.check_every_array_of("grad", "after")


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
