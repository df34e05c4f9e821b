"""The golden files are found in the repository and beside it, and never two of one name."""

import golden
import pytest


@pytest.fixture(name="folders")
def _folders(tmp_path):
    """Two folders with a file each, and one that does not exist."""
    for folder, name in (("own", "kind_b"), ("beside", "kind_a")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.npz").write_bytes(b"numbers")
    return [tmp_path / name for name in ("own", "beside", "absent")]


def test_every_file_of_every_folder_is_read(folders):
    (folders[0] / "other_kind_a.npz").touch()
    own, beside, _ = folders
    assert golden.paths("kind", folders) == [beside / "kind_a.npz", own / "kind_b.npz"]


def test_a_file_in_both_folders_is_read_once(folders):
    own, beside, _ = folders
    (beside / "kind_b.npz").write_bytes(b"numbers")
    assert golden.paths("kind", folders) == [beside / "kind_a.npz", own / "kind_b.npz"]


def test_a_file_that_differs_between_folders_is_an_error(folders):
    (folders[1] / "kind_b.npz").write_bytes(b"NUMBERS")  # of the same size
    with pytest.raises(AssertionError, match=r"kind_b.npz and .*kind_b.npz differ"):
        golden.paths("kind", folders)


def test_no_file_of_a_kind_is_an_error_and_no_skip(folders):
    with pytest.raises(AssertionError, match=r"no lattice_\*.npz"):
        golden.paths("lattice", folders)


@pytest.mark.parametrize("name", ["cf", "lattice", "micro", "mmssl_released"])
def test_the_repository_alone_has_files_of_every_kind(name):
    assert golden.paths(name, golden.FOLDERS[:1])
