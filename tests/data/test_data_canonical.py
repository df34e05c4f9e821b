"""The canonical folder: what is read, what is refused, and that writing and reading agree."""

import dataclasses
import hashlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmssl_jax.data import load
from mmssl_jax.data.dataset import SPLITS, assemble
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError

GOOD = {
    "train": {"0": [0, 1], "1": [2], "2": [3]},
    "val": {"0": [2], "1": []},
    "test": {"1": [0], "2": [1]},
}
FEATURES = np.arange(1, 13, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def folder(tmp_path):
    """A folder without fault: 3 users, 4 items, one modality."""
    for split, content in GOOD.items():
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    np.save(tmp_path / "image_feat.npy", FEATURES)
    return tmp_path


def refusal(folder, modalities=""):
    with pytest.raises(InputError) as caught:
        load(str(folder), modalities)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message or "modalities" in message
    return message


def write_about(folder, **entries):
    (folder / "dataset.json").write_text(json.dumps(entries))


def test_good_folder(folder):
    data = load(str(folder))
    assert data.warnings == ()
    assert (data.num_users, data.num_items) == (3, 4)
    np.testing.assert_array_equal(data.train.toarray(), [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert data.train.has_canonical_format
    assert all(getattr(data, split).dtype == np.float32 for split in SPLITS)
    np.testing.assert_array_equal(data.features["image"], FEATURES)
    assert data.name == folder.name
    assert not data.synthetic
    assert data.user_ids is data.item_ids is None


def test_unsorted_items_are_sorted_and_duplicates_merged_with_a_warning(folder):
    (folder / "train.json").write_text('{"2": [3], "0": [1, 0, 1], "1": [2]}')
    data = load(str(folder))
    assert any("merged 1 repeated pair of the train split" in text for text in data.warnings)
    assert data.train.indices.tolist() == [0, 1, 2, 3]
    assert data.train.data.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"0": [' + "9" * 5000 + "]}", "not valid JSON"),
        ("[[0, 1]]", "holds a JSON list"),
        ('{"a": [1]}', "'a' is not a user index"),
        ('{"-1": [1]}', "'-1' is not a user index"),
        ('{"1.0": [1]}', "'1.0' is not a user index"),
        ('{"007": [1]}', "'007' is not a user index"),
        ('{"٣": [1]}', "is not a user index"),
        ('{"2147483647": [1]}', "'2147483647' is not a user index"),
        ('{"0": 1}', "user 0 has 1, not a list"),
        ('{"0": {"1": 1}}', "user 0 has dict, not a list"),
        ('{"0": [true]}', "user 0 has item True"),
        ('{"0": [1.0]}', "user 0 has item 1.0"),
        ('{"0": [null]}', "user 0 has item NoneType"),
        ('{"0": ["1"]}', "user 0 has item '1'"),
        ('{"0": [NaN]}', "user 0 has item nan"),
        ('{"0": [[1]]}', "user 0 has item list"),
        ('{"0": [-1]}', "user 0 has item -1"),
        ('{"0": [2147483647]}', "user 0 has item 2147483647"),
        ('{"0": [100000000000000000000000]}', "user 0 has item 1000"),
        ('{"0": [0], "0": [1]}', "key '0' is there twice"),
        ("{}", "the train split is empty"),
        ('{"0": []}', "the train split is empty"),
    ],
)
def test_bad_json_is_refused(folder, content, says):
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / "train.json").write_bytes(raw)
    assert says in refusal(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [('{"2000000000": [0]}', "2000000001 users"), ('{"0": [60000000]}', "60000001 items")],
)
def test_stray_large_id_allocates_nothing(folder, content, says):
    (folder / "train.json").write_text(content)
    assert says in refusal(folder, "none")


@pytest.mark.parametrize("split", SPLITS)
def test_empty_split_is_refused(folder, split):
    (folder / f"{split}.json").write_text("{}")
    assert f"the {split} split is empty" in refusal(folder)


@pytest.mark.parametrize(("one", "other"), [("train", "val"), ("train", "test"), ("val", "test")])
def test_overlap_is_refused_with_the_first_pair(folder, one, other):
    content = {"2": [*GOOD[one].get("2", []), 2], "0": [*GOOD[one].get("0", []), 3]}
    for split in (one, other):
        (folder / f"{split}.json").write_text(json.dumps(GOOD[split] | content))
    message = refusal(folder)
    assert f"in both {one} and {other}" in message
    assert "user 0, item" in message


def test_val_equal_to_test_is_a_loud_warning(folder):
    (folder / "val.json").write_text(json.dumps(GOOD["test"]))
    assert any("val IS THE SAME AS test" in text for text in load(str(folder)).warnings)
    (folder / "train.json").write_text(json.dumps(GOOD["train"] | GOOD["test"]))
    assert "in both train and val" in refusal(folder)


def test_cold_users_and_items_are_counted(folder):
    (folder / "train.json").write_text('{"0": [0], "3": []}')
    warnings = load(str(folder)).warnings
    assert any("3 of 4 users have no training pair" in text for text in warnings)
    assert any("3 of 4 items have no training pair" in text for text in warnings)


def test_missing_folder_names_docs_and_demo(tmp_path):
    for path in (str(tmp_path / "nope"), ""):
        with pytest.raises(InputError, match=r"does not exist.*docs/data\.md.*mmssl demo"):
            load(path)


def test_file_instead_of_folder(folder):
    with pytest.raises(InputError, match="is not a folder"):
        load(str(folder / "train.json"))


def test_unknown_layout_lists_what_is_expected(tmp_path):
    message = refusal(tmp_path)
    assert "train.json" in message
    assert "trnMat.pkl" in message


def test_incomplete_layout_names_what_is_missing(folder):
    (folder / "val.json").unlink()
    assert "val.json missing" in refusal(folder)


def test_counts_come_from_dataset_json(folder):
    write_about(folder, name="Named", synthetic=True, users=5, items=4)
    data = load(str(folder))
    assert (data.name, data.synthetic, data.num_users) == ("Named", True, 5)
    assert not any("number of" in text for text in data.warnings)


def test_differing_counts_are_said(folder):
    write_about(folder, users=2)
    assert any(
        "number of users is taken as 3, the largest of the splits 3, dataset.json 2" in text
        for text in load(str(folder)).warnings
    )


@pytest.mark.parametrize(
    "entry",
    [
        {"name": 3},
        {"synthetic": "no"},
        {"users": -1},
        {"items": True},
        {"items": 2.5},
        {"sha256": ""},
    ],
)
def test_bad_dataset_json_is_refused(folder, entry):
    write_about(folder, **entry)
    assert f"'{next(iter(entry))}' is not a valid" in refusal(folder)


def test_edited_split_is_refused_where_its_fingerprint_is_recorded(folder, tmp_path):
    copy = tmp_path / "copy"
    canonical.write(load(str(folder)), copy, {"test": True})
    (copy / "test.json").write_text('{"1": [0], "2": [0]}')
    assert "sha256" in refusal(copy)


@pytest.mark.parametrize(
    "text", ["0\ta\n1\tb\n", "0\ta\n1\tb\n1\tc\n", "0\n1\n2\n", "0\ta\n1\tb\n3\tc\n"]
)
def test_bad_id_table_is_refused(folder, text):
    (folder / "users.tsv").write_text(text)
    assert "every index from 0 to 2" in refusal(folder)


def test_id_table_in_any_order_with_further_columns(folder):
    (folder / "items.tsv").write_text("3\td\tA title\n0\ta\tB\n2\tc\tC\n1\tb\tD")
    assert load(str(folder)).item_ids == ("a", "b", "c", "d")


def test_write_refuses_an_occupied_folder_and_leaves_it(folder):
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(InputError, match="exists already"):
        canonical.write(load(str(folder)), folder, {"test": True})
    assert sorted(path.name for path in folder.iterdir()) == before


def test_failed_write_leaves_nothing(folder, tmp_path):
    data = dataclasses.replace(load(str(folder)), user_ids=("a", "tab\there", "c"))
    with pytest.raises(InputError, match="tab or a line break"):
        canonical.write(data, tmp_path / "new" / "copy", {"test": True})
    assert list((tmp_path / "new").iterdir()) == []


def test_write_below_a_file_is_refused(folder):
    with pytest.raises(InputError, match="cannot be written"):
        canonical.write(load(str(folder)), folder / "train.json" / "copy", {"test": True})


@st.composite
def dataset_parts(draw):
    """Arguments of `assemble`: splits without overlap, features of any width, raw ids or none."""
    users, items = draw(st.integers(1, 6)), draw(st.integers(3, 6))
    cells = draw(st.permutations(range(users * items)))
    cuts = sorted(draw(st.lists(st.integers(1, len(cells)), min_size=3, max_size=3, unique=True)))
    pairs = {
        split: np.divmod(np.array(cells[start:end], np.int64), items)
        for split, start, end in zip(SPLITS, [0, *cuts], cuts, strict=False)
    }
    seed = draw(st.integers(0, 99))
    features = {
        name: np.random.default_rng(seed).normal(size=(items, width)).astype(np.float32)
        for name, width in draw(st.dictionaries(st.sampled_from("abc"), st.integers(1, 4))).items()
    }
    characters = st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"])
    ids = st.lists(st.text(characters, min_size=1), min_size=users, max_size=users, unique=True)
    user_ids = draw(st.none() | ids.map(tuple))
    return {
        "name": draw(st.text(max_size=5)),
        "shape": (users, items),
        "pairs": pairs,
        "features": features,
        "user_ids": user_ids,
        "synthetic": draw(st.booleans()),
    }


@settings(max_examples=60, deadline=None)
@given(parts=dataset_parts())
def test_round_trip(tmp_path_factory, parts):
    data = assemble("random", **parts)
    folder = tmp_path_factory.mktemp("round") / "trip"
    canonical.write(data, folder, {"test": True})
    again = load(str(folder), "" if data.features else "none")
    for field in ("name", "user_ids", "item_ids", "synthetic", "fingerprint", "split_fingerprints"):
        assert getattr(again, field) == getattr(data, field)
    assert again.train.shape == data.train.shape
    for split in SPLITS:
        assert (getattr(again, split) != getattr(data, split)).nnz == 0
    assert list(again.features) == list(data.features)
    for name, values in data.features.items():
        np.testing.assert_array_equal(again.features[name], values)
        assert again.features[name].dtype == np.float32


def test_fingerprint_is_the_sha256_that_the_docstrings_say():
    pairs = {"train": [(0, 1), (2, 0)], "val": [(1, 3)], "test": [(1, 0)]}
    data = assemble(
        "x", "x", (3, 4), {split: tuple(np.array(p).T) for split, p in pairs.items()}, {}
    )
    for split, expected in pairs.items():
        numbers = [number for pair in expected for number in pair]
        digest = hashlib.sha256(struct.pack(f"<{len(numbers)}q", *numbers)).hexdigest()
        assert data.split_fingerprints[split] == digest
    lines = "\n".join(["3 4", *data.split_fingerprints.values()])
    assert data.fingerprint == hashlib.sha256(lines.encode()).hexdigest()


def test_fingerprint_sees_pairs_and_shape_not_features(folder):
    first = load(str(folder)).fingerprint
    assert load(str(folder), "none").fingerprint == first
    write_about(folder, users=9)
    wider = load(str(folder))
    assert wider.fingerprint != first
    assert wider.split_fingerprints == load(str(folder), "none").split_fingerprints
