"""The losses against their formulas in float64, at extremes, and their gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import oracle
import pytest

from mmssl_jax.adversarial import critic
from mmssl_jax.graphs import nearest
from mmssl_jax.models import losses
from mmssl_jax.models.dropout import dropout

# Compiled once: eager dispatch of every operation would take most of the time.
bpr = jax.jit(losses.bpr)
normalize = jax.jit(nearest.normalize)
contrastive = jax.jit(losses.contrastive, static_argnames="temperature")


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def on_device(*arrays):
    return [jnp.asarray(array, jnp.float32) for array in arrays]


def test_bpr_is_its_formula():
    u, p, q = rows(3, 5, 4)
    margins = (u * p).sum(axis=1) - (u * q).sum(axis=1)
    expected = np.mean(np.log(1 + np.exp(-margins)))
    np.testing.assert_allclose(bpr(*on_device(u, p, q)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("margin", "loss", "slope"), [(1e6, 0, 0), (-1e6, 1e6, -1), (0, np.log(2), -0.5)]
)
def test_bpr_at_large_margins(margin, loss, slope):
    one, zero, positives = jnp.ones((1, 1)), jnp.zeros((1, 1)), jnp.full((1, 1), float(margin))
    value, gradient = jax.jit(jax.value_and_grad(losses.bpr, argnums=1))(one, positives, zero)
    np.testing.assert_allclose([value, gradient[0, 0]], [loss, slope], rtol=1e-6)


def test_half_squares_is_its_formula():
    x, y = rows(3, 4), rows(2, 2, seed=1)
    expected = ((x**2).sum() + (y**2).sum()) / 2
    np.testing.assert_allclose(losses.half_squares(on_device(x, y)), expected, rtol=1e-5)
    assert losses.half_squares([]) == 0


def test_normalize_is_its_formula():
    x = rows(4, 3) * np.array([[1.0], [1e6], [1e-6], [0.0]])
    np.testing.assert_allclose(normalize(*on_device(x)), oracle.n(x), rtol=1e-5)


def test_normalize_has_a_floor():
    np.testing.assert_allclose(normalize(jnp.array([[1e-13, 0.0]])), [[0.1, 0.0]], rtol=1e-5)


def test_normalize_has_no_gradient_at_a_zero_row():
    x = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    value, pull = jax.vjp(normalize, x)
    (gradient,) = pull(jnp.ones((2, 2)))
    np.testing.assert_array_equal(value[0], [0.0, 0.0])
    np.testing.assert_array_equal(gradient[0], [0.0, 0.0])
    # (I - n n^T) 1 / |x| with n = (.6, .8), |x| = 5
    np.testing.assert_allclose(gradient[1], [(1 - 0.6 * 1.4) / 5, (1 - 0.8 * 1.4) / 5], rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_contrastive_is_its_formula(temperature):
    view, anchor = rows(2, 6, 4)
    expected = oracle.contrastive(view, anchor, temperature)
    actual = contrastive(*on_device(view, anchor), temperature=temperature)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_contrastive_of_rows_that_are_all_alike():
    batch = 5
    actual = contrastive(jnp.ones((batch, 3)), jnp.ones((batch, 3)), temperature=0.5)
    np.testing.assert_allclose(actual, np.log(2 * batch - 1), rtol=1e-5)


def test_contrastive_of_orthonormal_rows():
    batch, own = 4, np.exp(1 / 0.5)
    actual = contrastive(7.0 * jnp.eye(batch), jnp.eye(batch), temperature=0.5)
    np.testing.assert_allclose(actual, -np.log(own / (own + 2 * (batch - 1))), rtol=1e-5)


def test_contrastive_of_a_view_of_zeros_is_a_constant():
    _, anchor = on_device(*rows(2, 6, 4))
    constant = losses.contrastive_of_zeros(6)
    np.testing.assert_allclose(
        contrastive(jnp.zeros((6, 4)), anchor, temperature=0.2), constant, rtol=1e-6
    )


def test_contrastive_epsilon_bounds_the_loss():
    view = jnp.array([[1.0, 0.0], [1.0, 0.0]])
    actual = contrastive(view, -view, temperature=0.05)
    # s(a, b) / total = e^-20 / (e^20 + 2 e^-20)
    np.testing.assert_allclose(actual, -np.log(np.exp(-40) + 1e-8), rtol=1e-5)


def test_contrastive_of_zero_rows_has_no_gradient():
    loss = partial(losses.contrastive, temperature=0.5)
    value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(
        jnp.zeros((3, 2)), jnp.zeros((3, 2))
    )
    np.testing.assert_allclose(value, np.log(5), rtol=1e-5)
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, np.zeros((3, 2)))


def test_gradient_penalty_is_its_formula():
    squared = np.array([0.0, 1.0, 4.0, 1e-12, 1e8])
    value, gradient = jax.jit(jax.value_and_grad(critic.gradient_penalty))(*on_device(squared))
    np.testing.assert_allclose(value, np.mean((np.sqrt(squared) - 1) ** 2), rtol=1e-5)
    # d (sqrt(s) - 1)^2 / ds = 1 - 1 / sqrt(s), and 0 at s = 0
    expected = np.array([0, 0, 1 - 1 / 2, 1 - 1e6, 1 - 1e-4]) / len(squared)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "shapes"),
    [
        (losses.bpr, [(3, 2)] * 3),
        (lambda x, y: losses.half_squares([x, y]), [(3, 2), (2,)]),
        (nearest.normalize, [(3, 2)]),
        (partial(losses.contrastive, temperature=0.5), [(3, 2)] * 2),
        (lambda x: critic.gradient_penalty(jnp.sum(x**2, axis=1)), [(3, 2)]),
    ],
    ids=["bpr", "half_squares", "normalize", "contrastive", "gradient_penalty"],
)
def test_gradients_agree_with_finite_differences(loss, shapes):
    with jax.enable_x64(True):
        arguments = [jnp.asarray(rows(*shape, seed=i)) for i, shape in enumerate(shapes)]
        jax.test_util.check_grads(jax.jit(loss), arguments, order=1, modes=["rev"], rtol=1e-6)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.99])
def test_dropout_drops_its_rate_and_keeps_the_mean(rate):
    x = jnp.ones((2000, 100))
    found = np.asarray(dropout(jax.random.key(0), x, rate), np.float64)
    deviation = (rate * (1 - rate) / x.size) ** 0.5
    assert abs(np.mean(found == 0) - rate) <= 5 * deviation
    assert abs(found.mean() - 1) <= 5 * deviation / (1 - rate) + 1e-5
    assert len(np.unique(found[found > 0])) == 1


def test_dropout_draws_each_element_on_its_own():
    # Two elements share the bits of a word; the count of rows is odd, so one word is half used.
    dropped = np.asarray(dropout(jax.random.key(1), jnp.ones((2001, 101)), 0.5)) == 0
    assert dropped.shape == (2001, 101)
    along = dropped.astype(np.float64) - 0.5
    for shift in (1, 1000, 1001, 1002):  # rows between elements that are compared
        assert abs(np.mean(along[shift:] * along[:-shift]) * 4) <= 5 / along[shift:].size ** 0.5
    assert abs(np.mean(along[:, 1:] * along[:, :-1]) * 4) <= 5 / along[:, 1:].size ** 0.5
