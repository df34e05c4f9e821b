"""MMSSL's properties: symmetry, two separate players, any modalities; and a world it must learn."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
import scipy.sparse

from mmssl_jax import models
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.models import mmssl
from mmssl_jax.models.model import Batch
from mmssl_jax.training import batches, train
from mmssl_jax.training import state as states
from mmssl_jax.training.devices import make_mesh
from mmssl_jax.training.step import train_step

USERS, ITEMS, WIDTHS = 10, 16, {"audio": 3, "image": 5, "text": 4}
TWO = ("image", "text")


def make_config(**values):
    """A small config; '__' stands for the dot of a path."""
    config = Config()
    config.data.path = "tests"
    config.model.embedding_dim, config.mmssl.heads, config.mmssl.graph_items = 8, 2, 3
    config.train.batch_size = 6
    for path, value in values.items():
        section, name = path.split("__")
        setattr(getattr(config, section), name, value)
    return models.resolve(config)


def make_dataset(interactions, features, val=None, test=None):
    def matrix(dense):
        return scipy.sparse.csr_array(np.asarray(dense, np.float32))

    train, val, test = (interactions if x is None else x for x in (interactions, val, test))
    return Dataset("small", *map(matrix, (train, val, test)), features, None, None, True, ())


def random_dataset(modalities, seed=0):
    rng = np.random.default_rng(seed)
    interactions = rng.random((USERS, ITEMS)) < 0.3
    features = {m: rng.normal(size=(ITEMS, WIDTHS[m])).astype(np.float32) for m in modalities}
    return make_dataset(interactions, features)


def random_params(model):
    """Parameters in the shapes of `init`, which takes longer to compile."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(0.3 * rng.normal(size=x.shape), x.dtype), shapes)


@pytest.mark.parametrize("id_weight", [0.0, 0.36])
def test_a_graph_that_modalities_share_counts_as_one_for_each(id_weight):
    config = make_config(
        critic__enabled=False, mmssl__modality_graph="observed", mmssl__id_weight=id_weight
    )
    model = mmssl.build(config, random_dataset(TWO), steps_per_epoch=1)
    params, graph = random_params(model)["generator"], model.inputs.interactions
    batch = Batch(jnp.arange(6), jnp.arange(6), jnp.arange(6, 12))

    def loss(params, graphs):
        embeddings = mmssl.forward(params, model.inputs, graphs, config)
        terms = mmssl.losses.generator_terms(embeddings, batch, config)
        return mmssl.losses.generator_total(terms, config), (terms, embeddings.users)

    gradient = jax.value_and_grad(loss, has_aux=True)
    shared = gradient(params, dict.fromkeys(TWO, graph))
    apart = gradient(params, {name: jax.tree.map(jnp.copy, graph) for name in TWO})
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7), shared, apart)
    (_, (terms, users)), _ = shared
    assert {"contrastive_image", "contrastive_text"} <= terms.keys()
    plain = mmssl.forward(params, model.inputs, {}, config).users
    assert np.allclose(users, plain, rtol=1e-6, atol=1e-7) == (id_weight == 0.0)


def assert_margins(generator, dataset, config):
    """The oracle builds the graphs, which it refuses where another order of sums may decide."""
    generator, raw = jax.tree.map(partial(np.asarray, dtype=float), (generator, dataset.features))
    adjacency = dataset.train.toarray().astype(float)
    for pair in oracle.features(generator, adjacency, raw).values():
        oracle.relation_graph(*pair, adjacency, config.mmssl.graph_items)


@pytest.mark.parametrize("variant", ["released", "paper"])
def test_permuting_users_and_items_permutes_the_outputs(variant):
    config = make_config(model__variant=variant, critic__enabled=False)
    rng, dataset = np.random.default_rng(0), random_dataset(TWO)
    of_users, of_items = rng.permutation(USERS), rng.permutation(ITEMS)
    permuted = make_dataset(
        dataset.train.toarray()[of_users][:, of_items],
        {m: x[of_items] for m, x in dataset.features.items()},
    )
    model = mmssl.build(config, dataset, steps_per_epoch=1)
    params = random_params(model)
    if model.held:
        assert_margins(params["generator"], dataset, config)
    moved = params["generator"] | {
        "user_embedding": params["generator"]["user_embedding"][of_users],
        "item_embedding": params["generator"]["item_embedding"][of_items],
    }

    @jax.jit
    def embed(params, inputs):
        held = model.refresh(params, inputs, model.held, jnp.asarray(0))
        return model.embed(params, inputs, held)

    users, items = map(np.asarray, embed(params, model.inputs))
    inputs = mmssl.build(config, permuted, steps_per_epoch=1).inputs
    moved_users, moved_items = map(np.asarray, embed({"generator": moved}, inputs))
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    close(moved_users, users[of_users])
    close(moved_items, items[of_items])
    assert not np.allclose(moved_users, users, atol=1e-3)
    assert not np.allclose(moved_items, items, atol=1e-3)


@pytest.mark.parametrize(("player", "other"), [("critic", "generator"), ("generator", "critic")])
def test_the_loss_of_a_player_has_no_gradient_in_the_parameters_of_the_other(player, other):
    model = mmssl.build(make_config(), random_dataset(["text"]), steps_per_epoch=1)

    @jax.jit
    def gradient(params, key):
        batch_key, loss_key = jax.random.split(key)
        batch = batches.sample(batch_key, model.inputs.tables, 6)

        def loss(of_other):
            everything = params | {other: of_other}
            return model.losses[player](everything, model.inputs, model.held, batch, loss_key)[0]

        return jax.grad(loss)(params[other])

    for leaf in jax.tree.leaves(gradient(random_params(model), jax.random.key(0))):
        np.testing.assert_array_equal(leaf, np.zeros(leaf.shape))


def make_step(config, dataset):
    """The state to begin with, and state -> (state, terms)."""
    model = mmssl.build(config, dataset, steps_per_epoch=2)
    params = random_params(model)
    model = model._replace(init=lambda key: params)
    transforms = states.optimisers(config, model, 2)

    def step(state):
        constants = model.inputs.tables, model.inputs, jax.random.key(1)
        size = config.train.batch_size
        options = {"transforms": transforms, "batch_size": size, "mesh": make_mesh(config.mesh)}
        return train_step(state, constants, model=model, **options)

    return states.init_state(model, transforms, jax.random.key(0)), step


@pytest.mark.parametrize("variant", ["released", "paper"])
@pytest.mark.parametrize("modalities", [(), ("text",), ("audio", "image", "text")])
def test_any_number_of_modalities_makes_a_step(variant, modalities):
    before, step = make_step(make_config(model__variant=variant), random_dataset(modalities))
    after, terms = jax.eval_shape(step, before)
    shapes = [(x.shape, x.dtype) for x in jax.tree.leaves(before)]
    assert [(x.shape, x.dtype) for x in jax.tree.leaves(after)] == shapes
    players = {"critic", "generator"} if modalities else {"generator"}
    assert before.params.keys() == before.optimiser_states.keys() == players
    assert {name.split("/")[0] for name in terms} == players
    found = {name for name in terms if "contrastive" in name}
    assert found == {f"generator/contrastive_{m}" for m in modalities}
    assert ("fusion" in before.params["generator"]) == bool(modalities)


def test_the_critic_can_be_switched_off():
    state, _ = make_step(make_config(critic__enabled=False), random_dataset(TWO))
    assert state.params.keys() == state.optimiser_states.keys() == {"generator"}


@pytest.fixture(scope="module")
def runs():
    """The states after 0, 1 and 2 steps, with the adversarial weight as it is and with 0."""
    dataset = random_dataset(["text"])
    first, step = make_step(make_config(), dataset)
    _, step_without = make_step(make_config(mmssl__adversarial_weight=0.0), dataset)

    # One program of both, of which the compiler shares the critic's part.
    both = jax.jit(lambda state: (step(state)[0], step_without(state)[0]))
    one, one_without = both(first)
    return [first, one, both(one)[0]], [first, one_without, both(one_without)[1]]


def changed(before, after):
    """The names of the arrays that differ."""
    moved = jax.tree.map(lambda x, y: not np.array_equal(x, y), before, after)
    return {jax.tree_util.keystr(path) for path, leaf in jax.tree.leaves_with_path(moved) if leaf}


def names(tree):
    return {jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(tree)}


def test_the_critic_and_its_optimiser_state_move(runs):
    first, _, last = runs[0]
    for part in (first.params, last.params), (first.optimiser_states, last.optimiser_states):
        before, after = (players["critic"] for players in part)
        assert changed(before, after) == names(before)


def test_the_adversarial_weight_changes_the_generator(runs):
    (_, one, two), (_, one_without, two_without) = runs
    assert not changed(one.params["critic"], one_without.params["critic"])
    # Two steps: Adam's first is the gradient's sign, which the small term may leave as it is.
    moved = changed(two.params["generator"], two_without.params["generator"])
    assert "['projection']['text']['kernel']" in moved


def test_the_checkerboard_world(tmp_path):
    """Even users like even items, odd users odd items; two items of each user are withheld."""
    size = 24
    user, item = np.indices((size, size))
    likes = (user + item) % 2 == 0
    val, test = item == user, item == (user + 2) % size
    noise = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
    dataset = make_dataset(likes & ~val & ~test, {"noise": noise}, val=val, test=test)
    config = make_config(
        critic__enabled=False,
        train__epochs=2,
        train__steps_per_epoch=40,
        train__batch_size=size,
        train__learning_rate=0.02,
        evaluation__cutoffs=(2, 20),
    )
    results = train(config, dataset, tmp_path)
    # The two withheld items are the only ones outside the training pairs that the user likes.
    assert results["val/recall@2"] == results["test/recall@2"] == 1.0
