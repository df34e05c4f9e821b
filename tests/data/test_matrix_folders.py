"""Folders of matrices: the names of other families, and entries that are not 1."""

import json
import pickle

import data_layouts_writers as writers
import numpy as np
import pytest
import scipy.sparse as sp
from worlds import mmssl, world

from mmssl_jax.data import load
from mmssl_jax.data.checks import doctor
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.errors import InputError

SHAPE = (6, 8)


def write(folder, names=("trnMat.pkl", "valMat.pkl", "tstMat.pkl"), **values):
    """Six users who have item u in train, u + 1 in val and u + 2 in test, with these values."""
    folder.mkdir(exist_ok=True)
    for shift, (split, name) in enumerate(zip(SPLITS, names, strict=True)):
        users = np.arange(6)
        matrix = sp.coo_matrix((np.ones(6), (users, users + shift)), shape=SHAPE)
        matrix.data = np.asarray(values.get(split, np.ones(6)))
        if name.endswith(".npz"):
            sp.save_npz(folder / name, matrix)
        else:
            (folder / name).write_bytes(pickle.dumps(matrix))
    return folder


def warnings_of(folder, check="values"):
    _, findings = doctor.examine(folder, "none")
    return [finding.message for finding in findings.listed if finding.check == check]


@pytest.mark.parametrize(
    "names",
    [
        ("trn_mat.pkl", "val_mat.pkl", "tst_mat.pkl"),
        ("train_mat.pkl", "valid_mat.pkl", "test_mat.pkl"),
        ("trainMat.pkl", "validMat.pkl", "testMat.pkl"),
        ("train_mat.npz", "val_mat.npz", "test_mat.npz"),
        ("trnMat.pkl", "valid_mat.npz", "test_mat.pkl"),
    ],
)
def test_names_of_other_families(tmp_path, names):
    folder = write(tmp_path / "data", names)
    data = load(str(folder), "none")
    assert [getattr(data, split).nnz for split in SPLITS] == [6, 6, 6]
    assert data.fingerprint == load(str(write(tmp_path / "usual")), "none").fingerprint
    assert "values" not in " ".join(data.warnings)
    mmssl("data", "import", str(folder), "--to", str(tmp_path / "out"))
    source = json.loads((tmp_path / "out" / "dataset.json").read_text())["source"]
    assert (source["layout"], source["files"].keys()) == ("diffmm", set(names))
    mmssl("data", "import", str(folder), "--to", str(tmp_path / "named"), "--from", "sslrec")
    source = json.loads((tmp_path / "named" / "dataset.json").read_text())["source"]
    assert source["layout"] == "sslrec"


def test_a_missing_file_is_named_by_a_name_that_does(tmp_path):
    folder = write(tmp_path / "data", ("train_mat.npz", "val_mat.pkl", "test_mat.pkl"))
    (folder / "test_mat.pkl").unlink()
    with pytest.raises(InputError, match=r"tstMat\.pkl missing beside train_mat\.npz"):
        load(str(folder), "none")


def test_two_files_of_a_split_are_an_error(tmp_path):
    folder = write(tmp_path / "data")
    (folder / "train_mat.pkl").write_bytes((folder / "trnMat.pkl").read_bytes())
    with pytest.raises(InputError, match=r"holds trnMat\.pkl and train_mat\.pkl; keep the one"):
        load(str(folder), "none")


@pytest.mark.parametrize("values", [np.ones(6), np.ones(6, bool), np.ones(6, np.int8)])
def test_ones_are_no_news(tmp_path, values):
    assert warnings_of(write(tmp_path / "data", train=values)) == []


def test_dislikes_are_left_out_and_counted(tmp_path, capsys):
    folder = write(tmp_path / "data", train=[1, -1, 1, -1, 1, 1], test=[-1, 1, 1, 1, 1, 1])
    data = load(str(folder), "none")
    assert data.train.indices.tolist() == [0, 2, 4, 5]
    assert data.test.indices.tolist() == [3, 4, 5, 6, 7]
    says = (
        f"{folder}: the matrices hold 1 (15 times), -1 (3 times); 3 of 18 entries are negative "
        "and were left out, as a dislike is no pair; --min-rating X of import takes those of X or "
        "more"
    )
    assert [text for text in data.warnings if "entries" in text] == [says]
    assert warnings_of(folder) == [says]
    mmssl("data", "import", str(folder), "--to", str(tmp_path / "out"))
    assert says in capsys.readouterr().out
    assert load(str(tmp_path / "out"), "none").fingerprint == data.fingerprint


def test_ratings_are_pairs_alike_unless_there_is_a_bound(tmp_path, capsys):
    folder = write(tmp_path / "data", train=[5, 3, 0.5, 4, 1, 2])
    data = load(str(folder), "none")
    assert data.train.nnz == 6
    (says,) = [text for text in data.warnings if "values" in text or "entries" in text]
    assert "1 (13 times), 0.5 (1 times), 2 (1 times)" in says
    assert "all entries are taken as pairs alike; --min-rating X of import" in says
    argv = [str(folder), "--to", str(tmp_path / "out"), "--min-rating", "1"]
    mmssl("data", "import", *argv)
    assert load(str(tmp_path / "out"), "none").train.indices.tolist() == [0, 1, 3, 4, 5]
    assert "1 of 18 entries are below 1 and were left out" in capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert about["source"]["min_rating"] == 1


def test_negative_entries_can_be_asked_for(tmp_path):
    folder = write(tmp_path / "data", train=[1, -1, 1, -1, 1, 1])
    mmssl("data", "import", str(folder), "--to", str(tmp_path / "out"), "--min-rating", "-1")
    assert load(str(tmp_path / "out"), "none").train.nnz == 6


def test_many_values_are_summed_up(tmp_path):
    folder = write(tmp_path / "data", train=[2, 3, 4, 5, 6, 7], test=[8, 9, 10, 11, 12, 13])
    assert "(1 times) and 7 other values; all" in warnings_of(folder)[0]


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_of_dislikes_is_an_error(tmp_path, split):
    folder = write(tmp_path / "data", **{split: np.full(6, -1)})
    with pytest.raises(InputError, match=f"no entry of the {split} matrix is 0 or more"):
        load(str(folder), "none")
    assert f"the {split} matrix" in warnings_of(folder)[0]


def test_a_bound_needs_values(tmp_path):
    folder = writers.write_mmssl(world(), tmp_path / "source")
    with pytest.raises(InputError, match="--min-rating is for matrices and tables"):
        mmssl("data", "import", str(folder), "--to", str(tmp_path / "out"), "--min-rating", "1")
    assert not (tmp_path / "out").exists()


def test_dislikes_in_train_mat_are_no_pairs(tmp_path):
    folder = writers.write_mmssl(world(), tmp_path / "source")
    matrix = sp.csr_matrix(world().train)
    matrix.data[:3] = -1
    (folder / "train_mat").write_bytes(pickle.dumps(matrix, 5))
    assert any("3 pairs are in it or in train.json" in text for text in load(str(folder)).warnings)
