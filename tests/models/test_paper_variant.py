"""The paper variant against an independent float64 numpy version, and where the release differs."""

import types
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
import scipy.sparse

from mmssl_jax import models
from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial import real_rows
from mmssl_jax.adversarial import relation_rows as rows
from mmssl_jax.config import Config
from mmssl_jax.data import Dataset
from mmssl_jax.graphs import modality_graph, training_pairs
from mmssl_jax.graphs.training_pairs import TrainingPairs
from mmssl_jax.models import mmssl
from mmssl_jax.models.mmssl import generator as generators
from mmssl_jax.models.model import Batch

MODALITIES = ("audio", "image", "text")
USERS, ITEMS = 9, 13


def close(actual, expected):
    """rtol 1e-5, plus 1e-6 of the largest magnitude: what float32 can give."""
    atol = 1e-6 * np.abs(expected).max(initial=0)
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=1e-5, atol=atol)


def make_config(variant, **values):
    """A small config; the values are of MMSSL's fields."""
    config = Config()
    config.data.path = "tests"
    config.model.variant, config.model.embedding_dim = variant, 8
    config.mmssl.heads, config.mmssl.graph_items, config.mmssl.graph_refresh = 2, 3, 5
    config.mmssl.feature_l2 = config.train.embedding_l2 = 0.1  # to show in the total
    config.mmssl.contrastive_weight = 0.7
    config.critic.enabled = False  # the critic is compared by itself
    for name, value in values.items():
        setattr(config.mmssl, name, value)
    return models.resolve(config)


def make_dataset(modalities):
    """A world in which the oracle's scores have margins: items with the same users would tie."""
    rng = np.random.default_rng(6)
    adjacency = (rng.random((USERS, ITEMS)) < 0.3).astype(np.float32)
    adjacency[2], adjacency[3] = 0, np.arange(ITEMS) != 5  # no item, all but one
    assert len(np.unique(adjacency, axis=1).T) == ITEMS
    widths = dict(zip(MODALITIES, (5, 7, 4), strict=True))
    features = {m: rng.normal(size=(ITEMS, widths[m])) for m in MODALITIES[:modalities]}
    features = {m: x.astype(np.float32) for m, x in features.items()}
    train = scipy.sparse.csr_array(adjacency)
    return Dataset("tiny", train, train, train, features, None, None, True, ())


def in_float64(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def random_params(model):
    """Parameters in the shapes of `init`, large enough for an attention far from uniform."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), jnp.float32), shapes)


def pairs_of(mask) -> TrainingPairs:
    """The true entries of a [batch, items] mask, as the package takes them."""
    row, item = (jnp.asarray(index, jnp.int32) for index in np.nonzero(mask))
    return TrainingPairs(row, item, jnp.ones(row.shape, bool))


BATCH = Batch(*np.array([[0, 1, 3, 8], [1, 4, 4, 12], [2, 4, 5, 0]], np.int32))


@pytest.fixture(scope="module", params=[1, 2, 3], ids="{}_modalities".format)
def paper(request):
    """The model on a small data set, all it computes in one compilation, and the oracle's view."""
    config, dataset = make_config("paper"), make_dataset(request.param)
    model = mmssl.build(config, dataset, steps_per_epoch=99)
    params = random_params(model)
    adjacency = dataset.train.toarray().astype(np.float64)
    pairs = pairs_of(adjacency[BATCH.users])

    @jax.jit
    def compute(params, batch, step):
        held = model.refresh(params, model.inputs, model.held, step)

        def loss(generator):
            out = mmssl.forward(generator, model.inputs, held, config)
            terms = mmssl.losses.generator_terms(out, batch, config)
            return mmssl.losses.generator_total(terms, config), (out, terms)

        (total, (out, terms)), gradient = jax.value_and_grad(loss, has_aux=True)(
            params["generator"]
        )
        return {
            "held": held,
            "out": out,
            "terms": terms,
            "total": total,
            "gradient": gradient,
            "embed": model.embed(params, model.inputs, held),
            "fused_items": generators.fuse(params["generator"]["fusion"], out.item_views, config),
            "fake": [group.dense() for group in mmssl.losses.fake_rows(out, batch.users, pairs)],
        }

    def computed(step=0):
        batch = jax.tree.map(jnp.asarray, BATCH)
        return types.SimpleNamespace(**compute(params, batch, jnp.asarray(step)))

    generator, raw = in_float64(params["generator"]), in_float64(dataset.features)
    relate = partial(oracle.relation_graph, adjacency=adjacency, k=config.mmssl.graph_items)
    found = oracle.features(generator, adjacency, raw)
    graphs = {m: relate(*pair) for m, pair in found.items()}

    def forward(generator):
        return oracle.forward(generator, adjacency, raw, graphs, config)

    return types.SimpleNamespace(
        config=config,
        computed=computed,
        actual=computed(),
        adjacency=adjacency,
        generator=generator,
        graphs=graphs,
        forward=forward,
        expected=forward(generator),
    )


def dense(half):
    matrix = np.zeros(half.shape)
    np.add.at(matrix, tuple(np.asarray(half.indices).T), np.asarray(half.data))
    return matrix


def test_modality_graphs_join_the_top_unseen_items(paper):
    assert paper.actual.held.keys() == paper.graphs.keys()
    for m, expected in paper.graphs.items():
        assert not (expected * paper.adjacency).any()
        assert expected.sum(axis=1)[[0, 2, 3]].tolist() == [3, 0, 1]
        close(dense(paper.actual.held[m].user_item.matrix), oracle.norm(expected))
        close(dense(paper.actual.held[m].item_user.matrix), oracle.norm(expected.T))


def test_of_items_with_equal_relations_the_first_are_joined():
    """Whole numbers, whose products are exact on every processor."""
    train = scipy.sparse.csr_array(np.eye(2, 6, k=1, dtype=np.float32))
    users = jnp.asarray([[1, 0], [0, 2]], jnp.float32)
    items = jnp.asarray([[2, 3], [2, 1], [1, 9], [2, 3], [2, 1], [0, 3]], jnp.float32)
    found = jax.jit(modality_graph.relation_graph, static_argnames=("k", "blocks"))(
        users,
        items,
        training_pairs.pair_tables(train),
        k=2,
        blocks=modality_graph.user_blocks(train),
    )
    # Scores: 2 (2) 1 2 2 0, and 6 2 (18) 6 2 6; in brackets the user's training pairs.
    expected = [[1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0]]
    np.testing.assert_array_equal(dense(found.user_item.matrix) > 0, expected)


def test_graphs_are_rebuilt_when_due_and_kept_in_between(paper):
    for m, expected in paper.graphs.items():
        assert not dense(paper.computed(step=4).held[m].user_item.matrix).any()
        close(dense(paper.computed(step=5).held[m].user_item.matrix), oracle.norm(expected))


def test_forward(paper):
    out, expected = paper.actual.out, paper.expected
    for m, (of_users, of_items) in expected["features"].items():
        close(out.user_views[m].feature, of_users)
        close(out.item_views[m].feature, of_items)
        close(out.user_views[m].ids, expected["user_ids"][m])
        close(out.item_views[m].ids, expected["item_ids"][m])
    close(out.users, expected["users"])
    close(out.items, expected["items"])


def test_embed_is_the_forward_pass_without_dropout(paper):
    for actual, name in zip(paper.actual.embed, ("users", "items"), strict=True):
        close(actual, paper.expected[name])


def test_attention_across_modalities(paper):
    close(paper.actual.out.fused_users, paper.expected["fused_users"])
    close(paper.actual.fused_items, paper.expected["fused_items"])
    views = list(paper.expected["user_ids"].values())
    uniform = np.mean(views, axis=0) @ paper.generator["fusion"]["value"]
    is_uniform = np.allclose(paper.expected["fused_users"], uniform, rtol=0.1)
    assert is_uniform == (len(views) == 1)  # nothing is tested where it is


def test_generator_terms(paper):
    expected = oracle.generator_terms(paper.expected, BATCH, paper.config)
    assert paper.actual.terms.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(paper.actual.terms[name], value, rtol=1e-5, err_msg=name)
    total = oracle.generator_loss(expected, paper.config)
    np.testing.assert_allclose(paper.actual.total, total, rtol=1e-5)
    adversarial = paper.actual.terms | {"adversarial": jnp.asarray(-1e4)}
    total -= 1e4 * paper.config.mmssl.adversarial_weight
    np.testing.assert_allclose(
        mmssl.losses.generator_total(adversarial, paper.config), total, rtol=1e-5
    )


def test_generator_gradient_along_random_directions(paper):
    gradient, rng = in_float64(paper.actual.gradient), np.random.default_rng(0)
    for part in gradient:  # each part of the parameters by itself
        direction = jax.tree.map(lambda x: rng.normal(size=x.shape), gradient[part])

        def moved(step, part=part, direction=direction):
            shifted = jax.tree.map(lambda x, d: x + step * d, paper.generator[part], direction)
            out = paper.forward(paper.generator | {part: shifted})
            return oracle.generator_loss(
                oracle.generator_terms(out, BATCH, paper.config), paper.config
            )

        products = jax.tree.map(lambda g, d: (g * d).sum(), gradient[part], direction)
        slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
        np.testing.assert_allclose(sum(jax.tree.leaves(products)), slope, rtol=1e-4, err_msg=part)


def test_fake_rows(paper):
    mask = paper.adjacency[BATCH.users]
    expected = [
        oracle.relation_rows(of_users[BATCH.users], of_items, mask)
        for of_users, of_items in paper.expected["features"].values()
    ]
    close(np.concatenate(paper.actual.fake), np.concatenate(expected))


@pytest.mark.parametrize(
    ("temper_all", "temperature", "zeta"),
    [(True, 0.5, 0.0), (True, 0.5, 1.0), (True, 0.5, 100.0), (False, 0.005, 1.0)],
    ids=["paper_softmax", "paper", "paper_zeta_100", "released"],
)
def test_real_rows(temper_all, temperature, zeta):
    rng = np.random.default_rng(0)
    users, items, uniform = (
        rng.normal(size=(4, 6)),
        rng.normal(size=(ITEMS, 6)),
        rng.random((4, ITEMS)),
    )
    mask = rng.random((4, ITEMS)) < 0.3
    relation = oracle.relation_rows(users, items, mask)
    to_device = partial(jnp.asarray, dtype=jnp.float32)
    factored = rows.relation_rows(to_device(users), to_device(items), pairs_of(mask))
    close(factored.dense(), relation)
    spec = real_rows.RealRowsSpec(temperature, zeta, temper_all)
    actual = real_rows.real_rows(spec, factored, to_device(uniform))
    close(actual, oracle.real_rows(mask, relation, uniform, temperature, zeta, temper_all))


def test_critic_loss_with_the_slope_of_the_paper():
    critic = critics.Critic(ITEMS, 6, mmssl.VARIANTS["paper"]["critic.slope"], dropout=(0.0, 0.0))
    params = jax.jit(critics.init_critic, static_argnums=0)(critic, jax.random.key(2))
    rng = np.random.default_rng(1)
    real, fake = oracle.n(rng.normal(size=(2, 8, ITEMS)))
    alpha = rng.random((8, 1))
    real_rows, fake_rows, draws = (jnp.asarray(x, jnp.float32) for x in (real, fake, alpha))
    loss = jax.jit(critics.critic_loss, static_argnums=0, static_argnames="penalty_weight")
    value, _ = loss(
        critic, params, real_rows, fake_rows, draws, jax.random.key(3), penalty_weight=0.3
    )
    # The slope is .2, as the model's description has it.
    expected = oracle.critic_loss(in_float64(params), real, fake, alpha, 0.2, 0.3)
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_the_release_without_a_graph_has_a_softmax_in_the_last_layer():
    config, dataset = make_config("released", modality_graph="none"), make_dataset(2)
    model = mmssl.build(config, dataset, steps_per_epoch=99)
    params = random_params(model)
    assert model.held == {}
    assert model.refresh(params, model.inputs, model.held, jnp.asarray(0)) == {}
    out = jax.jit(lambda p: mmssl.forward(p, model.inputs, {}, config))(params["generator"])
    assert out.fused_users is None
    assert all(view.ids is None for view in out.user_views.values())
    generator, raw = in_float64(params["generator"]), in_float64(dataset.features)
    adjacency = dataset.train.toarray().astype(np.float64)
    expected = oracle.forward(generator, adjacency, raw, {}, config, last_softmax=True)
    close(out.users, expected["users"])
    close(out.items, expected["items"])


def test_the_release_fuses_by_one_matrix_and_the_paper_by_attention():
    def fusion(variant, **values):
        config = make_config(variant, **values)
        model = mmssl.build(config, make_dataset(2), steps_per_epoch=99)
        generator = jax.eval_shape(model.init, jax.random.key(0))["generator"]
        return jax.tree.map(lambda x: x.shape, generator.get("fusion"))

    assert fusion("released") == (2 * 8, 8)
    assert fusion("released", modality_graph="none") is None  # it has nothing to fuse
    assert fusion("released", modality_graph="observed") == (2 * 8, 8)
    assert fusion("released", modality_graph="observed", id_weight=0.0) is None
    assert fusion("paper") == {"query": (8, 8), "key": (8, 8), "value": (8, 8)}


def test_observed_modality_graphs_are_the_interactions():
    config, dataset = make_config("paper", modality_graph="observed"), make_dataset(2)
    model = mmssl.build(config, dataset, steps_per_epoch=99)
    params = random_params(model)
    users, items = jax.jit(model.embed)(params, model.inputs, model.held)
    generator, raw = in_float64(params["generator"]), in_float64(dataset.features)
    adjacency = dataset.train.toarray().astype(np.float64)
    observed = dict.fromkeys(dataset.features, adjacency)
    expected = oracle.forward(generator, adjacency, raw, observed, config)
    close(users, expected["users"])
    close(items, expected["items"])


def test_fields_that_are_set_win_over_the_variant():
    config = make_config("released", last_softmax=False, attention=True)
    assert (config.mmssl.last_softmax, config.mmssl.attention) == (False, True)
    assert config.mmssl.modality_graph == "released"


def test_the_release_contrasts_with_the_final_users_and_the_paper_with_the_fused():
    final, fused, ids = jnp.asarray(np.random.default_rng(0).normal(size=(3, 9, 8)), jnp.float32)
    views = {"text": generators.View(ids, ids)}
    out = mmssl.Embeddings(final, final, views, views, fused)
    for variant, anchor in (("released", final), ("paper", fused)):
        terms = jax.jit(partial(mmssl.losses.generator_terms, config=make_config(variant)))(
            out, BATCH
        )
        rows = np.asarray(ids, float)[BATCH.users], np.asarray(anchor, float)[BATCH.users]
        expected = oracle.contrastive(*rows, temperature=0.5)
        np.testing.assert_allclose(terms["contrastive_text"], expected, rtol=1e-5)


def test_the_release_has_a_linear_critic():
    assert mmssl.VARIANTS["released"]["critic.slope"] == 1
