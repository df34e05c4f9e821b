"""A golden file of MMSSL's release as the package takes it."""

from functools import partial

import flax.traverse_util
import golden
import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.sparse

from mmssl_jax import models
from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial import real_rows, relation_rows
from mmssl_jax.config import Config
from mmssl_jax.graphs import interaction_graph, training_pairs
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import Batch

MODALITIES = ("image", "text")


def matrix(edges, shape):
    return scipy.sparse.csr_array((np.ones(len(edges), np.float32), edges.T), shape)


class Problem:
    """The inputs and parameters of a golden file as the package takes them."""

    def __init__(self, path, read=golden.Golden):
        self.golden = g = read(path)
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


def check_forward(problem) -> None:
    """The embeddings, and those of every modality."""
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


def check_critic_step(problem) -> None:
    """The critic's rows, scores, loss, gradients and parameters after one step."""
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
    problem.golden.check_scalar("loss/gp", problem.golden.hyper["gp_weight"] * terms["penalty"])
    problem.golden.check_scalar("loss/disc", value)
    for name, gradient in flax.traverse_util.flatten_dict(gradients, sep="/").items():
        check(f"grad_disc/{name}", gradient)
    for name in problem.golden.group("disc_after"):
        check(f"disc_after/{name}", flax.traverse_util.flatten_dict(after, sep="/")[name])
    problem.check_every_array_of("sim", "real_rows", "disc_out", "grad_disc", "disc_after")


def check_generator_step(problem) -> None:
    """The generator's losses, gradients and parameters after one step."""
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
        g.check_scalar(f"loss/{name}", terms[name])
    g.check_scalar("loss/generator", value)
    problem.check_generator("grad", gradients)
    problem.check_generator("after", after)
    problem.check_every_array_of("grad", "after")


CHECKS = (check_forward, check_critic_step, check_generator_step)
