"""files.sha256: what was damaged is named, what was changed by our own commands is not."""

import contextlib
import shutil
import subprocess

import pytest

from mmssl_jax.errors import InputError
from mmssl_jax.files import checksums


@pytest.fixture(name="folder")
def _folder(tmp_path):
    for name in ("a.json", "b.npy"):
        (tmp_path / name).write_text(name)
    checksums.write(tmp_path, ["a.json", "b.npy"])
    return tmp_path


def problems(folder, **but) -> list[str]:
    return checksums.problems(folder, "do this", **but)


def test_what_is_as_it_was_is_no_problem(folder):
    assert problems(folder) == []
    (folder / "new.npy").write_text("a file that is not listed")
    assert problems(folder) == []


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="there is no sha256sum")
def test_sha256sum_reads_the_list(folder):
    command = ["sha256sum", "-c", checksums.FILE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["a.json: OK", "b.npy: OK"]


def test_a_file_that_differs_or_is_missing_is_named(folder):
    (folder / "a.json").write_text("a.jsom")
    (folder / "b.npy").unlink()
    first, second = problems(folder)
    assert first == (
        f"{folder}/a.json: is not what files.sha256 lists, so one of the two was edited or "
        "damaged; do this"
    )
    assert second == f"{folder}/b.npy: is missing, and files.sha256 lists it; do this"
    assert problems(folder, but=lambda name: name == "a.json") == [second]


@pytest.mark.parametrize(
    "line", ["x", "a" * 64 + " a.json", "a" * 64 + "  ../a.json", "a" * 64 + "  \0", ""]
)
def test_a_list_that_is_damaged_is_named(folder, line):
    path = folder / checksums.FILE
    path.write_text(line + "\n" + path.read_text())
    with pytest.raises(InputError, match=r"files\.sha256, line 1: is not a sha256"):
        problems(folder)


def test_a_folder_without_a_list_is_taken_as_it_is(folder):
    (folder / checksums.FILE).unlink()
    (folder / "a.json").unlink()
    assert problems(folder) == []
    with checksums.changing(folder, ["b.npy"]):
        pass
    assert not (folder / checksums.FILE).exists()


def test_the_list_follows_what_is_changed(folder):
    with checksums.changing(folder, ["b.npy", "c.npy"]):
        assert "b.npy" not in (folder / checksums.FILE).read_text()
        (folder / "b.npy").write_text("new")
        (folder / "c.npy").write_text("more")
    listed = (folder / checksums.FILE).read_text()
    assert [line[66:] for line in listed.splitlines()] == ["a.json", "b.npy", "c.npy"]
    assert problems(folder) == []


def test_what_was_being_changed_is_no_longer_listed(folder):
    with contextlib.suppress(KeyError), checksums.changing(folder, ["b.npy"]):
        (folder / "b.npy").write_text("half")
        raise KeyError
    assert problems(folder) == []
    assert "b.npy" not in (folder / checksums.FILE).read_text()
