"""Sampled neighbourhoods: in the mean the product with the graph, and exact with enough."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from mmssl_jax.errors import InputError
from mmssl_jax.graphs import sampled_neighbors, sparse, split_tables
from mmssl_jax.graphs.nearest import Neighbors, join

DRAWS, LARGEST = 4000, 9


def matrix():
    """Rows of 0 to `LARGEST` entries, among them rows of one and of none."""
    rng = np.random.default_rng(0)
    found = np.zeros((12, 11))
    for row, degree in enumerate([0, 1, 2, 3, 4, 5, 6, 7, 8, LARGEST, 0, 1]):
        found[row, rng.permutation(11)[:degree]] = rng.normal(size=degree)
    return found


GRAPH = sparse.from_scipy(scipy.sparse.csr_array(matrix()))
X = jax.random.normal(jax.random.key(5), (11, 3))
COTANGENT = jax.random.normal(jax.random.key(6), (12, 3))
ROWS = jnp.arange(12, dtype=jnp.int32)


def sampled(key, x, fanout):
    drawn = Neighbors(*sampled_neighbors.neighbors(key, GRAPH, ROWS, fanout))
    return split_tables.weighted_rows(x, (drawn,), None)[0]


@partial(jax.jit, static_argnames="fanout")
def both(key, fanout):
    """The sampled product, and the gradient of its product with a cotangent."""
    value, pull = jax.vjp(partial(sampled, key, fanout=fanout), X)
    return value, pull(COTANGENT)[0]


def assert_mean(draws, wanted):
    """The mean of the draws is what is wanted, to within five standard errors of each entry."""
    draws = np.asarray(draws, np.float64)
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - wanted) <= 5 * error + 1e-5)


@pytest.mark.parametrize("fanout", [1, 2, 4])
def test_in_the_mean_it_is_the_product_and_so_is_the_gradient(fanout):
    keys = jax.random.split(jax.random.key(0), DRAWS)
    values, gradients = jax.vmap(partial(both, fanout=fanout))(keys)
    assert np.asarray(values).std(axis=0).max() > 0.1, "it is sampled"
    assert_mean(values, matrix() @ X)
    assert_mean(gradients, matrix().T @ COTANGENT)


def test_two_hops_are_right_in_the_mean_too():
    square = sparse.from_scipy(scipy.sparse.csr_array(matrix()[:11]))

    @jax.jit
    @jax.vmap
    def draw(key):
        tree = sampled_neighbors.tree(key, [square] * 2, ROWS[:11], (2, 3))
        return split_tables.weighted_rows(X, (sampled_neighbors.paths(tree)[2],), None)[0]

    assert_mean(draw(jax.random.split(jax.random.key(7), DRAWS)), matrix()[:11] @ matrix()[:11] @ X)


@pytest.mark.parametrize("fanout", [LARGEST, LARGEST + 4])
def test_with_enough_neighbours_it_is_exact(fanout):
    value, gradient = both(jax.random.key(1), fanout)
    np.testing.assert_allclose(value, matrix() @ X, atol=1e-5)
    np.testing.assert_allclose(gradient, matrix().T @ COTANGENT, atol=1e-5)


def test_each_part_of_the_edges_gives_one_of_them():
    _, weights = sampled_neighbors.neighbors(jax.random.key(2), GRAPH, ROWS, 4)
    ones = sparse.from_scipy(scipy.sparse.csr_array((matrix() != 0).astype(float)))
    found, counts = sampled_neighbors.neighbors(jax.random.key(2), ones, ROWS, 4)
    degrees = (matrix() != 0).sum(axis=1)
    np.testing.assert_array_equal(counts.sum(axis=1), degrees)
    for row, degree in enumerate(degrees):
        taken = np.asarray(found[row])[np.asarray(counts[row]) > 0]
        assert len(set(taken)) == len(taken) == min(degree, 4)
        assert np.all(matrix()[row, taken] != 0)
        sizes = np.asarray(counts[row])[np.asarray(counts[row]) > 0]
        np.testing.assert_allclose(
            np.asarray(weights[row])[np.asarray(counts[row]) > 0],
            matrix()[row, taken] * sizes,
            rtol=1e-6,
        )


def test_a_part_of_many_edges_is_drawn_from_evenly():
    """A row of 300 edges, in parts whose sizes are no powers of two."""
    graph = sparse.from_scipy(scipy.sparse.csr_array(np.ones((1, 300))))
    draw = jax.vmap(
        lambda key: sampled_neighbors.neighbors(key, graph, jnp.zeros(1, jnp.int32), 3)[0][0]
    )
    found = np.asarray(draw(jax.random.split(jax.random.key(3), 30_000)))
    for part in range(3):
        counts = np.bincount(found[:, part] - 100 * part, minlength=100)
        assert counts.sum() == 30_000
        assert len(counts) == 100
        assert ((counts - 300) ** 2 / 300).sum() < 160  # chi-square of 99 degrees: p < 1e-4


def test_levels_and_paths_say_the_same():
    seeds = jnp.asarray([9, 8, 7, 3], jnp.int32)
    square = sparse.from_scipy(scipy.sparse.csr_array(matrix()[:11]))
    tree = sampled_neighbors.tree(jax.random.key(4), [square] * 2, seeds, (3, 2))
    assert [len(nodes) for nodes in tree.nodes] == [4, 12, 24]
    levels = sampled_neighbors.rows_of(X, tree.nodes)
    total = levels[0]
    for _ in range(2):
        levels = sampled_neighbors.sums(tree, levels)
        total = total + levels[0]
    every = join(sampled_neighbors.paths(tree))
    by_paths = split_tables.weighted_rows(X, (every,), None)[0]
    np.testing.assert_allclose(by_paths, total, rtol=1e-5)


def test_a_tree_that_exceeds_int32_is_refused():
    draw = partial(sampled_neighbors.tree, graphs=[GRAPH] * 3, fanouts=(1000, 1000, 1000))
    with pytest.raises(InputError, match=r"train.fanout = .* exceeds int32; choose"):
        jax.eval_shape(lambda key: draw(key, seeds=ROWS), jax.random.key(0))
