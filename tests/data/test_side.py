"""Users' features, items' attributes and augmented pairs beside a canonical folder."""

import dataclasses
import json
import pickle

import numpy as np
import pytest
from worlds import mmssl, with_side_information

from mmssl_jax import data
from mmssl_jax.commands import main
from mmssl_jax.data.features.side import ATTRIBUTES, PAIRS, PROFILES
from mmssl_jax.data.importing import catalogue
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError


@pytest.fixture(name="folder")
def _folder(tmp_path):
    return with_side_information(tmp_path / "d")


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


def test_without_content_it_is_read_all_the_same(folder):
    dataset = data.load(str(folder), "none")
    assert not dataset.features
    assert dataset.user_features.keys() == {"profile"}
    assert len(dataset.augmented) == 2


def test_it_is_read_in_another_layout(folder, tmp_path):
    demo, other = data.load(str(folder)), tmp_path / "lightgcn"
    other.mkdir()
    for split in ("train", "val", "test"):
        matrix = getattr(demo, split)
        rows = np.split(matrix.indices, matrix.indptr[1:-1])
        lines = [" ".join(map(str, [user, *items])) for user, items in enumerate(rows)]
        (other / f"{split}.txt").write_text("\n".join(lines) + "\n")
    for path in folder.glob("*.npy"):
        (other / path.name).write_bytes(path.read_bytes())
    found = data.load(str(other))
    np.testing.assert_array_equal(found.augmented, demo.augmented)
    assert found.attributes.keys() == {"title"}


@pytest.mark.parametrize("modality", [[], ["--modality", "image=image.npy"]])
def test_import_keeps_it(folder, tmp_path, monkeypatch, modality):
    expected = data.load(str(folder))
    monkeypatch.chdir(folder)
    (folder / "image_feat.npy").rename(folder / "image.npy")
    for path in [folder / "audio_feat.npy", folder / "text_feat.npy"]:
        path.unlink()
    arguments = ["data", "import", str(folder), "--to", str(tmp_path / "new"), *modality]
    main(arguments)
    found = data.load(str(tmp_path / "new"), "none")
    np.testing.assert_array_equal(found.augmented, expected.augmented)
    np.testing.assert_array_equal(found.attributes["title"], expected.attributes["title"])


def test_items_that_are_left_out_go_with_their_attributes_and_pairs(folder):
    dataset = data.load(str(folder))
    shorter = {name: getattr(dataset, name).copy() for name in ("train", "val", "test")}
    for matrix in shorter.values():
        matrix.data[matrix.indices >= 2000] = 0
        matrix.eliminate_zeros()
    augmented = np.array([[0, 1, 2], [1, 3, 2100]])
    found = catalogue.trimmed(dataclasses.replace(dataset, **shorter, augmented=augmented), folder)
    assert len(found.attributes["title"]) == found.num_items <= 2000
    np.testing.assert_array_equal(found.augmented, [[0, 1, 2]])
    assert "with 1 augmented pair" in found.warnings[-1]


def test_a_modality_is_not_called_as_side_information_is(folder, tmp_path, capsys):
    array = folder / "image_feat.npy"
    for name in ("user_x", "attribute_x"):
        arguments = ["data", "import", str(folder), "--to", str(tmp_path / name)]
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, "--modality", f"{name}={array}"])
        assert stopped.value.code == 2
        assert name in capsys.readouterr().err
        assert not (tmp_path / name).exists()


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


@pytest.fixture(name="published")
def _published(folder):
    """The folder with LLMRec's own pickles in the place of the arrays."""
    dataset = data.load(str(folder))
    for path in [
        *folder.glob("user_*"),
        *folder.glob("attribute_*"),
        folder / "augmented_edges.npy",
    ]:
        path.unlink()
    write(folder / PROFILES, dict(enumerate(dataset.user_features["profile"].tolist())))
    attributes = {"title": dict(enumerate(dataset.attributes["title"]))}
    write(folder / ATTRIBUTES, attributes)
    pairs = {user: {0: liked, 1: disliked} for user, liked, disliked in dataset.augmented.tolist()}
    write(folder / PAIRS, pairs)
    return folder, dataset


def write(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_llmrec_give_the_same(published, protocol):
    folder, expected = published
    for name in (PROFILES, ATTRIBUTES, PAIRS):
        write(folder / name, pickle.loads((folder / name).read_bytes()), protocol)
    found = data.load(str(folder))
    assert not any("is not read" in line for line in found.warnings)
    np.testing.assert_array_equal(found.augmented, expected.augmented)
    for kind in ("user_features", "attributes"):
        ours, theirs = getattr(found, kind), getattr(expected, kind)
        assert ours.keys() == theirs.keys()
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array)


class Hostile:
    """Pickled as a call of `print`."""

    def __reduce__(self):
        return print, ("run",)


def of_torch():
    """What a pickled tensor asks for, without torch."""
    return b"\x80\x02}q\x00K\x00ctorch._utils\n_rebuild_tensor_v2\nq\x01(K\x00tq\x02Rq\x03s."


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (PROFILES, {0: Hostile()}, "refused, and nothing in it was run: .*print"),
        (PROFILES, pickle.dumps({0: [1.0]}, 0), "write it again by pickle.dump with protocol=4"),
        (PROFILES, of_torch(), r"torch.*by x\.tolist\(\) of a tensor"),
        (PROFILES, {0: [1.0, 2.0], 2: [1.0, 2.0]}, "each of 0 to n - 1"),
        (PROFILES, {0: [1.0, 2.0], 1: [1.0]}, "vectors of 2 and of 1 numbers"),
        (PROFILES, {0: [1.0, 2.0]}, "has 1 vectors, but there are .* users"),
        (PROFILES, {0: [np.float32(1)]}, r"by x\.tolist\(\)"),
        (PROFILES, dict.fromkeys(range(3000), [1.0] * 10_000), "more numbers than the file has"),
        (PROFILES, {2**61 - 1: [1.0]}, "numbers that are no index"),
        (ATTRIBUTES, {"../x": {0: [1.0]}}, r"the name '\.\./x' has other than letters"),
        (ATTRIBUTES, {"": {0: [1.0]}}, "the name '' has other than letters"),
        (PROFILES, {0: ["a"]}, "a list of something other than numbers"),
        (PROFILES, [1.0, 2.0], "no dict"),
        (PROFILES, {(1, 2): [1.0]}, "fills something other"),
        (ATTRIBUTES, {3: {0: [1.0]}}, "no dict of names"),
        (ATTRIBUTES, {"title": {0: [float("nan")]}}, "NaN or infinite"),
        (PAIRS, {0: {0: 1}}, r"a liked \(0\) and a disliked \(1\) item"),
        (PAIRS, {0: {0: 1, 1: 2.5}}, "a liked"),
        (PAIRS, {"0": {0: 1, 1: 2}}, "not whole numbers"),
        (PAIRS, {10**9: {0: 1, 1: 2}}, "a user outside"),
    ],
)
def test_other_pickles_are_refused(published, capsys, name, content, message):
    folder, _ = published
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        write(folder / name, content)
    with pytest.raises(InputError, match=message):
        data.load(str(folder))
    assert not capsys.readouterr().out


def test_an_import_says_which_pickles_it_read(published, tmp_path):
    folder, _ = published
    mmssl("data", "import", folder, "--to", tmp_path / "new")
    files = json.loads((tmp_path / "new" / "dataset.json").read_text())["source"]["files"]
    assert {PROFILES, ATTRIBUTES, PAIRS} <= files.keys()


def test_a_cut_pickle_is_refused(published):
    folder, _ = published
    whole = (folder / PROFILES).read_bytes()
    (folder / PROFILES).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=f"{PROFILES}: refused"):
        data.load(str(folder))


def test_it_is_listed_by_check_and_import(folder, tmp_path, capsys):
    mmssl("data", "check", folder)
    listed = capsys.readouterr().out
    assert "side information" in listed
    assert "user_profile" in listed
    mmssl("data", "check", folder, "--json")
    facts = json.loads(capsys.readouterr().out)["data"]["side"]
    assert facts["user_profile"] == {"rows": 3000, "width": 5, "zero": 0}
    assert facts["augmented"] == {"rows": 2, "width": 3, "zero": 0}
    mmssl("data", "import", folder, "--to", tmp_path / "new")
    printed = capsys.readouterr().out
    assert "attribute_title" in printed
    assert "next: mmssl train --config llmrec --workdir" in printed


def test_what_llmrec_would_read_and_is_not_there_is_said(folder, tmp_path, capsys):
    (folder / "user_profile_feat.npy").unlink()
    (folder / "augmented_edges.npy").unlink()
    argv = ["train", "--config=llmrec", f"--config.data.path={folder}", f"--workdir={tmp_path}/run"]
    argv += ["--config.train.epochs=1", "--config.train.steps_per_epoch=1"]
    mmssl(*argv)
    line = "has no users' features and no augmented pairs; llmrec trains without"
    assert line in capsys.readouterr().err


@pytest.mark.parametrize("name", ["augmented_edges.npy", PROFILES, ATTRIBUTES, PAIRS])
def test_what_is_no_file_is_refused(folder, name):
    for path in [*folder.glob("user_*"), *folder.glob("attribute_*"), *folder.glob("augmented_*")]:
        path.unlink()
    (folder / name).mkdir()
    with pytest.raises(InputError, match=f"{name}: is no file"):
        data.load(str(folder))


def test_the_faults_of_netflix_are_found_and_another_split_is_offered(tmp_path, capsys):
    """As it is published: val is test, few feature rows are of items that occur, most are cold."""
    folder, rng = tmp_path / "netflix", np.random.default_rng(0)
    folder.mkdir()
    train = {str(user): rng.choice(8, 5, replace=False).tolist() for user in range(20)}
    held = {str(user): [8 + user % 6] for user in range(20)}
    for split, pairs in (("train", train), ("val", held), ("test", held)):
        (folder / f"{split}.json").write_text(json.dumps(pairs))
    np.save(folder / "image_feat.npy", rng.normal(size=(30, 4)))
    mmssl("data", "check", folder)
    said = capsys.readouterr().out
    assert "val IS THE SAME AS test" in said
    assert "--val-from-train' holds one out of the training pairs" in said
    assert "16 of 30 items are in NO SPLIT" in said
    assert "22 of 30 items have no training pair" in said
    mmssl("data", "import", folder, "--to", tmp_path / "own", "--val-from-train")
    own = data.load(str(tmp_path / "own"))
    assert own.val.nnz == 20
    assert own.train.nnz == 80
    assert own.test.nnz == 20
    assert not any("IS THE SAME" in line for line in own.warnings)
    np.save(folder / "user_profile_feat.npy", np.ones((20, 2)))
    capsys.readouterr()
    mmssl("data", "import", folder, "--to", tmp_path / "more", "--val-from-train")
    assert "may be made of pairs that are validation now" in " ".join(
        capsys.readouterr().out.split()
    )
