"""Parity with the public PyTorch release of MICRO, computed once on small problems."""

from functools import partial

import golden
import jax
import pytest
from golden_items import MODALITIES, Problem, check_scalar, dense

from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.models import micro

NAMES = {
    ("attention", "hidden", "kernel"): "query/0/weight",
    ("attention", "hidden", "bias"): "query/0/bias",
    ("attention", "query"): "query/2/weight",
}


@pytest.mark.parametrize("path", golden.files("micro"))
def test_micro_parity(path):
    problem = Problem(path, micro, NAMES)
    g, forward = problem.golden, jax.jit(partial(micro.forward, config=problem.config))
    problem.check_joint_graph()

    # The first step of an epoch: the graphs are built, and the gradient reaches their learner.
    held = problem.refreshed(problem.params, problem.model.held, 0)
    out = forward(problem.params["model"], problem.inputs, held)
    for m in MODALITIES:
        g.check(f"graph/{m}", dense(Neighbors(held.graphs[m].items, held.weights[m])))
        g.check(f"out/{m}_item", out.views[m])
    g.check("out/fused", out.fused)
    g.check("out/user_final", out.users)
    g.check("out/item_final", out.items)
    (total, terms), gradient = problem.loss_and_gradient(held)
    for name in ("bpr", "embedding_l2", "contrastive"):
        check_scalar(g, f"loss/{name}", terms[name])
    check_scalar(g, "loss/total", total)
    problem.check_params("grad", gradient)
    params = problem.step(gradient)
    problem.check_params("after", params)

    # The next step: the graphs are held.
    held = problem.refreshed(params, held, 1)
    out = forward(params["model"], problem.inputs, held)
    g.check("out2/user_final", out.users)
    g.check("out2/item_final", out.items)
    problem.check_every_array()
