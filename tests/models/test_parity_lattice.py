"""Parity with the public PyTorch release of LATTICE, computed once on small problems."""

from functools import partial

import golden
import jax
import pytest
from golden_items import Problem, check_scalar, dense

from mmssl_jax.graphs.nearest import Neighbors
from mmssl_jax.models import lattice

NAMES = {("learner", "modal_weight"): "modal_weight"}


@pytest.mark.parametrize("path", golden.files("lattice"))
def test_lattice_parity(path):
    problem = Problem(path, lattice, NAMES)
    g, forward = problem.golden, jax.jit(partial(lattice.forward, config=problem.config))
    problem.check_joint_graph()

    # The first step of an epoch: the graph is built, and the gradient reaches its learner.
    held = problem.refreshed(problem.params, problem.model.held, 0)
    g.check("graph/item", dense(Neighbors(held.graphs["item"].items, held.weights["item"])))
    users, items = forward(problem.params["model"], problem.inputs, held)
    g.check("out/user_final", users)
    g.check("out/item_final", items)
    (total, terms), gradient = problem.loss_and_gradient(held)
    for name in ("bpr", "embedding_l2"):
        check_scalar(g, f"loss/{name}", terms[name])
    check_scalar(g, "loss/total", total)
    problem.check_params("grad", gradient)
    params = problem.step(gradient)
    problem.check_params("after", params)

    # The next step: the graph is held.
    held = problem.refreshed(params, held, 1)
    users, items = forward(params["model"], problem.inputs, held)
    g.check("out2/user_final", users)
    g.check("out2/item_final", items)
    problem.check_every_array()
