"""A golden file of MMSSL's release as the package takes it."""

from functools import partial

import flax.traverse_util
import golden
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

from mmssl_jax import models
from mmssl_jax.adversarial import critic as critics
from mmssl_jax.config import Config
from mmssl_jax.graphs import interaction_graph, training_pairs
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import Batch

MODALITIES = ("image", "text")


def matrix(edges, shape):
    return scipy.sparse.csr_array((np.ones(len(edges), np.float32), edges.T), shape)


class Problem:
    """The inputs and parameters of a golden file as the package takes them."""

    def __init__(self, path):
        self.golden = g = golden.Golden(path)
        hyper = g.hyper
        config = Config()
        config.data.path = "golden"
        config.model.embedding_dim, config.model.layers = hyper["embed_dim"], hyper["layers"]
        config.mmssl.heads, config.mmssl.temperature = hyper["heads"], hyper["tau"]
        config.mmssl.id_weight = hyper["id_cat_rate"]
        config.mmssl.modality_weight = hyper["model_cat_rate"]
        config.mmssl.contrastive_weight = hyper["cl_rate"]
        config.mmssl.adversarial_weight = hyper["G_rate"]
        config.mmssl.feature_l2 = hyper["feat_reg"]
        config.mmssl.real_temperature = hyper["real_tau"]
        config.mmssl.real_relation_weight = float(hyper["ui_pre_scale"])
        config.train.embedding_l2 = hyper["embedding_reg"]
        self.config = models.resolve(config)
        users, items = g["param/user_embedding"].shape[0], g["param/item_embedding"].shape[0]
        self.shape = (users, items)
        self.train = matrix(g["train_edges"], self.shape)
        self.inputs = mmssl.Inputs(
            interaction_graph.bipartite_graphs(self.train),
            {m: jnp.asarray(g[f"feat_{m}"]) for m in MODALITIES},
            training_pairs.pair_tables(self.train),
            present={},
        )
        self.graphs = {
            m: interaction_graph.bipartite_graphs(matrix(g[f"{m}_graph_edges"], self.shape))
            for m in MODALITIES
        }
        self.generator = jax.tree.map(jnp.asarray, self.generator_params("param"))
        disc = {name: jnp.asarray(array) for name, array in g.group("disc").items()}
        self.critic_params = flax.traverse_util.unflatten_dict(disc, sep="/")
        hidden = g["disc/dense0/kernel"].shape[1]
        self.critic = critics.Critic(items, hidden, float(hyper["disc_slope"]), dropout=(0.0, 0.0))
        drawn = (g[f"batch/{name}"] for name in ("users", "pos", "neg"))
        self.batch = Batch(*(jnp.asarray(ids, jnp.int32) for ids in drawn))
        most = training_pairs.max_training_pairs(self.train, len(self.batch.users))
        self.pairs = training_pairs.training_pairs_of(self.inputs.tables, self.batch.users, most)

    def generator_params(self, group):
        g = self.golden
        return {
            "user_embedding": g[f"{group}/user_embedding"],
            "item_embedding": g[f"{group}/item_embedding"],
            "fusion": g[f"{group}/attention_out"],
            "projection": {
                m: {k: g[f"{group}/{m}_trans/{k}"] for k in ("kernel", "bias")} for m in MODALITIES
            },
        }

    def check_generator(self, group, actual):
        self.golden.check(f"{group}/user_embedding", actual["user_embedding"])
        self.golden.check(f"{group}/item_embedding", actual["item_embedding"])
        self.golden.check(f"{group}/attention_out", actual["fusion"])
        for m in MODALITIES:
            for k in ("kernel", "bias"):
                self.golden.check(f"{group}/{m}_trans/{k}", actual["projection"][m][k])

    def forward(self, generator):
        forward = partial(mmssl.forward, config=self.config)
        return jax.jit(forward)(generator, self.inputs, self.graphs)

    def check_every_array_of(self, *groups):
        """No array of these groups was left unchecked."""
        wanted = {name for name in self.golden.arrays if name.split("/")[0] in groups}
        assert wanted <= self.golden.checked, wanted - self.golden.checked
