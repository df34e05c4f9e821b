"""The other ways to play MMSSL's game (benchmarks.game), and how rows are told apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from benchmarks.game import changes, table
from benchmarks.game.look import area
from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.data import Dataset
from mmssl_jax.graphs.training_pairs import training_mask, training_pairs_of
from mmssl_jax.models import MODELS, mmssl
from mmssl_jax.training import batches

BATCH, USERS, ITEMS = 12, 30, 40


class Game:
    """A small data set, its MMSSL as a change plays it, and a batch."""

    def __init__(self, change=None):
        rng = np.random.default_rng(0)
        train = scipy.sparse.random_array((USERS, ITEMS), density=0.2, rng=rng, dtype=np.float32)
        train = scipy.sparse.csr_array(train)
        train.data[:] = 1
        features = {name: rng.normal(size=(ITEMS, 5)).astype(np.float32) for name in "ab"}
        dataset = Dataset("d", train, train, train, features, None, None, True, ())
        values = {
            "data.path": "d",
            "train.batch_size": BATCH,
            "critic.hidden": 8,
            "model.embedding_dim": 6,
            "mmssl.heads": 2,
        }
        values = configs.flatten(configs.Config()) | values
        config = models.resolve(configs.unflatten(values))
        with changes.played_with(change):
            self.model = MODELS["mmssl"].build(config, dataset, 4)
        self.parts = changes.critic_of(change, mmssl.parts_of(config, dataset, 4))
        self.params = self.model.init(jax.random.key(0))
        self.batch = batches.sample(jax.random.key(1), self.model.inputs.tables, BATCH)
        out = mmssl.embeddings_of(self.parts, self.params, self.model.inputs, self.model.held, None)
        self.shown = changes.SHOWN.get(change, changes.as_published)(
            self.parts, self.model.inputs, out, self.batch, jax.random.key(2)
        )
        pairs = training_pairs_of(self.model.inputs.tables, self.batch.users, self.parts.max_pairs)
        self.mask = np.asarray(training_mask(pairs, BATCH, ITEMS))


@pytest.mark.parametrize("change", [None, *changes.CHANGES])
def test_both_players_have_gradients(change):
    game = Game(change)
    assert game.shown.fake.shape == (2 * BATCH, game.shown.real.shape[1])
    for player, loss in game.model.losses.items():

        def of_player(own, player=player, loss=loss):
            params = game.params | {player: own}
            return loss(params, game.model.inputs, game.model.held, game.batch, jax.random.key(3))

        (value, terms), slopes = jax.value_and_grad(of_player, has_aux=True)(game.params[player])
        assert np.isfinite(value)
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((terms, slopes)))
        assert any(np.any(np.asarray(x) != 0) for x in jax.tree.leaves(slopes))


def test_centred_rows_have_the_same_zeros_sums_and_norms():
    game = Game("centred")
    for rows in (game.shown.real, game.shown.fake):
        mask = np.tile(game.mask, (len(rows) // BATCH, 1))
        assert np.all((np.asarray(rows) == 0) == mask)
        np.testing.assert_allclose(np.sum(rows, axis=1), 0, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)


def test_held_out_items_are_in_real_rows_and_may_be_in_fake_ones():
    game = Game("held out")
    scored = np.asarray(game.shown.fake[:BATCH]) != 0
    held = game.mask & scored
    assert held.any()
    assert (game.mask & ~scored).any()
    others = np.asarray(game.shown.real)[~game.mask]
    assert np.asarray(game.shown.real)[held].min() > np.median(others)


def test_sampled_scores_are_of_trained_items_and_centred():
    game = Game("sampled")
    assert game.shown.real.shape == (BATCH, 2 * changes.SAMPLED)
    np.testing.assert_allclose(np.sum(game.shown.real, axis=1), 0, atol=1e-5)


def test_a_gentle_critic_begins_nearly_flat():
    def steepness(game):
        keys = jax.random.split(jax.random.key(5))
        alpha = jax.random.uniform(keys[0], (2 * BATCH, 1))
        return changes.critics.critic_loss(
            game.parts.critic,
            game.params["critic"],
            *game.shown,
            alpha,
            keys[1],
            penalty_weight=1.0,
        )[1]["gradient_norm"]

    assert 0 < steepness(Game("gentle")) < steepness(Game()) / 500


def test_the_area_is_that_under_the_roc_curve():
    assert area(jnp.asarray([3.0, 4.0]), jnp.asarray([1.0, 2.0])) == 1
    assert area(jnp.asarray([1.0, 2.0]), jnp.asarray([3.0, 4.0])) == 0
    assert area(jnp.asarray([1.0, 3.0]), jnp.asarray([2.0, 2.0])) == 0.5
    assert area(jnp.asarray([2.0, 2.0]), jnp.asarray([2.0])) == 0.5


def test_rows_are_tested_against_the_same_variant_without_critic(tmp_path):
    recall = {"released 128": [0.5, 0.0, 1.0], "released off": [0.0, 0.0, 1.0]}
    runs = []
    for row, values in recall.items():
        folder = tmp_path / row / "seed-1"
        folder.mkdir(parents=True)
        np.savez(folder / "per_user.npz", users=[0, 1, 2], **{"recall@20": values})
        runs.append({"row": row, "seed": 1})
    train = scipy.sparse.csr_array(np.array([[1, 0, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]]))
    dataset = Dataset("d", train, train, train, {}, None, None, True, ())
    found = {test["users"]: test for test in table.tests(tmp_path, dataset, runs)}
    assert found["all"]["count"] == 3
    assert found["all"]["difference"] == pytest.approx(0.5 / 3)
    assert found["1-2"]["difference"] == 0.25
    assert found["3-5"]["difference"] == 0
    assert {test["row"] for test in found.values()} == {"released 128"}
