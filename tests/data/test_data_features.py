"""Feature files: the choice of modalities, casts, and everything that is refused."""

import json

import numpy as np
import pytest

from mmssl_jax.data import load
from mmssl_jax.errors import InputError

ITEMS = 4


@pytest.fixture
def folder(tmp_path):
    """Interactions of 2 users with 4 items, no features yet."""
    splits = {"train": {"0": [0, 1], "1": [2, 3]}, "val": {"0": [2]}, "test": {"1": [0]}}
    for split, content in splits.items():
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    return tmp_path


def save(folder, name="image", values=None, dtype=np.float32):
    values = np.arange(1, 2 * ITEMS + 1).reshape(ITEMS, 2) if values is None else values
    np.save(folder / f"{name}_feat.npy", np.asarray(values, dtype))
    return folder / f"{name}_feat.npy"


def refusal(folder, modalities=""):
    with pytest.raises(InputError) as caught:
        load(str(folder), modalities)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_are_cast_once_to_float32(folder, dtype, order):
    values = np.asarray([[0.5, 1], [2, 3], [-4, 5], [6, 7]], dtype, order=order)
    np.save(folder / "image_feat.npy", values)
    read = load(str(folder)).features["image"]
    assert (read.dtype, read.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(read, values)


def test_modalities_are_chosen_by_name(folder):
    save(folder, "text")
    save(folder, "image")
    assert list(load(str(folder)).features) == ["image", "text"]
    assert list(load(str(folder), " text , image ").features) == ["image", "text"]
    assert list(load(str(folder), "text").features) == ["text"]
    assert load(str(folder), "none").features == {}


@pytest.mark.parametrize("modalities", ["video", "image,", "image,none", "Image"])
def test_unknown_modality_lists_those_found(folder, modalities):
    save(folder, "image")
    save(folder, "text")
    assert "found: image, text" in refusal(folder, modalities)


def test_a_modality_twice_is_refused(folder):
    save(folder)
    assert "names a modality twice" in refusal(folder, "image,image")


def test_no_features_says_to_pass_none(folder):
    assert "data.modalities=none" in refusal(folder)
    assert load(str(folder), "none").num_items == ITEMS


@pytest.mark.parametrize(
    ("values", "dtype", "says"),
    [
        (None, "i8", "integers (int64)"),
        (None, "u1", "integers (uint8)"),
        (None, "?", "booleans (bool)"),
        (None, "O", "Python objects (object)"),
        (None, "c8", "values (complex64)"),
        (None, "g", "must be float16, float32 or float64"),
        (np.ones(ITEMS), "f4", "has shape (4,)"),
        (np.ones((ITEMS, 2, 2)), "f4", "has shape (4, 2, 2)"),
        (np.ones((ITEMS, 0)), "f4", "has shape (4, 0)"),
        (np.ones((3, 2)), "f4", "has 3 rows, but there are 4 items (from the splits)"),
        (
            [[1, 1], [np.nan, 1], [1, np.inf], [1, 1]],
            "f4",
            "2 NaN or infinite values, the first in row 1",
        ),
        (
            [[1, 1], [1, 1], [1, -1e300], [1, 1]],
            "f8",
            "1 values beyond the range of float32, the first in row 2",
        ),
    ],
)
def test_bad_values_are_refused_with_the_file(folder, values, dtype, says):
    path = save(folder, values=values, dtype=dtype)
    message = refusal(folder)
    assert says in message
    assert str(path) in message


def test_differing_rows_name_file_and_both_numbers(folder):
    save(folder, "image")
    path = save(folder, "text", np.ones((6, 2)))
    assert f"{folder / 'image_feat.npy'}: has 4 rows, but there are 6 items (from {path.name})" in (
        refusal(folder)
    )


def test_more_rows_than_interactions_are_items(folder):
    save(folder, values=np.arange(1, 13).reshape(6, 2))
    data = load(str(folder))
    assert data.num_items == 6
    assert any("items is taken as 6, the largest of the splits 4" in text for text in data.warnings)
    # What is ranked must not depend on the modalities chosen.
    assert load(str(folder), "none").fingerprint == data.fingerprint


HEADER = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}"


def npy(header, body=b"", version=b"\x01\x00"):
    length = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + header.encode() + body


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not a .npy file"),
        (b"PK\x03\x04 an archive", "not a .npy file"),
        (npy("{'descr': '<f4', "), "not a .npy file"),
        (npy("__import__('os').abort()"), "not a .npy file"),
        (npy(HEADER.format("<f4", "(-4, -2)")), "not a .npy file"),
        (npy(HEADER.format("<f4", "(4, 2)"), version=b"\x03\x00"), "not a .npy file"),
        (npy(HEADER.format("|O", "(4, 2)"), b"x" * 64), "Python objects"),
        (npy(HEADER.format("<f4", "(4, 2)"), b"x" * 31), "cut off or damaged"),
        (npy(HEADER.format("<f4", "(4, 2)"), b"x" * 33), "cut off or damaged"),
        (npy(HEADER.format("<f4", f"(4, {1 << 60})"), b"x" * 32), "cut off or damaged"),
    ],
)
def test_damaged_and_hostile_files_are_refused(folder, raw, says):
    path = folder / "image_feat.npy"
    path.write_bytes(raw)
    assert f"{path}: " in (message := refusal(folder))
    assert says in message
    assert "not chosen" in load(str(folder), "none").warnings[0]


def test_zero_and_repeated_rows_are_counted(folder):
    save(folder, values=[[0, 0], [1, 2], [1, 2], [0, 0]])
    warnings = load(str(folder)).warnings
    assert any("2 of 4 image feature rows are all zero" in text for text in warnings)
    assert any("1 of 4 image feature rows repeats an earlier row" in text for text in warnings)
