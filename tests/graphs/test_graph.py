"""Sparse graphs: products as in dense algebra, and graphs built on the device as on the host."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
import scipy.sparse

from mmssl_jax.errors import InputError
from mmssl_jax.graphs import (
    host_graph,
    interaction_graph,
    modality_graph,
    sparse,
    training_pairs,
)

spmm = jax.jit(sparse.spmm)


@jax.jit
def pulled_back(graph, x, cotangent):
    return jax.vjp(partial(sparse.spmm, graph), x)[1](cotangent)[0]


def random_matrix(shape, density=0.4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * (rng.random(shape) < density)


def with_gaps():
    """Empty first, middle and last rows and columns."""
    matrix = random_matrix((6, 7), density=0.8)
    matrix[[0, 2, 5]] = 0
    matrix[:, [0, 3, 6]] = 0
    return matrix


MATRICES = {
    "full": random_matrix((7, 4), 1.0),
    "sparse": random_matrix((4, 9), 0.3),
    "gaps": with_gaps(),
    "empty": np.zeros((3, 5)),
}


def dense(half):
    """A BCOO as a numpy matrix; entries that are stored twice add up."""
    matrix = np.zeros(half.shape)
    np.add.at(matrix, tuple(np.asarray(half.indices).T), np.asarray(half.data))
    return matrix


def check_order(graph):
    """The halves are each other's transposes; their int32 indices are sorted and unique."""
    np.testing.assert_array_equal(dense(graph.matrix), dense(graph.transpose).T)
    for half in (graph.matrix, graph.transpose):
        assert half.indices_sorted
        assert half.unique_indices
        assert half.indices.dtype == jnp.int32
        pairs = list(map(tuple, np.asarray(half.indices)))
        assert pairs == sorted(set(pairs))


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES.keys())
def test_spmm_is_the_dense_product_in_value_and_gradient(matrix):
    graph = sparse.from_scipy(scipy.sparse.coo_array(matrix))
    rows, columns = matrix.shape
    x, y = random_matrix((columns, 3), 1.0, seed=1), random_matrix((rows, 3), 1.0, seed=2)
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    on_device = partial(jnp.asarray, dtype=jnp.float32)
    close(spmm(graph, on_device(x)), matrix @ x)
    close(spmm(graph.T, on_device(y)), matrix.T @ y)
    # What other processors than a CPU take.
    close(jax.jit(sparse.segment_product)(graph.matrix, on_device(x)), matrix @ x)
    close(pulled_back(graph, on_device(x), on_device(y)), matrix.T @ y)
    close(pulled_back(graph.T, on_device(y), on_device(x)), matrix @ x)
    check_order(graph)


def test_the_order_is_known_inside_jit():
    graph = sparse.from_scipy(scipy.sparse.coo_array(MATRICES["gaps"]))
    check_order(jax.jit(lambda kept: kept.T)(graph))


def test_repeated_entries_are_summed():
    entries = scipy.sparse.coo_array((np.ones(3), ([1, 0, 1], [2, 0, 2])), shape=(2, 3))
    graph = sparse.from_scipy(entries)
    check_order(graph)
    np.testing.assert_array_equal(dense(graph.matrix), [[1, 0, 0], [0, 0, 2]])


def unsorted():
    """Weights whose column indices are not sorted within a row, as scipy's products leave them."""
    weights = abs(random_matrix((5, 7), density=0.8))
    matrix = scipy.sparse.csr_array(weights)
    for start, end in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        for array in (matrix.indices, matrix.data):
            array[start:end] = array[start:end][::-1].copy()
    matrix.has_sorted_indices = False
    return matrix


def repeated():
    """Rows that have a column twice."""
    entries = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([6, 2, 6, 0, 0])
    return scipy.sparse.csr_array((*entries, np.array([0, 3, 3, 5, 5, 5])), shape=(5, 7))


INPUTS = {
    "unsorted": unsorted(),
    "repeated": repeated(),
    "empty": scipy.sparse.csr_array((5, 7)),
    "bool": scipy.sparse.csr_array(random_matrix((5, 7)) > 0),
    "small integers": scipy.sparse.csr_array(np.full((5, 7), 100, np.int8)),
    "columns": scipy.sparse.csc_array(unsorted()),
    "int64 indices": scipy.sparse.coo_array(
        (np.ones(2), (np.array([4, 0]), np.array([0, 6]))), shape=(5, 7)
    ),
}


def one_sided(matrix):
    return matrix * (matrix.sum(axis=1, keepdims=True) + 1e-8) ** -0.5


def joint(matrix):
    users, items = matrix.shape
    return np.block([[np.zeros((users, users)), matrix], [matrix.T, np.zeros((items, items))]])


def lightgcn(matrix):
    both = joint(matrix)
    root = np.maximum(both.sum(axis=1), 1) ** -0.5
    return root[:, None] * both * root[None, :]


def row_stochastic(matrix):
    both = joint(matrix) + np.eye(sum(matrix.shape))
    return both / both.sum(axis=1, keepdims=True)


BUILDERS = {
    "from_scipy": (sparse.from_scipy, lambda matrix: matrix),
    "bipartite": (lambda each: interaction_graph.bipartite_graphs(each).user_item, one_sided),
    "bipartite back": (
        lambda each: interaction_graph.bipartite_graphs(each).item_user,
        lambda matrix: one_sided(matrix.T),
    ),
    "symmetric": (
        lambda each: interaction_graph.bipartite_graphs(each, symmetric=True).item_user,
        lambda matrix: (one_sided(matrix) * (matrix.sum(axis=0) + 1e-8) ** -0.5).T,
    ),
    "lightgcn": (interaction_graph.symmetric_joint_graph, lightgcn),
    "row stochastic": (interaction_graph.row_stochastic_joint_graph, row_stochastic),
}


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("kind", INPUTS)
def test_every_builder_takes_every_matrix(builder, kind):
    matrix = INPUTS[kind].copy()
    build, expected = BUILDERS[builder]
    built = build(matrix)
    check_order(built)
    wanted = expected(INPUTS[kind].astype(np.float64).toarray())
    np.testing.assert_allclose(dense(built.matrix), wanted, rtol=1e-6)
    assert len(built.matrix.data) == len(built.transpose.data) == np.count_nonzero(wanted)
    x, y = random_matrix((wanted.shape[1], 3), 1.0), random_matrix((len(wanted), 3), 1.0)
    on_device = partial(jnp.asarray, dtype=jnp.float32)
    found = pulled_back(built, on_device(x), on_device(y))
    np.testing.assert_allclose(found, wanted.T @ y, rtol=1e-5, atol=1e-5)
    for name in ("data", "indices", "indptr"):  # the source is as it was
        if kind != "int64 indices":
            np.testing.assert_array_equal(getattr(matrix, name), getattr(INPUTS[kind], name))


def test_a_bipartite_graph_is_normalised_on_one_side_by_its_own_row_sums():
    matrix = np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    root = (4 + 1e-8) ** -0.5
    expected = [[root, 0, 3 * root], [0, 0, 0], [(1 + 1e-8) ** -0.5, 0, 0]]
    built = interaction_graph.bipartite_graphs(scipy.sparse.csr_array(matrix)).user_item
    actual = built.rows.block(0, 3)
    np.testing.assert_array_equal(actual.toarray(), np.array(expected, np.float32))


def test_bipartite_graphs_normalise_each_direction_by_its_own_rows():
    adjacency = random_matrix((5, 7)) != 0
    both = interaction_graph.bipartite_graphs(scipy.sparse.csr_array(adjacency, dtype=np.float32))
    close = partial(np.testing.assert_allclose, rtol=1e-6)
    close(dense(both.user_item.matrix), oracle.norm(adjacency.astype(float)))
    close(dense(both.item_user.matrix), oracle.norm(adjacency.T.astype(float)))


def test_symmetric_bipartite_graphs_divide_by_both_degrees():
    adjacency = random_matrix((5, 7)) != 0
    both = interaction_graph.bipartite_graphs(
        scipy.sparse.csr_array(adjacency, dtype=np.float32), symmetric=True
    )
    degrees = adjacency.sum(1, keepdims=True) * adjacency.sum(0, keepdims=True)
    expected = np.where(adjacency, np.maximum(degrees, 1) ** -0.5, 0)
    np.testing.assert_allclose(dense(both.user_item.matrix), expected, rtol=1e-6)
    np.testing.assert_allclose(dense(both.item_user.matrix), expected.T, rtol=1e-6)


@pytest.mark.parametrize("symmetric", [False, True])
def test_neighbor_graphs_are_the_bipartite_graphs_of_the_same_matrix(symmetric):
    rng = np.random.default_rng(0)
    users, items, k = 6, 9, 4
    neighbors = np.stack([rng.permutation(items)[:k] for _ in range(users)])
    is_edge = rng.random((users, k)) < 0.7
    is_edge[2] = False
    adjacency = np.zeros((users, items), np.float32)
    adjacency[np.arange(users)[:, None], neighbors] = is_edge
    expected = interaction_graph.bipartite_graphs(
        scipy.sparse.csr_array(adjacency), symmetric=symmetric
    )
    build = jax.jit(modality_graph.neighbor_graphs, static_argnums=2, static_argnames="symmetric")
    actual = build(
        jnp.asarray(neighbors, jnp.int32), jnp.asarray(is_edge), items, symmetric=symmetric
    )
    for name in ("user_item", "item_user"):
        half = getattr(actual, name)
        check_order(half)
        wanted = dense(getattr(expected, name).matrix)
        np.testing.assert_allclose(dense(half.matrix), wanted, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(("k", "block"), [(1, 3), (3, 3), (8, 3), (3, 1), (3, 1024)])
def test_relation_graph_joins_the_best_unseen_items(k, block):
    rng = np.random.default_rng(0)
    adjacency = rng.random((7, 8)) < 0.3
    adjacency[1] = True  # has every item
    adjacency[2] = np.arange(8) != 5  # has all but one
    adjacency[6] = np.arange(8) < 6  # has all but two
    users, items = rng.normal(size=(7, 4)), rng.normal(size=(8, 4))
    users[4] = 0  # has no features
    items[3] = 0  # scores 0, more than a negative score
    train = scipy.sparse.csr_array(adjacency, dtype=np.float32)
    actual = jax.jit(modality_graph.relation_graph, static_argnames=("k", "blocks"))(
        jnp.asarray(users, jnp.float32),
        jnp.asarray(items, jnp.float32),
        training_pairs.pair_tables(train),
        k=k,
        blocks=modality_graph.user_blocks(train, block),
    )
    expected = oracle.relation_graph(users, items, adjacency, k)
    assert expected.sum(axis=1).tolist()[1:7:5] == [0, min(k, 2)]
    assert not expected[4].any()
    check_order(actual.user_item)
    check_order(actual.item_user)
    close = partial(np.testing.assert_allclose, rtol=1e-6)
    close(dense(actual.user_item.matrix), oracle.norm(expected))
    close(dense(actual.item_user.matrix), oracle.norm(expected.T))


@pytest.mark.parametrize("builder", [name for name in BUILDERS if name != "from_scipy"])
@pytest.mark.parametrize("kind", INPUTS)
def test_any_rows_of_a_host_graph_are_those_of_the_whole(builder, kind):
    graph = BUILDERS[builder][0](INPUTS[kind])
    for rows, whole in ((graph.rows, graph.matrix), (graph.columns, graph.transpose)):
        count, wanted = rows.shape[0], dense(whole)
        assert rows.starts[-1] == np.count_nonzero(wanted)
        for first, end in ((0, 0), (0, 1), (2, 5), (4, count), (0, count), (count, count)):
            block = rows.block(first, end)
            np.testing.assert_array_equal(block.toarray(), wanted[first:end])
            np.testing.assert_array_equal(
                np.diff(block.indptr), np.diff(rows.starts[first : end + 1])
            )


def test_a_host_graph_is_made_once_also_inside_a_trace():
    graph = interaction_graph.symmetric_joint_graph(INPUTS["bool"])
    x = jnp.asarray(random_matrix((12, 3), 1.0), jnp.float32)
    inside = jax.jit(lambda x: sparse.spmm(graph, x))(x)  # closes over it
    assert graph.on_device is graph.on_device
    assert graph.matrix is graph.transpose  # it is symmetric
    np.testing.assert_array_equal(inside, spmm(graph, x))


@pytest.mark.parametrize("limit", ["edges", "rows"])
def test_a_graph_beyond_int32_is_refused(limit):
    size = 2**31 if limit == "rows" else 3
    part = scipy.sparse.csr_array((3, 3))
    rows = host_graph.Rows((part,), (0,), np.broadcast_to(np.ones(1), (size,)), np.ones(3))
    rows.__dict__["starts"] = np.asarray([0, 0, 0, 2**31 if limit == "edges" else 0])
    with pytest.raises(InputError, match="exceeds int32"):
        _ = host_graph.HostGraph(rows, rows).on_device
