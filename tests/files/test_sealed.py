"""JSON with a checksum of its own."""

import json

import pytest

from mmssl_jax.errors import InputError
from mmssl_jax.files import sealed

CONTENT = {"loss": 0.1, "cutoffs": (5, 20), "none": None, "nested": {"7": [1e-5, True]}}


def test_what_was_sealed_is_opened_however_it_is_written(tmp_path):
    path = tmp_path / "results.json"
    content = sealed.sealed(CONTENT)
    path.write_text(json.dumps(dict(reversed(content.items())), indent=7))
    assert sealed.read(path, "do this") == json.loads(json.dumps(CONTENT))


@pytest.mark.parametrize(
    "change", [("0.1", "0.2"), ("loss", "less"), ("true", "1.0"), ("5,", "6,")]
)
def test_another_value_or_key_is_noticed(tmp_path, change):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(sealed.sealed(CONTENT)).replace(*change))
    with pytest.raises(InputError) as caught:
        sealed.read(path, "do this")
    assert str(caught.value) == (
        f"{path}: was edited or damaged, as its checksum differs; do this, or, if the change is "
        "meant, remove 'checksum' from it"
    )


def test_without_a_checksum_it_is_as_it_is(tmp_path):
    path = tmp_path / "results.json"
    for content in (CONTENT, [1, 2], 7):
        path.write_text(json.dumps(content))
        assert sealed.read(path, "do this") == json.loads(json.dumps(content))


def test_a_part_that_may_be_edited_is_not_sealed():
    content = sealed.sealed(CONTENT, lambda each: each["cutoffs"])
    assert (
        sealed.opened(content | {"loss": 9}, "it", "x", lambda each: each["cutoffs"])["loss"] == 9
    )
    with pytest.raises(InputError, match="it: was edited or damaged"):
        sealed.opened(content | {"cutoffs": (5,)}, "it", "x", lambda each: each["cutoffs"])
