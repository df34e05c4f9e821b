"""The demo data: the same for the same seed, marked as generated, and its content has signal."""

import numpy as np
import pytest

from mmssl_jax.data import DEMO, load
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError


@pytest.fixture(scope="module")
def demo():
    return load(DEMO)


def test_same_seed_same_data(demo):
    again, other = load(DEMO, demo_seed=0), load(DEMO, demo_seed=1)
    assert again.fingerprint == demo.fingerprint != other.fingerprint
    for name, values in demo.features.items():
        np.testing.assert_array_equal(again.features[name], values)


def test_shape_of_the_demo(demo):
    assert {name: (values.shape[1], values.dtype) for name, values in demo.features.items()} == {
        "audio": (32, np.float32),
        "image": (64, np.float32),
        "text": (48, np.float32),
    }
    for split, pairs in {"val": 1, "test": 2}.items():
        assert set(np.diff(getattr(demo, split).indptr)) == {pairs}
    assert np.diff(demo.train.indptr).min() >= 5


def test_modalities_of_the_demo_are_chosen_as_any_other(demo):
    assert list(load(DEMO, "text").features) == ["text"]
    without = load(DEMO, "none")
    assert without.features == {}
    assert without.fingerprint == demo.fingerprint
    with pytest.raises(InputError, match="found: audio, image, text"):
        load(DEMO, "video")


def test_demo_is_marked_as_generated_even_from_a_folder(demo, tmp_path):
    assert demo.synthetic
    assert "synthetic" in demo.name
    canonical.write(demo, tmp_path / "copy", {"from": "the demo generator"})
    copy = load(str(tmp_path / "copy"))
    assert (copy.synthetic, copy.name, copy.fingerprint) == (True, demo.name, demo.fingerprint)


def recall_at_20(data, scores):
    scores = np.where(data.train.toarray() > 0, -np.inf, scores)
    # Stable, because counts tie and the order that argpartition leaves differs between processors.
    top = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    return np.take_along_axis(data.test.toarray(), top, axis=1).sum() / data.test.nnz


def test_content_carries_more_signal_than_interactions(demo):
    train = demo.train.toarray()
    cooccurrence = train.T @ train
    np.fill_diagonal(cooccurrence, 0)
    rows = np.hstack(
        [
            values / np.linalg.norm(values, axis=1, keepdims=True)
            for values in demo.features.values()
        ]
    )
    profiles = train @ rows
    assert recall_at_20(demo, profiles @ rows.T) > 1.6 * recall_at_20(demo, train @ cooccurrence)
