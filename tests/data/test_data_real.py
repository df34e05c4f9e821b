"""The real data, read as it stands; skipped where it is not beside the checkout."""

import pytest
from worlds import REAL

from mmssl_jax.data import load
from mmssl_jax.data.layouts import canonical
from mmssl_jax.errors import InputError

TIKTOK = "ac4e3ce64941b996e89b0824d36352834387af13bb3811d07e18aaf032ac051b"
BABY = "2d5c250ba72f3826c891a7eb4244a35195e340db64acdad6cf067d2cff6c6527"


def folder(name):
    path = REAL / name
    if not path.is_dir():
        pytest.skip(f"no data in {path}")
    return str(path)


def sizes(data):
    return data.train.shape, data.train.nnz, data.val.nnz, data.test.nnz


def test_tiktok():
    data = load(folder("tiktok"))
    assert sizes(data) == ((9308, 6710), 59541, 3051, 6130)
    assert {name: values.shape for name, values in data.features.items()} == {
        "audio": (6710, 128),
        "image": (6710, 128),
    }
    assert any("10 of 9308 users have no training pair" in text for text in data.warnings)
    assert any("465 of 6710 items have no training pair" in text for text in data.warnings)
    assert not data.synthetic
    assert data.fingerprint == TIKTOK


def test_tiktok_as_a_canonical_folder(tmp_path):
    data = load(folder("tiktok"))
    canonical.write(data, tmp_path / "tiktok", {"layout": "diffmm"})
    again = load(str(tmp_path / "tiktok"))
    assert again.fingerprint == data.fingerprint
    assert len(again.warnings) == len(data.warnings)


def test_baby():
    data = load(folder("baby"), "none")
    assert sizes(data) == ((19445, 7050), 118551, 21682, 20559)
    assert data.fingerprint == BABY
    with pytest.raises(InputError, match=r"data\.modalities=none"):
        load(folder("baby"))
