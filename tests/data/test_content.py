"""Features as models are given them: missing rows, standardised columns."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from worlds import ITEMS, Place, world

from mmssl_jax import models, training
from mmssl_jax.data.features import content
from mmssl_jax.errors import InputError
from mmssl_jax.models import missing
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session

MISSING = np.array([0, 5, 9])
ALL = "--config.data.modalities="


def lacking(dataset=None):
    """The tiny data set, where three items have no image."""
    dataset = dataset or world()
    known = np.ones(ITEMS, bool)
    known[MISSING] = False
    features = dict(dataset.features)
    features["image"] = np.where(known[:, None], features["image"], 0)
    return dataclasses.replace(dataset, features=features, present={"image": known})


def prepared(dataset, missing="mean", zeros_missing=False, standardize=False):
    return content.prepare(
        dataset, missing=missing, zeros_missing=zeros_missing, standardize=standardize
    )


def test_a_complete_data_set_stays_as_it_is():
    found = prepared(world())
    for modality, values in world().features.items():
        np.testing.assert_array_equal(found.features[modality], values)
    assert not found.present


@pytest.mark.parametrize("missing", ["mean", "learned"])
def test_missing_rows_take_the_mean_of_the_others(missing):
    dataset = lacking()
    found = prepared(dataset, missing).features["image"]
    others = np.setdiff1d(np.arange(ITEMS), MISSING)
    np.testing.assert_array_equal(found[others], dataset.features["image"][others])
    mean = dataset.features["image"][others].mean(axis=0)
    np.testing.assert_allclose(found[MISSING], np.tile(mean, (3, 1)), rtol=1e-5, atol=1e-6)


def test_propagation_agrees_with_dense_rounds():
    dataset = lacking()
    train = dataset.train.toarray()
    to_users = train / np.maximum(train.sum(1, keepdims=True), 1)
    to_items = train.T / np.maximum(train.T.sum(1, keepdims=True), 1)
    known = dataset.present["image"]
    x = dataset.features["image"].astype(np.float64)
    x[~known] = x[known].mean(0)
    cold = train.sum(0) == 0
    for _ in range(content.ROUNDS):
        x = np.where((known | cold)[:, None], x, to_items @ (to_users @ x))
    found = prepared(dataset, "propagate").features["image"]
    np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-5)
    assert np.ptp(found[MISSING], axis=0).max() > 1e-3  # not all the same mean


def test_a_cold_item_without_features_takes_the_mean():
    dataset = world()
    train = dataset.train.tolil()
    train[:, MISSING] = 0
    dataset = lacking(dataclasses.replace(dataset, train=train.tocsr()))
    found, mean = prepared(dataset, "propagate"), prepared(dataset, "mean")
    np.testing.assert_array_equal(found.features["image"], mean.features["image"])


def test_columns_are_standardised_over_the_present_rows():
    dataset = lacking()
    dataset.features["image"][:, 0] = 3.0 + 1e-7 * np.arange(ITEMS)
    known = dataset.present["image"]
    values = prepared(dataset, standardize=True).features["image"]
    np.testing.assert_allclose(values[known].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(values[known][:, 1:].std(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(values[:, 0], 0)  # a constant column
    np.testing.assert_allclose(values[~known], 0, atol=1e-6)  # the mean


def test_all_zero_rows_are_missing_if_asked():
    dataset = world()
    dataset.features["image"][3] = 0
    assert not prepared(dataset).present
    found = prepared(dataset, zeros_missing=True)
    np.testing.assert_array_equal(np.flatnonzero(~found.present["image"]), [3])
    assert found.features["image"][3].any()


def test_a_modality_of_zeros_that_count_as_missing_is_refused():
    dataset = world()
    features = dict(dataset.features) | {"image": np.zeros_like(dataset.features["image"])}
    dataset = dataclasses.replace(dataset, features=features)
    assert not prepared(dataset, "mean").features["image"].any()
    with pytest.raises(InputError, match="all image feature rows are zero, and so missing"):
        prepared(dataset, "mean", zeros_missing=True)


def test_learned_vectors_replace_missing_rows_only():
    dataset = prepared(lacking(), "learned")
    features = {name: jnp.asarray(values) for name, values in dataset.features.items()}
    present = {"image": jnp.asarray(dataset.present["image"])}
    width = features["image"].shape[1]

    def total(vector):
        return missing.replaced(features, present, {"image": vector})["image"].sum()

    vector = jnp.arange(width, dtype=jnp.float32)
    found = missing.replaced(features, present, {"image": vector})
    np.testing.assert_array_equal(found["image"][MISSING], np.tile(vector, (3, 1)))
    known = dataset.present["image"]
    np.testing.assert_array_equal(found["image"][known], dataset.features["image"][known])
    assert found["text"] is features["text"]
    np.testing.assert_array_equal(jax.grad(total)(vector), 3.0)


@pytest.mark.parametrize("name", ["mmssl", "vbpr"])
def test_a_run_learns_the_vectors(tmp_path, name):
    place = Place(tmp_path, lacking())
    flags = [ALL, "--config.data.missing=learned", f"--config.model.name={name}"]
    place.train(*flags, "--config.critic.enabled=False", "--config.train.epochs=1")
    config = models.resolve(RunFolder(place.run).read()[0])
    dataset = session.load_data(config)
    assert not dataset.present["image"].all()  # the mask was in the folder
    state = training.best_of_run(config, dataset, RunFolder(place.run)).state
    player = "generator" if name == "mmssl" else "model"
    learned = state.params[player]["missing"]["image"]
    first = prepared(dataset, standardize=config.data.standardize).features["image"][MISSING[0]]
    assert np.abs(learned - first).max() > 1e-5
    assert not state.params[player]["missing"].keys() - {"image"}


def test_a_run_is_of_its_mask(tmp_path):
    place = Place(tmp_path, lacking())
    flags = [ALL, "--config.model.name=vbpr", "--config.train.epochs=1"]
    place.train(*flags)
    (place.data / "image_present.npy").unlink()  # the rows are zero either way
    with pytest.raises(InputError, match="is of another data set: its features"):
        place.evaluate()


def test_lattice_trains_on_propagated_features(tmp_path):
    place = Place(tmp_path, lacking())
    flags = [ALL, "--config.data.missing=propagate", "--config.model.name=lattice"]
    flags += ["--config.train.epochs=1", "--config.item_graph.neighbors=4"]
    place.train(*flags)
    means = Place(tmp_path / "mean", lacking())
    means.train(*flags, "--config.data.missing=mean")
    one, other = (each.metrics[0]["model/loss"] for each in (place, means))
    assert one != other  # the fill reaches the item graphs
    assert any("3 of 40 items have no image" in text for text in place.results["data_warnings"])


def test_a_modality_that_no_item_has_is_refused(tmp_path):
    place = Place(tmp_path)
    np.save(place.data / "image_present.npy", np.zeros(ITEMS, bool))
    with pytest.raises(InputError, match="no item has image; leave it out"):
        place.train(ALL)
    place.train(f"{ALL}text", "--config.train.epochs=1")


def test_another_fill_is_refused(tmp_path):
    place = Place(tmp_path)
    with pytest.raises(InputError, match=r"data\.missing.*one of mean, propagate, learned"):
        place.train("--config.data.missing=zero")
