"""What is on the disk when a function returns: bytes, and the names under which they are found."""

import os
import sys
from pathlib import Path

import pytest

from mmssl_jax.files import atomic, durable, new_folder

linux = pytest.mark.skipif(sys.platform != "linux", reason="descriptors are looked up in /proc")


@pytest.fixture
def done(monkeypatch):
    """What is synced and renamed, in order, by name."""
    events: list[tuple[str, str]] = []
    replace = os.replace

    def note_sync(handle: int) -> None:
        events.append(("sync", Path(os.readlink(f"/proc/self/fd/{handle}")).name))

    def note_replace(old, new) -> None:
        events.append(("rename", Path(new).name))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    return events


@linux
def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(tmp_path, done):
    atomic.write_text(tmp_path / "new" / "inside" / "file", "text")
    made = [("sync", tmp_path.name), ("sync", "new")]
    assert done[:2] == made
    (written, renamed, named) = done[2:]
    assert written[1].startswith(".file.")
    assert (renamed, named) == (("rename", "file"), ("sync", "inside"))


@linux
def test_a_folder_is_on_the_disk_with_all_in_it_before_it_has_its_name(tmp_path, done):
    with new_folder.new_folder(tmp_path / "folder") as partial:
        (partial / "below").mkdir()
        (partial / "below" / "file").write_text("text")
    assert [name for _, name in done][:2] == ["file", "below"]
    assert done[2][1].endswith(".partial")
    assert done[3:] == [("rename", "folder"), ("sync", tmp_path.name)]


def test_a_folder_that_is_replaced_is_there_at_every_moment(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    seen = []
    for text in ("old", "new"):
        with new_folder.new_folder(folder) as partial:
            (partial / "file").write_text(text)
            monkeypatch.setattr(durable, "sync", lambda path: seen.append(folder.exists()))
    assert (folder / "file").read_text() == "new"
    assert seen[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_without_an_exchange_of_names_a_folder_is_replaced_by_two_renames(tmp_path, monkeypatch):
    monkeypatch.setattr(durable, "exchange", lambda one, other: False)
    for text in ("old", "new"):
        with new_folder.new_folder(tmp_path / "folder") as partial:
            (partial / "file").write_text(text)
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_names_that_cannot_be_exchanged(tmp_path):
    (tmp_path / "one").mkdir()
    assert not durable.exchange(tmp_path / "one", tmp_path / "missing")
    assert (tmp_path / "one").is_dir()


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    def refuse(handle: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    durable.sync(tmp_path)
    (tmp_path / "file").write_text("text")
    with pytest.raises(OSError, match="Invalid argument"):
        durable.sync(tmp_path / "file")


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(NotADirectoryError):
        durable.make_folder(tmp_path / "file" / "below")
    with pytest.raises(FileExistsError):
        durable.make_folder(tmp_path / "file")
