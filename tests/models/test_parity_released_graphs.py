"""Parity with MMSSL's release over consecutive steps, with the modality graphs as they evolve."""

from typing import NamedTuple

import flax.traverse_util
import golden
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden_mmssl import MODALITIES, Problem

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial import real_rows, relation_rows
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import training_pairs
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import Batch

FILES = golden.files("mmssl_released_kt") + golden.files("mmssl_kt")


class Game(NamedTuple):
    """What changes from step to step."""

    generator: dict
    critic: dict
    generator_state: tuple
    critic_state: tuple
    held: mmssl.released_graphs.Held


class Release:
    """The package's own functions, with the release's batches and noise."""

    def __init__(self, path):
        self.problem = problem = Problem(path)
        self.golden = g = problem.golden
        hyper = g.hyper
        values = configs.flatten(problem.config) | {
            "mmssl.modality_graph": "released",
            "mmssl.graph_rate": hyper["m_topk_rate"],
            "mmssl.graph_refresh": hyper["T"],
            "mmssl.feature_dropout": 0.0,
            "train.batch_size": len(problem.batch.users),
        }
        self.config = models.resolve(configs.unflatten(values))
        features = {m: g[f"feat_{m}"] for m in MODALITIES}
        dataset = Dataset("golden", *[problem.train] * 3, features, None, None, True, ())
        self.model = mmssl.build(self.config, dataset, hyper["steps_per_epoch"])
        self.rules = mmssl.released_graphs.rules_of(self.config, dataset, hyper["steps_per_epoch"])
        assert self.rules.k == hyper["k"]
        beta1, beta2 = hyper["d_betas"]
        self.of_critic = optax.adam(hyper["d_lr"], beta1, beta2)
        self.of_generator = optax.adamw(hyper["lr"], weight_decay=hyper["adamw_weight_decay"])
        self.step = jax.jit(self.stepped)

    def start(self) -> Game:
        generator, critic = self.problem.generator, self.problem.critic_params
        states = self.of_generator.init(generator), self.of_critic.init(critic)
        return Game(generator, critic, *states, self.model.held)

    def forward(self, generator, held):
        graphs = held.graphs
        return mmssl.forward(
            generator, self.problem.inputs, graphs, self.config, filled=held.filled
        )

    def stepped(self, game: Game, index, batch: Batch, uniform, alpha):
        inputs, key = self.model.inputs, jax.random.key(0)
        keys = {"generator": key, "critic": key}
        params = {"generator": game.generator, "critic": game.critic}
        held = self.model.refresh(params, inputs, game.held, index)
        used = held
        held = self.model.collect(params, inputs, held, batch, keys)
        most = training_pairs.max_training_pairs(
            self.problem.train, len(batch.users), distinct=False
        )
        pairs = training_pairs.training_pairs_of(inputs.tables, batch.users, most)

        def critic_loss(critic):
            out = self.forward(game.generator, used)
            own = self.config.mmssl
            spec = real_rows.RealRowsSpec(own.real_temperature, own.real_relation_weight, False)
            relation = relation_rows.relation_rows(out.users[batch.users], out.items, pairs)
            real = real_rows.real_rows(spec, relation, uniform)
            fake = mmssl.losses.fake_rows(out, batch.users, pairs)
            weight = self.golden.hyper["gp_weight"]
            loss, terms = critics.critic_loss(
                self.problem.critic, critic, real, fake, alpha, key, penalty_weight=weight
            )
            return loss, {"disc": loss, "gp": weight * terms["penalty"]}

        slopes, terms = jax.grad(critic_loss, has_aux=True)(game.critic)
        updates, critic_state = self.of_critic.update(slopes, game.critic_state)
        critic = optax.apply_updates(game.critic, updates)

        def generator_loss(generator):
            out = self.forward(generator, used)
            own = mmssl.losses.generator_terms(out, batch, self.config)
            fake = mmssl.losses.fake_rows(out, batch.users, pairs)
            own["adversarial"] = critics.generator_loss(self.problem.critic, critic, fake, key)
            total = mmssl.losses.generator_total(own, self.config)
            return total, (own | {"generator": total}, out.users, out.items)

        slopes, (own, users, items) = jax.grad(generator_loss, has_aux=True)(game.generator)
        updates, generator_state = self.of_generator.update(
            slopes, game.generator_state, game.generator
        )
        generator = optax.apply_updates(game.generator, updates)
        return Game(generator, critic, generator_state, critic_state, held), (
            used,
            terms | own,
            (users, items),
        )


def dense(graphs):
    """Both matrices of each modality, dense; edges that are there twice are summed."""
    return {
        f"{name}_{side}": np.asarray(graph.matrix.todense())
        for name, both in graphs.items()
        for side, graph in (("ui", both.user_item), ("iu", both.item_user))
    }


def check_embeddings(g: golden.Golden, group: str, at: int, found) -> None:
    """Users and items as in a group of the file, at a step or an epoch."""
    for name, value in zip(("user_final", "item_final"), found, strict=True):
        expected = g[f"{group}/{name}"][at]
        atol = 1e-6 * np.abs(expected).max()
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=atol, err_msg=f"{name} {at}")


def check_graphs(g: golden.Golden, group: str, at: int | None, graphs) -> None:
    """Every entry of the graphs; in float32 a power may differ in its last digit."""
    for name, matrix in dense(graphs).items():
        expected = g[f"{group}/{name}"]
        expected = expected if at is None else expected[at]
        np.testing.assert_allclose(matrix, expected, rtol=1e-6, err_msg=f"{name} {at}")


def check_list(run: Release, step: int, held: mmssl.released_graphs.Held) -> None:
    """What the step has put into the list."""
    g, k, batch = run.golden, run.rules.k, run.rules.batch
    if bool(held.due):
        assert np.all(g["steps_lists"][step] == 0)  # the release has made its graph already
        assert all(np.all(g[f"steps_topk/{name}"][step] == -1) for name in MODALITIES)
        return
    assert np.all(g["steps_lists"][step] == int(held.size) * k * batch)
    for name in MODALITIES if k else ():
        picks = np.asarray(held.items[name][int(held.size) - 1]).reshape(batch, k)
        np.testing.assert_array_equal(picks, g[f"steps_topk/{name}"][step])


def finals_of_steps(path, dtype) -> list:
    """Final users and items at every step, computed in a type of floats."""

    def cast(tree, kind=dtype):
        floats = jnp.float32, jnp.float64
        return jax.tree.map(lambda x: x.astype(kind) if x.dtype in floats else x, tree)

    run = Release(path)
    g, found = run.golden, []
    run.problem.inputs = cast(run.problem.inputs)
    run.problem.generator = cast(run.problem.generator)
    run.problem.critic_params = cast(run.problem.critic_params)
    run.model = run.model._replace(
        inputs=cast(run.model.inputs), held=cast(run.model.held, jnp.float32)
    )
    game = run.start()
    for step in range(len(g["steps_batch/users"])):
        names = "users", "pos", "neg"
        batch = Batch(*(jnp.asarray(g[f"steps_batch/{x}"][step], jnp.int32) for x in names))
        noise = (
            jnp.asarray(g[f"steps_noise/{x}"][step], dtype) for x in ("real_uniform", "gp_alpha")
        )
        game, (_, _, finals) = run.step(game, jnp.int32(step), batch, *noise)
        found.append([np.asarray(array) for array in finals])
        assert all(array.dtype == dtype for array in finals)
    return found


@pytest.mark.parametrize("path", golden.files("mmssl_kt"))
def test_rounding_hardly_grows_from_step_to_step(path):
    """Of the release and the package, beside float64: 1e-7 at the first step, 3e-7 in the end."""
    single = finals_of_steps(path, jnp.float32)
    with jax.enable_x64(True):
        double = finals_of_steps(path, jnp.float64)
    g = golden.Golden(path)
    assert len(double) >= 10
    for step, (found, exact) in enumerate(zip(single, double, strict=True)):
        names = "user_final", "item_final"
        release = [g[f"steps_out/{name}"][step] for name in names]
        for arrays in (found, release):
            for array, of_double in zip(arrays, exact, strict=True):
                assert np.abs(array - of_double).max() <= 1e-6 * np.abs(of_double).max()


@pytest.mark.parametrize("path", FILES)
def test_every_step_is_that_of_the_release(path):
    run = Release(path)
    g, game = run.golden, run.start()
    for step in range(len(g["steps_batch/users"])):
        batch = Batch(
            *(jnp.asarray(g[f"steps_batch/{x}"][step], jnp.int32) for x in ("users", "pos", "neg"))
        )
        noise = (jnp.asarray(g[f"steps_noise/{x}"][step]) for x in ("real_uniform", "gp_alpha"))
        game, (used, terms, finals) = run.step(game, jnp.int32(step), batch, *noise)
        check_graphs(g, "steps_graph", step, used.graphs)
        check_list(run, step, game.held)
        for name, value in terms.items():
            expected = g[f"steps_loss/{name}"][step]
            np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=f"{name} {step}")
        assert {f"steps_loss/{name}" for name in terms} == {
            name for name in g.arrays if name.startswith("steps_loss/")
        }
        check_embeddings(g, "steps_out", step, finals)
        if (step + 1) % run.rules.steps == 0:
            params = {"generator": game.generator, "critic": game.critic}
            ranked = run.model.embed(params, run.model.inputs, game.held)
            check_embeddings(g, "eval_out", step // run.rules.steps, ranked)
            settled = mmssl.released_graphs.settled(run.rules, game.held)
            check_graphs(g, "eval_graph", step // run.rules.steps, settled.graphs)
    check_graphs(g, "end_graph", None, settled.graphs)
    run.problem.check_generator("end", game.generator)
    critic = flax.traverse_util.flatten_dict(game.critic, sep="/")
    for name in g.group("end_disc"):
        g.check(f"end_disc/{name}", critic[name])
    run.problem.check_every_array_of("end", "end_disc")
