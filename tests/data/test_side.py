"""Users' features, items' attributes and augmented pairs beside a canonical folder."""

import numpy as np
import pytest

from mmssl_jax import data
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError


@pytest.fixture(name="folder")
def _folder(tmp_path):
    demo = data.load(data.DEMO)
    canonical.write(demo, tmp_path / "d", {})
    rng = np.random.default_rng(0)
    users, items = demo.train.shape
    np.save(tmp_path / "d/user_profile_feat.npy", rng.normal(size=(users, 5)))
    np.save(tmp_path / "d/attribute_title_feat.npy", rng.normal(size=(items, 4)))
    np.save(tmp_path / "d/augmented_edges.npy", [[3, 1, 2], [0, 5, 4], [7, items, 1], [9, 6, 6]])
    return tmp_path / "d"


def test_side_information_is_read_and_is_no_modality(folder):
    dataset = data.load(str(folder))
    assert set(dataset.features) == set(data.load(data.DEMO).features)
    assert dataset.user_features["profile"].shape == (dataset.num_users, 5)
    assert dataset.attributes["title"].dtype == np.float32
    np.testing.assert_array_equal(dataset.augmented, [[0, 5, 4], [3, 1, 2]])
    said = [line for line in dataset.warnings if "augmented_edges.npy" in line]
    assert ["1 of 4 rows" in line for line in said] == [True, True]


def test_side_information_is_written_and_read_again(folder, tmp_path):
    dataset = data.load(str(folder))
    canonical.write(dataset, tmp_path / "again", {})
    again = data.load(str(tmp_path / "again"))
    np.testing.assert_array_equal(again.augmented, dataset.augmented)
    for kind in ("user_features", "attributes"):
        ours, theirs = getattr(dataset, kind), getattr(again, kind)
        assert ours.keys() == theirs.keys()
        assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_without_content_none_is_read(folder):
    np.save(folder / "user_profile_feat.npy", np.zeros((1, 1)))
    dataset = data.load(str(folder), "none")
    assert not dataset.user_features
    assert dataset.augmented is None


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("user_profile_feat.npy", np.zeros((3, 2)), "has 3 rows, but there are .* users"),
        ("attribute_title_feat.npy", np.full((2400, 2), np.nan), "NaN or infinite"),
        ("augmented_edges.npy", np.zeros((3, 2), int), "three columns"),
        ("augmented_edges.npy", np.zeros((3, 3)), "must hold integers"),
        ("augmented_edges.npy", np.array([[0, 1, 2], [0, 3, 4]]), "a user twice"),
        ("augmented_edges.npy", np.array([[-1, 1, 2]]), "a user outside 0 to"),
        ("augmented_edges.npy", np.array([{}], object), "Python objects"),
    ],
)
def test_what_does_not_fit_is_refused(folder, name, array, message):
    np.save(folder / name, array)
    with pytest.raises(InputError, match=f"{name}: .*{message}"):
        data.load(str(folder))
