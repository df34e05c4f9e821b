"""LLMRec and its side information in training: every part is optional, every setting runs."""

import numpy as np
import pytest
from worlds import with_side_information

from mmssl_jax import config as configs
from mmssl_jax import data, models, training
from mmssl_jax.errors import InputError


@pytest.fixture(name="folder")
def _folder(tmp_path):
    return with_side_information(tmp_path / "d")


def trained(folder, tmp_path, **values):
    config = configs.Config()
    given = {"data.path": str(folder), "train.epochs": 1, "train.steps_per_epoch": 2} | values
    config = configs.unflatten(configs.flatten(config) | given)
    return training.train(models.resolve(config), data.load(str(folder)), tmp_path / "run")


@pytest.mark.parametrize("name", ["lightgcn", "mmssl"])
def test_other_models_take_the_augmented_pairs(folder, tmp_path, name):
    values = {"model.name": name, "train.augmented_share": 0.1, "critic.enabled": False}
    assert trained(folder, tmp_path, **values)["epochs"] == 1


def test_a_share_of_pairs_that_are_not_there_is_refused(folder, tmp_path):
    (folder / "augmented_edges.npy").unlink()
    values = {"model.name": "lightgcn", "train.augmented_share": 0.1}
    with pytest.raises(InputError, match=r"has no augmented_edges\.npy; set it to 0"):
        trained(folder, tmp_path, **values)


def test_llmrec_has_a_share_of_its_own(folder, tmp_path):
    values = {"model.name": "llmrec", "train.augmented_share": 0.1}
    with pytest.raises(InputError, match=r"llmrec\.augmented_share"):
        trained(folder, tmp_path, **values)


@pytest.mark.parametrize(
    "values",
    [
        {
            "llmrec.mask_share": 0.2,
            "llmrec.mask_in_place": in_place,
            "llmrec.train_decoders": trained,
        }
        for in_place in (True, False)
        for trained in (True, False)
    ]
    + [{"model.variant": "paper"}, {"llmrec.prune": "easiest"}, {"llmrec.prune": "none"}]
    + [{"llmrec.mask_share": 0.2, "llmrec.mask_attributes": False}]
    + [
        {"llmrec.mask_share": 0.2, "llmrec.mask_in_place": where, "llmrec.restore": "projected"}
        | {"llmrec.mask_modalities": modalities, "llmrec.restore_weight": 0.1}
        for where in (True, False)
        for modalities in (True, False)
    ],
)
def test_every_setting_of_llmrec_trains(folder, tmp_path, values):
    assert trained(folder, tmp_path, **{"model.name": "llmrec"} | values)["epochs"] == 1


@pytest.mark.parametrize("kind", ["user_", "attribute_", "augmented"])
def test_each_part_of_the_side_information_is_optional(folder, tmp_path, kind):
    for path in [*folder.glob("user_*"), *folder.glob("attribute_*"), *folder.glob("augmented*")]:
        if not path.name.startswith(kind):
            path.unlink()
    values = {"model.name": "llmrec", "model.variant": "paper"}
    assert trained(folder, tmp_path, **values)["epochs"] == 1


@pytest.mark.parametrize("change", ["swap the profiles", "drop the pairs", "add an attribute"])
def test_a_run_is_of_its_side_information(folder, tmp_path, change):
    values = {"model.name": "llmrec"}
    trained(folder, tmp_path, **values)
    if change == "swap the profiles":
        path = folder / "user_profile_feat.npy"
        np.save(path, np.load(path)[::-1])
    elif change == "drop the pairs":
        (folder / "augmented_edges.npy").unlink()
    else:
        array = np.load(folder / "attribute_title_feat.npy")
        np.save(folder / "attribute_more_feat.npy", array)
    with pytest.raises(InputError, match="is of another data set: its side is"):
        trained(folder, tmp_path, **values, **{"train.epochs": 2})


def test_side_information_that_a_model_does_not_read_may_come_and_go(folder, tmp_path):
    values = {"model.name": "lightgcn"}
    trained(folder, tmp_path, **values)
    (folder / "user_profile_feat.npy").unlink()
    assert trained(folder, tmp_path, **values, **{"train.epochs": 2})["epochs"] == 2
    pairs = {"model.name": "lightgcn", "train.augmented_share": 0.1}
    trained(folder, tmp_path / "pairs", **pairs)
    (folder / "augmented_edges.npy").unlink()
    with pytest.raises(InputError, match="has no augmented_edges"):
        trained(folder, tmp_path / "pairs", **pairs, **{"train.epochs": 2})


def test_hidden_modalities_have_no_decoder(folder, tmp_path):
    values = {"model.name": "llmrec", "llmrec.mask_share": 0.2, "llmrec.mask_modalities": True}
    with pytest.raises(InputError, match="modalities have no decoder"):
        trained(folder, tmp_path, **values)


def test_a_share_that_hides_nobody_is_refused(folder, tmp_path):
    values = {"model.name": "llmrec", "llmrec.mask_share": 1e-5}
    with pytest.raises(InputError, match="hides nobody of 2400 users or items"):
        trained(folder, tmp_path, **values)


def test_learned_vectors_for_missing_features_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"'data\.missing' is 'learned'"):
        trained(folder, tmp_path, **{"model.name": "llmrec", "data.missing": "learned"})
