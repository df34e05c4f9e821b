"""Data folders whose files were damaged, or edited on purpose."""

import json

import numpy as np
import pytest
from worlds import code_of, mmssl, world

from mmssl_jax import data
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError
from mmssl_jax.files import checksums


@pytest.fixture(name="folder")
def _folder(tmp_path):
    canonical.write(world(), tmp_path / "data", {})
    return tmp_path / "data"


def refusal(folder, modalities: str = "") -> str:
    with pytest.raises(InputError) as caught:
        data.load(str(folder), modalities)
    return str(caught.value)


def change_features(folder) -> None:
    values = np.load(folder / "text_feat.npy")
    values[3, 1] += 1
    np.save(folder / "text_feat.npy", values)


def test_every_file_is_listed(folder):
    listed = (folder / checksums.FILE).read_text().splitlines()
    names = {path.name for path in folder.iterdir()} - {checksums.FILE}
    assert {line[66:] for line in listed} == names


def test_other_features_are_refused_with_how_to_accept_them(folder):
    change_features(folder)
    assert refusal(folder) == (
        f"{folder}/text_feat.npy: is not what files.sha256 lists, so one of the two was edited or "
        "damaged; make the folder again, or, if the change is meant, mmssl data check "
        f"{folder} --accept"
    )
    assert list(data.load(str(folder), "image").features) == ["image"]  # which are as they were


def test_features_that_vanish_are_not_done_without_in_silence(folder):
    (folder / "text_feat.npy").unlink()
    assert "text_feat.npy: is missing, and files.sha256 lists it" in refusal(folder, "image,text")
    assert list(data.load(str(folder), "image").features) == ["image"]


def test_what_was_edited_can_be_accepted(folder, capsys):
    change_features(folder)
    split = json.loads((folder / "test.json").read_text())
    del split["3"]
    (folder / "test.json").write_text(json.dumps(split))
    assert code_of(["data", "check", str(folder)]) == 1
    assert "test.json: is not what files.sha256 lists" in capsys.readouterr().out
    mmssl("data", "check", folder, "--accept")
    dataset = data.load(str(folder))
    assert dataset.test[[3]].nnz == 0
    assert json.loads((folder / "dataset.json").read_text())["sha256"] == dataset.split_fingerprints


def test_what_is_wrong_is_not_accepted(folder, capsys):
    (folder / "test.json").write_text("{")
    before = (folder / checksums.FILE).read_bytes()
    assert code_of(["data", "check", str(folder), "--accept"]) == 1
    assert (folder / checksums.FILE).read_bytes() == before
    assert code_of(["data", "check", str(folder), "--accept", "--modalities=image"]) == 2
    assert "leave out --modalities" in capsys.readouterr().err


def test_a_hand_made_folder_needs_no_list_and_can_get_one(folder):
    (folder / checksums.FILE).unlink()
    change_features(folder)
    data.load(str(folder))
    mmssl("data", "check", folder, "--accept")
    change_features(folder)
    assert "text_feat.npy: is not what" in refusal(folder)


def test_marking_what_is_missing_keeps_the_list_true(folder):
    values = np.load(folder / "text_feat.npy")
    values[5] = 0
    np.save(folder / "text_feat.npy", values)
    mmssl("data", "check", folder, "--accept", "--mark-missing")
    assert not data.load(str(folder)).present["text"][5]
    np.save(folder / "text_present.npy", np.ones(len(values), bool))
    assert "text_present.npy: is not what" in refusal(folder)
