"""The content's graph against a dense computation in float64."""

import numpy as np
import pytest

from mmssl_jax.graphs.content_graph import content_graph, nearest, similarity, whitened

ITEMS, K = 90, 6
SHARPNESS = 7.0


@pytest.fixture
def features():
    rng = np.random.default_rng(4)
    return {
        "image": (rng.normal(size=(ITEMS, 20)) * rng.uniform(0.1, 9, 20)).astype(np.float32),
        "text": rng.normal(size=(ITEMS, 7)).astype(np.float32) + 3,
    }


def dense(features, present, rank):
    """`items * D^-1/2 E D^-1/2` in float64, by singular value decompositions; 0 on the diagonal."""
    total, known = np.zeros((ITEMS, ITEMS)), np.zeros(ITEMS, bool)
    for name, values in features.items():
        own = present.get(name, np.ones(ITEMS, bool))
        rows = values[own].astype(np.float64)
        rows = (rows - rows.mean(0)) / rows.std(0)
        kept = min(rank, own.sum() // 8, values.shape[1])
        left = np.zeros((ITEMS, kept))
        left[own] = np.linalg.svd(rows, full_matrices=False)[0][:, :kept]
        lengths = np.linalg.norm(left, axis=1, keepdims=True)
        left = left / np.where(lengths > 0, lengths, 1)
        total += left @ left.T
        known |= own
    similar = np.exp(SHARPNESS / len(features) * total)
    similar[~known] = similar[:, ~known] = 0
    np.fill_diagonal(similar, 0)
    sums = similar.sum(1)
    scale = np.where(sums > 0, np.where(sums > 0, sums, 1) ** -0.5, 0)
    return ITEMS * scale[:, None] * similar * scale[None, :]


def built(features, present, rank=5, order=None):
    return content_graph(
        features,
        present,
        sharpness=SHARPNESS,
        rank=rank,
        neighbors=K,
        tie_order=np.arange(ITEMS) if order is None else order,
    )


def filled(graph):
    """The edges as a dense matrix."""
    result = np.zeros((ITEMS, ITEMS))
    np.put_along_axis(result, np.asarray(graph.items), np.asarray(graph.weights), axis=1)
    return result


def largest(matrix):
    """A matrix with the K largest of each row, 0 elsewhere."""
    return np.where(matrix >= np.sort(matrix, axis=1)[:, -K][:, None], matrix, 0)


@pytest.mark.parametrize("rank", [5, 64])
def test_edges_are_those_of_a_dense_computation(features, rank):
    found = filled(built(features, {}, rank))
    np.testing.assert_allclose(found, largest(dense(features, {}, rank)), rtol=1e-5, atol=1e-6)


def test_items_without_a_modality_are_compared_by_the_others(features):
    rng = np.random.default_rng(5)
    present = {name: rng.random(ITEMS) < 0.7 for name in features}
    nothing = ~(present["image"] | present["text"])
    assert nothing.any()
    graph = built(features, present)
    expected = largest(dense(features, present, 5))
    np.testing.assert_allclose(filled(graph), expected, rtol=1e-5, atol=1e-6)
    assert not filled(graph)[nothing].any()
    assert not filled(graph)[:, nothing].any()
    # What stands in the rows that are missing has no part.
    other = {name: np.where(present[name][:, None], x, 99.0) for name, x in features.items()}
    np.testing.assert_array_equal(built(other, present).weights, graph.weights)


def test_numbering_has_no_part_even_where_features_are_equal(features):
    features = {name: values[np.arange(ITEMS) // 3] for name, values in features.items()}
    rng = np.random.default_rng(6)
    order, numbers = rng.permutation(ITEMS), rng.permutation(ITEMS)  # item i is numbers[i] now
    old = built(features, {}, order=order)
    anew = {name: values[np.argsort(numbers)] for name, values in features.items()}
    new = built(anew, {}, order=numbers[order])
    moved = filled(new)[np.ix_(numbers, numbers)]
    np.testing.assert_allclose(moved, filled(old), rtol=1e-5)


def test_whitened_columns_without_variance_have_no_part(features):
    values = features["text"]
    wide = np.concatenate([values, np.full((ITEMS, 3), 8.0, np.float32), values[:, :2]], axis=1)
    known = np.ones(ITEMS, bool)
    assert whitened(wide, known, 64).shape == (ITEMS, values.shape[1])
    assert whitened(np.full((ITEMS, 4), 2.0, np.float32), known, 64).shape == (ITEMS, 0)


def test_some_items_get_neighbours_among_others(features):
    of, among = np.array([7, 3, 80]), np.arange(ITEMS) % 3 > 0
    similar = similarity(features, {}, sharpness=SHARPNESS, rank=5, tie_order=np.arange(ITEMS))
    found = nearest(similar, K, of=of, among=among)
    allowed = np.where(among[None, :], dense(features, {}, 5), 0)[of]
    expected = np.where(allowed >= np.sort(allowed, axis=1)[:, -K][:, None], allowed, 0)
    matrix = np.zeros((len(of), ITEMS))
    np.put_along_axis(matrix, np.asarray(found.items), np.asarray(found.weights), axis=1)
    np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("items", [40, 60, 100])
def test_a_few_items_are_near_those_of_their_topic(items):
    rng = np.random.default_rng(7)
    topics = np.arange(items) % 5
    features = rng.normal(size=(5, 128))[topics] + 0.7 * rng.normal(size=(items, 128))
    near = content_graph(
        {"image": features.astype(np.float32)},
        {},
        sharpness=11.0,
        rank=64,
        neighbors=5,
        tie_order=np.arange(items),
    ).items
    assert np.mean(topics[np.asarray(near)] == topics[:, None]) > 0.9
