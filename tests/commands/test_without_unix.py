"""Commands where Python has neither fcntl nor resource, as on Windows; and locks as there."""

import json
import os
import subprocess
import sys

import pytest
from worlds import ROOT, Place

from mmssl_jax.files import locks

fcntl = pytest.importorskip("fcntl")

HIDDEN = "import sys; sys.modules['fcntl'] = sys.modules['resource'] = None; import os; "
HIDDEN += "[delattr(os, name) for name in ('getuid', 'sched_getaffinity') if hasattr(os, name)]; "
HIDDEN += "os.process_cpu_count = os.cpu_count; "  # which asks for the latter since Python 3.13


def run(code: str, *argv: str, cwd=ROOT) -> str:
    """What a command prints without these modules."""
    done = subprocess.run(
        [sys.executable, "-c", HIDDEN + code, *map(str, argv)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_training_and_evaluation(tmp_path):
    place = Place(tmp_path)
    argv = place.argv("--config.train.epochs=1")
    run("from mmssl_jax.commands import main; main()", "train", *argv)
    assert len(place.metrics) == 1
    out = run("from mmssl_jax.commands import main; main()", "evaluate", *argv[:2])
    assert f"{place.results['test/recall@20']:.4f}" in out


def test_an_import_of_parquet_into_a_new_folder(tmp_path):
    import polars as pl

    pairs = [(f"u{user}", f"i{(user + step) % 12}") for user in range(9) for step in range(6)]
    table = tmp_path / "pairs.parquet"
    pl.DataFrame(pairs, schema=["user_id", "item_id"], orient="row").write_parquet(table)
    code = "from mmssl_jax import commands; commands.main()"
    run(code, "data", "import", table, "--to", tmp_path / "data", "--k-core=1")
    assert len(json.loads((tmp_path / "data" / "train.json").read_text())) == 9
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


class Windows:
    """The module msvcrt, by the locks of this system: a byte is locked, and held by a file."""

    LK_NBLCK = 2

    def __init__(self):
        self.places = []

    def locking(self, handle: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        self.places.append(os.lseek(handle, 0, os.SEEK_CUR))
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.fixture(name="windows")
def _windows(monkeypatch) -> Windows:
    windows = Windows()
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", windows)
    return windows


def test_the_locks_of_windows(tmp_path, windows):
    path = tmp_path / "file"
    path.write_bytes(b"some content")
    with open(path, "r+b") as one, open(path, "r+b") as other:
        os.lseek(one.fileno(), 5, os.SEEK_SET)
        locks.lock(one.fileno())
        assert os.lseek(one.fileno(), 0, os.SEEK_CUR) == 5, "the place in the file stays"
        assert min(windows.places) >= 1 << 40, "no reader is in the way of the lock"
        with pytest.raises(BlockingIOError):
            locks.lock(other.fileno())
    with open(path, "rb") as later:
        locks.lock(later.fileno(), wait=True)


def test_waiting_for_a_lock_of_windows(tmp_path, windows, monkeypatch):
    holder = open(tmp_path / "file", "w")  # noqa: SIM115
    locks.lock(holder.fileno())
    monkeypatch.setattr(locks.time, "sleep", lambda _: holder.close())
    with open(tmp_path / "file") as waiting:
        locks.lock(waiting.fileno(), wait=True)
    assert len(windows.places) == 3


def test_a_second_run_in_a_folder_is_refused_there_too(tmp_path, windows):
    from mmssl_jax.errors import InputError
    from mmssl_jax.files import atomic

    with (
        atomic.locked(tmp_path, "training"),
        pytest.raises(InputError, match="another process is training"),
        atomic.locked(tmp_path, "training"),
    ):
        pass


def test_without_any_locks_nothing_is_refused(tmp_path, monkeypatch):
    with open(tmp_path / "file", "w") as one, open(tmp_path / "file") as other:
        locks.lock(one.fileno())
        with pytest.raises(BlockingIOError):
            locks.lock(other.fileno())
        monkeypatch.setattr(locks, "fcntl", None)
        monkeypatch.setattr(locks, "msvcrt", None)
        locks.lock(other.fileno())
