"""Parity of MF, NGCF and LightGCN with the public PyTorch releases, on small problems."""

from functools import partial

import golden
import jax
import jax.numpy as jnp
import pytest
from golden_items import LINEAR, matrix

from mmssl_jax.config import Config
from mmssl_jax.graphs import interaction_graph
from mmssl_jax.models import cf, lightgcn, mf, ngcf


def release_params(g, name, layers):
    """The parameters of one model as the package names them."""
    item = "item" if name == "MF" else "item_id"
    params = {
        "user_embedding": jnp.asarray(g[f"{name}/param/user_embedding/weight"]),
        "item_embedding": jnp.asarray(g[f"{name}/param/{item}_embedding/weight"]),
    }
    if name == "NGCF":
        params["layers"] = [
            {
                ours: {
                    part: jnp.asarray(g[f"NGCF/param/{theirs}_Linear_list/{layer}/{their_part}"])
                    for part, their_part in LINEAR.items()
                }
                for ours, theirs in (("sum", "GC"), ("product", "Bi"))
            }
            for layer in range(layers)
        ]
    return params


@pytest.mark.parametrize("path", golden.files("cf"))
def test_cf_parity(path):
    g = golden.Golden(path)
    shape = tuple(len(g[f"MF/param/{side}_embedding/weight"]) for side in ("user", "item"))
    joint = interaction_graph.row_stochastic_joint_graph(matrix(g["train_edges"], shape))
    g.check("graph/norm_adj", joint.matrix.todense())

    config = Config()
    config.model.layers = 2
    for name, backbone, combine in (
        ("MF", mf.BACKBONE, cf.mean),
        ("LightGCN", lightgcn.BACKBONE, cf.mean),
        ("NGCF", ngcf.BACKBONE, ngcf.concatenate),
    ):
        params = release_params(g, name, config.model.layers)
        layers = jax.jit(partial(backbone.propagate, config=config))(params, joint)
        final_users, final_items = cf.split_nodes(combine(layers), params)
        g.check(f"{name}/out/user_final", final_users)
        g.check(f"{name}/out/item_final", final_items)
    given = ("param", "train_edges")
    wanted = {name for name in g.arrays if not set(name.split("/")) & set(given)}
    assert wanted == g.checked
