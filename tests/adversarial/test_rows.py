"""The factored critic against the dense one, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from benchmarks import dense
from mmssl_jax.adversarial import critic as critics
from mmssl_jax.adversarial import real_rows, relation_rows
from mmssl_jax.graphs import training_pairs

BATCH, ITEMS, WIDTH = 12, 23, 5


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def world(modalities: int, seed: int = 0):
    """A batch with users who saw nothing and everything, one user twice, one without a relation."""
    rng = np.random.default_rng(seed)
    train = rng.random((BATCH, ITEMS)) < 0.3
    train[0], train[1] = False, True
    train = scipy.sparse.csr_array(train.astype(np.float32))
    users = jnp.asarray([0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10], jnp.int32)  # one user twice
    most = training_pairs.max_training_pairs(train, BATCH, distinct=False)
    pairs = training_pairs.training_pairs_of(training_pairs.pair_tables(train), users, most)
    features = [rng.normal(size=(BATCH, WIDTH)) for _ in range(modalities)]
    features[0][5] = 0.0  # a user without any relation
    items = [rng.normal(size=(ITEMS, WIDTH)) for _ in range(modalities)]
    return pairs, jax.tree.map(jnp.asarray, (features, items))


def make_critic(hidden: int, slope: float):
    critic = critics.Critic(ITEMS, hidden, slope)
    params = critics.init_critic(critic, jax.random.key(1))
    return critic, jax.tree.map(lambda x: x.astype(jnp.float64), params)


def assert_close(actual, expected):
    """1e-10 relative to the largest magnitude of an array.

    Or 1e-14 relative to the largest of all: the gradient of a bias before a BatchNorm is zero in
    theory and rounding in practice.
    """
    sizes = jax.tree.map(lambda x: float(jnp.max(jnp.abs(x))), expected)
    rounding = 1e-14 * max(jax.tree.leaves(sizes))

    def check(actual, expected, size):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=max(1e-10 * size, rounding))

    jax.tree.map(check, actual, expected, sizes)


SPEC = real_rows.RealRowsSpec(temperature=0.005, relation_weight=100.0, temper_all=False)
PAPER_SPEC = real_rows.RealRowsSpec(temperature=0.5, relation_weight=2.0, temper_all=True)


@pytest.mark.parametrize(
    ("modalities", "hidden", "slope"),
    [(1, 4, 1.0), (3, 4, 0.2), (2, 9, 0.2), (1, 30, 0.2)],  # the last takes the direct penalty
)
def test_the_critic_s_loss_and_gradients_equal_the_dense_ones(modalities, hidden, slope):
    pairs, (users, items) = world(modalities + 1)
    critic, params = make_critic(hidden, slope)
    alpha = jax.random.uniform(jax.random.key(2), (modalities * BATCH, 1), jnp.float64)
    uniform = jax.random.uniform(jax.random.key(3), (BATCH, ITEMS), jnp.float64)

    def loss(implementation, params, users, items):
        groups = [
            relation_rows.relation_rows(u, i, pairs) for u, i in zip(users, items, strict=True)
        ]
        real = real_rows.real_rows(SPEC, groups[0], uniform)
        key = jax.random.key(4)
        return implementation.critic_loss(
            critic, params, real, groups[1:], alpha, key, penalty_weight=0.3
        )

    def both(implementation):
        def total(params, users, items):
            return loss(implementation, params, users, items)

        gradient = jax.value_and_grad(total, argnums=(0, 1, 2), has_aux=True)
        return jax.jit(gradient)(params, users, items)

    assert_close(both(critics), both(dense))


@pytest.mark.parametrize("modalities", [1, 3])
def test_the_generator_s_loss_and_gradients_equal_the_dense_ones(modalities):
    pairs, (users, items) = world(modalities)
    critic, params = make_critic(8, 0.2)

    def both(implementation):
        def loss(users, items):
            groups = [
                relation_rows.relation_rows(u, i, pairs) for u, i in zip(users, items, strict=True)
            ]
            return implementation.generator_loss(critic, params, groups, jax.random.key(4))

        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(users, items)

    actual, expected = both(critics), both(dense)
    assert_close(actual, expected)
    to_users = actual[1][0][0]
    assert np.all(np.asarray(to_users)[1] == 0.0), "a zero row sends back no gradient"
    assert np.all(np.isfinite(to_users))


def test_relation_rows_equal_the_formula():
    pairs, ([users], [items]) = world(1)
    mask = np.asarray(training_pairs.training_mask(pairs, BATCH, ITEMS))
    raw = np.where(mask, 0.0, np.asarray(users) @ np.asarray(items).T)
    norm = np.linalg.norm(raw, axis=1, keepdims=True)
    expected = np.divide(raw, norm, out=np.zeros_like(raw), where=norm > 0)
    factored = relation_rows.relation_rows(users, items, pairs)
    assert_close(factored.dense(), expected)
    kernel = jax.random.normal(jax.random.key(0), (ITEMS, 7), jnp.float64)
    assert_close(relation_rows.project([factored], kernel), expected @ np.asarray(kernel))


def test_the_row_of_a_user_who_has_every_item_is_exactly_zero_in_float32():
    pairs, ([users], [items]) = world(1)
    as_float32 = jnp.asarray(users, jnp.float32), jnp.asarray(items, jnp.float32)
    factored = relation_rows.relation_rows(*as_float32, pairs)
    kernel = jnp.ones((ITEMS, 3), jnp.float32)
    assert np.all(np.asarray(relation_rows.project([factored], kernel))[1] == 0.0)
    assert np.all(np.asarray(relation_rows.project([factored], kernel))[5] == 0.0), (
        "no relation at all"
    )


@pytest.mark.parametrize("spec", [SPEC, PAPER_SPEC])
@pytest.mark.parametrize("item_block", [1, 5, 23, 40])  # some do not divide 23
def test_blocked_real_rows_equal_the_whole_ones(spec, item_block):
    pairs, ([users], [items]) = world(1)
    relation = relation_rows.relation_rows(users, items, pairs)
    key = jax.random.key(5)
    kernel = jax.random.normal(jax.random.key(0), (ITEMS, 7), jnp.float64)
    blocked = real_rows.BlockedRealRows(relation, key, spec, item_block)
    whole = real_rows.real_rows(spec, relation, real_rows.item_noise(key, BATCH, jnp.arange(ITEMS)))

    def both(group):
        def through(kernel):
            return jnp.sum(jnp.sin(critics.project(group, kernel, "float32")))

        return jax.jit(lambda k: (critics.project(group, k, "float32"), jax.grad(through)(k)))(
            kernel
        )

    assert_close(both(blocked), both(whole))


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 1025, 3000])
def test_kernel_products_equal_the_plain_ones_around_the_chunk_size(count):
    rng = np.random.default_rng(count)
    row = np.sort(rng.integers(50, size=count)).astype(np.int32)
    item = rng.integers(90, size=count).astype(np.int32)
    padding = 700
    pairs = training_pairs.TrainingPairs(
        jnp.asarray(np.pad(row, (0, padding), constant_values=50)),
        jnp.asarray(np.pad(item, (0, padding))),
        jnp.arange(count + padding) < count,
    )
    weights = jnp.asarray(np.pad(rng.normal(size=(2, count)), ((0, 0), (0, padding))))
    kernel, items = jnp.asarray(rng.normal(size=(2, 90, 4)))

    def expected(items, weights, kernel):
        empty = jnp.zeros((50, 90))
        matrices = [empty.at[row, item].add(group[:count]) for group in weights]
        return items.T @ kernel, jnp.stack([matrix @ kernel for matrix in matrices])

    def actual(items, weights, kernel):
        return relation_rows.kernel_products(items, weights, kernel, pairs, 50)

    def both(function):
        def total(*arguments):
            return sum(jnp.sum(jnp.sin(product)) for product in function(*arguments))

        arguments = (items, weights, kernel)
        return function(*arguments), jax.grad(total, argnums=(0, 1, 2))(*arguments)

    assert_close(both(actual), both(expected))


def test_bfloat16_products_stay_near_the_float32_ones():
    with jax.enable_x64(False):
        pairs, (users, items) = world(2)
        users, items = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (users, items))
        results = {}
        for precision in ("float32", "bfloat16"):
            critic = critics.Critic(ITEMS, 8, 0.2, dropout=(0.0, 0.0), precision=precision)
            params = critics.init_critic(critic, jax.random.key(1))

            def loss(params, critic=critic):
                groups = [
                    relation_rows.relation_rows(u, i, pairs)
                    for u, i in zip(users, items, strict=True)
                ]
                uniform = jax.random.uniform(jax.random.key(3), (BATCH, ITEMS))
                real = real_rows.real_rows(SPEC, groups[0], uniform)
                alpha = jax.random.uniform(jax.random.key(2), (BATCH, 1))
                return critics.critic_loss(
                    critic, params, real, groups[1:], alpha, jax.random.key(4), penalty_weight=0.3
                )[0]

            results[precision] = jax.jit(jax.value_and_grad(loss))(params)
        exact, rounded = results["float32"], results["bfloat16"]
        assert rounded[0] != exact[0], "the factors are rounded"
        np.testing.assert_allclose(rounded[0], exact[0], rtol=0.02)
        kernel, expected = (found[1]["dense0"]["kernel"] for found in (rounded, exact))
        assert kernel.dtype == jnp.float32
        assert jnp.linalg.norm(kernel - expected) < 0.05 * jnp.linalg.norm(expected)
