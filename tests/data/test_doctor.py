"""The doctor: every check reports what is wrong, all at once, and training refuses the same."""

import json
import pickle
import subprocess
import sys

import data_layouts_writers as writers
import numpy as np
import pytest
import scipy.sparse
from data_layouts_writers import small
from worlds import REAL, mmssl, snapshot

from mmssl_jax.data import load
from mmssl_jax.data.checks import doctor
from mmssl_jax.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """A canonical folder without fault: 3 users, 4 items, image features, raw ids."""
    return writers.write_canonical(small(), tmp_path / "data")


def check(path, *options: str):
    """What the doctor finds, as (level, check) pairs and messages."""
    _, findings = doctor.examine(path, *options or ("",))
    return [(one.level, one.check, one.message) for one in findings.listed]


def run(capsys, *argv) -> tuple[int, str]:
    """Exit code and standard output."""
    code = 0
    try:
        mmssl("data", "check", *argv)
    except SystemExit as error:
        code = error.code
    output = capsys.readouterr()
    assert output.err == ""
    return code, output.out


def edit(folder, name, change):
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def save(folder, values, name="image_feat.npy"):
    np.save(folder / name, np.asarray(values))


def widen(folder):
    """One more item, which only the features know."""
    (folder / "dataset.json").unlink()
    (folder / "items.tsv").unlink()
    save(folder, np.ones((9, 2), np.float32) + np.arange(9)[:, None])


def put(name, text):
    return lambda folder: (folder / name).write_text(text)


FEATURES = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
FAULTS = {
    # what is spoilt: (how, level, check, what is said)
    "id no integer": (put("train.json", '{"0": ["1"]}'), "error", "split", "user 0 has item '1'"),
    "id below zero": (put("train.json", '{"0": [-1]}'), "error", "split", "user 0 has item -1"),
    "gap": (
        lambda folder: [widen(folder), edit(folder, "train.json", lambda c: c["0"].append(7))],
        "warning",
        "unused",
        "4 of 9 items are in NO SPLIT; 3 of their indices lie below the largest in use, 7",
    ),
    "duplicate pair": (
        lambda folder: edit(folder, "train.json", lambda content: content["0"].append(0)),
        "warning",
        "duplicates",
        "merged 1 repeated pair of the train split",
    ),
    "pair in two splits": (
        lambda folder: edit(folder, "test.json", lambda content: content.update({"0": [2]})),
        "error",
        "overlap",
        "1 pair is in both val and test, the first is user 0, item 2",
    ),
    "val equal to test": (
        lambda folder: put("val.json", (folder / "test.json").read_text())(folder),
        "warning",
        "val is test",
        "val IS THE SAME AS test",
    ),
    "empty split": (put("val.json", '{"0": []}'), "error", "empty", "the val split is empty"),
    "cold user": (
        lambda folder: edit(folder, "train.json", lambda content: content.pop("1")),
        "warning",
        "cold",
        "1 of 3 users has no training pair",
    ),
    "user in no split": (
        lambda folder: [
            edit(folder, "dataset.json", lambda content: content.update(users=4)),
            (folder / "users.tsv").unlink(),
        ],
        "warning",
        "unused",
        "1 of 4 users are in NO SPLIT",
    ),
    "too few rows": (
        lambda folder: save(folder, FEATURES[:3]),
        "error",
        "rows",
        "has 3 rows, but there are 4 items (from the splits); row i must be item i",
    ),
    "dtype": (lambda folder: save(folder, FEATURES.astype(int)), "error", "features", "integers"),
    "objects": (
        lambda folder: save(folder, FEATURES.astype(object)),
        "error",
        "features",
        "Python objects",
    ),
    "nan": (
        lambda folder: save(folder, np.where(FEATURES == 4, np.nan, FEATURES)),
        "error",
        "features",
        "1 NaN or infinite values, the first in row 1",
    ),
    "zero row": (
        lambda folder: save(folder, FEATURES * [[1], [0], [1], [0]]),
        "warning",
        "zero rows",
        "2 of 4 image feature rows are all zero",
    ),
    "rows that are all the same": (
        lambda folder: save(folder, FEATURES[[1, 1, 1, 1]]),
        "warning",
        "repeated rows",
        "3 of 4 image feature rows repeat an earlier row; ALL are the same",
    ),
    "transposed": (
        lambda folder: save(folder, FEATURES.T.copy()),
        "error",
        "rows",
        "row i must be item i; it has so many columns: is it transposed?",
    ),
    "transposed and wide": (
        lambda folder: [widen(folder), save(folder, np.eye(9, 4, dtype=np.float32) + 1)],
        "warning",
        "counts",
        "image_feat.npy has 4 columns: is it transposed (save array.T)?",
    ),
    "of users": (
        lambda folder: [
            widen(folder),
            (folder / "users.tsv").unlink(),
            edit(folder, "train.json", lambda content: content.update({"8": []})),
        ],
        "warning",
        "counts",
        "image_feat.npy has as many rows as there are users: is it of users?",
    ),
    "repeated row": (
        lambda folder: save(folder, FEATURES[[0, 1, 0, 0]]),
        "warning",
        "repeated rows",
        "2 of 4 image feature rows repeat an earlier row",
    ),
    "missing": (
        lambda folder: save(folder, [True, False, True, True], "image_present.npy"),
        "warning",
        "missing",
        "1 of 4 items has no image",
    ),
    "mask of numbers": (
        lambda folder: save(folder, [1, 0, 1, 1], "image_present.npy"),
        "error",
        "missing",
        "it must hold a boolean for each of the 4 items",
    ),
    "train_mat": (
        lambda folder: (folder / "train_mat").write_bytes(
            pickle.dumps(scipy.sparse.csr_matrix(np.eye(3, 4)))
        ),
        "warning",
        "train_mat",
        "train_mat: 5 pairs are in it or in train.json but not in both",
    ),
    "fingerprint": (
        lambda folder: edit(folder, "test.json", lambda content: content.update({"0": [3]})),
        "error",
        "fingerprint",
        "test.json: does not have the sha256 that dataset.json records",
    ),
    "counts": (
        lambda folder: edit(folder, "dataset.json", lambda content: content.update(items=3)),
        "warning",
        "counts",
        "the number of items is taken as 4, the largest of the splits 4, dataset.json 3",
    ),
    "raw ids": (put("users.tsv", "0\ta\n"), "error", "ids", "every index from 0 to 2 once"),
    "about": (put("dataset.json", '{"name": 3}'), "error", "about", "'name' is not a valid str"),
    "split missing": (
        lambda folder: (folder / "val.json").unlink(),
        "error",
        "files",
        "val.json missing beside train.json",
    ),
    "no features": (
        lambda folder: (folder / "image_feat.npy").unlink(),
        "error",
        "modalities",
        "no <modality>_feat.npy found",
    ),
}


def test_nothing_is_wrong(folder, capsys):
    assert check(folder) == []
    code, output = run(capsys, folder)
    assert code == 0
    assert "small: 3 users, 4 items" in output
    assert "no errors" in output
    assert "no warnings" in output


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_found_and_training_agrees(folder, name):
    spoil, level, check_name, says = FAULTS[name]
    if name not in ("fingerprint", "counts", "user in no split"):
        edit(folder, "dataset.json", lambda content: content.pop("sha256"))
    spoil(folder)
    found = check(folder)
    matching = [one for one in found if one[:2] == (level, check_name) and says in one[2]]
    assert len(matching) == 1, found
    errors = [message for kind, _, message in found if kind == "error"]
    assert (level == "error") == bool(errors)
    if errors:
        with pytest.raises(InputError) as caught:
            load(str(folder))
        assert str(caught.value) == errors[0]
    else:
        assert list(load(str(folder)).warnings) == [message for *_, message in found]


def test_all_errors_are_reported_at_once(folder):
    save(folder, FEATURES[:3])
    save(folder, FEATURES * np.nan, "text_feat.npy")
    save(folder, [1.0, 2.0], "sound_feat.npy")
    put("users.tsv", "")(folder)
    put("test.json", "{")(folder)
    edit(folder, "val.json", lambda content: content["0"].append(1))
    errors = [(name, message) for level, name, message in check(folder) if level == "error"]
    expected = [
        ("split", "test.json: is not valid JSON"),
        ("ids", "users.tsv: must list every index"),
        ("rows", "image_feat.npy: has 3 rows"),
        ("features", "sound_feat.npy: has shape (2,)"),
        ("features", "text_feat.npy: 12 NaN"),
        ("overlap", "1 pair is in both train and val, the first is user 0, item 1"),
        ("fingerprint", "val.json: does not have the sha256"),
    ]
    assert sorted(name for name, _ in errors) == sorted(name for name, _ in expected)
    for name, says in expected:
        assert any(name == one and says in message for one, message in errors), (name, errors)


@pytest.mark.parametrize("layout", writers.WRITERS)
def test_all_errors_in_every_layout(tmp_path, layout):
    folder = writers.WRITERS[layout](small(), tmp_path / "data")
    save(folder, FEATURES[:3])
    save(folder, FEATURES * np.nan, "text_feat.npy")
    for path in folder.rglob("*"):
        if path.name in ("test.json", "tstMat.pkl", "data.inter", "test.txt"):
            path.write_bytes(b"\x00")
    errors = [message for level, _, message in check(folder) if level == "error"]
    rows = ["image_feat.npy: has 3 rows"] if layout != "mmrec" else []
    for says in ["text_feat.npy: 12 NaN", *rows]:
        assert any(says in message for message in errors), errors
    assert len([message for message in errors if "\x00" in message or "refused" in message]) <= 1
    assert len(errors) == 3


def test_a_matrix_of_another_shape_is_one_error_of_many(tmp_path):
    folder = writers.write_diffmm(small(), tmp_path / "data")
    wide = scipy.sparse.coo_matrix(np.eye(3, 5)[:, [0, 3, 2, 1, 4]])
    (folder / "valMat.pkl").write_bytes(pickle.dumps(wide, 3))
    errors = [message for level, _, message in check(folder) if level == "error"]
    assert any("valMat.pkl: has shape (3, 5), but trnMat.pkl has (3, 4)" in text for text in errors)
    assert any("image_feat.npy: has 4 rows, but there are 5 items" in text for text in errors)


def test_errors_exit_with_1_and_are_apart_from_warnings(folder, capsys):
    save(folder, np.zeros((4, 2)))
    edit(folder, "test.json", lambda content: content.update({"0": [2]}))
    code, output = run(capsys, folder)
    assert code == 1
    errors, warnings = output.partition("1 warning")[::2]
    assert "2 errors" in errors
    assert "in both val and test" in errors
    assert "feature rows are all zero" in warnings


def test_json_alone_goes_to_stdout(folder, capsys):
    save(folder, FEATURES * [[1], [0], [1], [1]])
    code, output = run(capsys, "--json", folder)
    report = json.loads(output)
    assert code == 0
    assert report["data"]["fingerprint"] == small().fingerprint
    assert report["data"]["splits"]["train"] == {
        "pairs": 4,
        "users": 3,
        "items": 4,
        "sha256": small().split_fingerprints["train"],
    }
    assert report["data"]["features"] == {"image": {"rows": 4, "width": 3, "missing": 0, "zero": 1}}
    assert [(one["level"], one["check"]) for one in report["findings"]] == [
        ("warning", "zero rows")
    ]
    put("train.json", '{"49000000": [0]}')(folder)
    code, output = run(capsys, folder, "--json", "--modalities", "none")
    report = json.loads(output)
    assert (code, report["data"]) == (1, None)
    assert "49000001 users" in report["findings"][-1]["message"]


def test_modalities_are_chosen(folder, capsys):
    save(folder, FEATURES * np.nan)
    save(folder, FEATURES, "text_feat.npy")
    assert run(capsys, folder, "--modalities", "text")[0] == 0
    assert run(capsys, folder, "--modalities=none")[0] == 0
    assert run(capsys, folder, "--modalities", "image,text")[0] == 1
    assert run(capsys, folder, "--modalities", "smell")[0] == 1


@pytest.mark.parametrize("argv", [[], ["a", "b"], ["--nosuch"], ["data", "--mod", "none"]])
def test_bad_usage_is_one_line(argv):
    with pytest.raises(InputError, match=r"mmssl data check --help") as caught:
        mmssl("data", "check", *argv)
    assert "\n" not in str(caught.value)


def test_a_reader_that_has_enough_is_no_crash(folder):
    argv = [sys.executable, "-m", "mmssl_jax", "data", "check", str(folder), "--json"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_no_folder_is_bad_usage(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        mmssl("data", "check", str(tmp_path / "nope"))


def test_an_unknown_layout_is_an_error(tmp_path, capsys):
    code, output = run(capsys, tmp_path)
    assert code == 1
    assert "no known data layout" in output


def test_checking_writes_nothing(folder, capsys):
    before = snapshot(folder)
    run(capsys, folder)
    assert snapshot(folder) == before


def test_what_steers_a_terminal_is_not_printed(folder, capsys):
    edit(folder, "dataset.json", lambda content: content.update(name="\x1b[31m[bold]x\n"))
    _, output = run(capsys, folder)
    assert "\x1b" not in output
    assert "?[31m[bold]x?: 3 users" in output


def test_missing_rows_are_marked(folder, capsys):
    save(folder, FEATURES * [[1], [0], [1], [0]])
    save(folder, FEATURES, "text_feat.npy")
    code, output = run(capsys, folder, "--mark-missing")
    assert code == 0
    assert "image_present.npy; 2 items lack the image" in output
    np.testing.assert_array_equal(
        np.load(folder / "image_present.npy"), [True, False, True, False], strict=True
    )
    assert sorted(path.name for path in folder.glob("*present*")) == ["image_present.npy"]
    data = load(str(folder))
    assert any("2 of 4 items have no image" in text for text in data.warnings)
    assert not any("all zero" in text for text in data.warnings)


def test_marking_keeps_what_was_marked(folder, capsys):
    save(folder, FEATURES * [[1], [0], [1], [1]])
    save(folder, [True, True, True, False], "image_present.npy")
    code, output = run(capsys, folder, "--mark-missing", "--json")
    assert (code, json.loads(output)["marked"]) == (0, {"image": 2})
    np.testing.assert_array_equal(np.load(folder / "image_present.npy"), [1, 0, 1, 0])


@pytest.mark.parametrize("spoil", ["errors", "all zero"])
def test_nothing_is_marked_in_a_bad_folder(folder, capsys, spoil):
    save(folder, FEATURES * [[0], [1], [1], [1]])
    if spoil == "errors":
        save(folder, FEATURES[:2], "text_feat.npy")
        assert run(capsys, folder, "--mark-missing")[0] == 1
    else:
        save(folder, FEATURES * 0, "text_feat.npy")
        with pytest.raises(InputError, match=r"text_feat\.npy: all rows are zero; remove the file"):
            mmssl("data", "check", str(folder), "--mark-missing")
    assert list(folder.glob("*present*")) == []


def test_only_canonical_folders_are_marked(tmp_path):
    folder = writers.write_mmrec(small(), tmp_path)
    with pytest.raises(InputError, match="import this one first"):
        mmssl("data", "check", str(folder), "--mark-missing")


def test_real_data(capsys):
    if not (folder := REAL / "tiktok").is_dir():
        pytest.skip(f"no data in {folder}")
    code, output = run(capsys, folder)
    assert code == 0
    assert "10 of 9308 users have no training pair" in output
    assert "465 of 6710 items have no training pair" in output
    assert "no errors" in output
