"""What reading checkpoints leaves behind in the process."""

import json
import shutil
import sys
from types import SimpleNamespace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest

from mmssl_jax.errors import InputError
from mmssl_jax.files import durable
from mmssl_jax.runs import checkpoints
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session


def opened(folder):
    return checkpoints.Checkpoints(folder, lambda score, epoch: (score, -epoch))


def test_an_earlier_checkpoint_goes_when_the_next_is_on_the_disk(tmp_path, monkeypatch):
    folder, events = tmp_path / "checkpoints", []
    tree, move, remove = durable.sync_tree, durable.move, shutil.rmtree
    noted = {
        (durable, "sync_tree"): lambda path: (events.append(f"sync {path.name}"), tree(path)),
        (durable, "move"): lambda old, new: (events.append(f"to {new.name}"), move(old, new)),
        (shutil, "rmtree"): lambda path, **how: (
            events.append(f"remove {path.name}"),
            remove(path, **how),
        ),
    }
    for (owner, name), replacement in noted.items():
        monkeypatch.setattr(owner, name, replacement)
    with opened(folder) as kept:
        events.clear()
        for epoch, score in ((1, 0.9), (2, 0.5), (3, 0.6)):
            kept.save(epoch, {"values": jnp.full(3, epoch)}, score, {})
        assert (kept.latest_epoch, kept.best_epoch) == (3, 1)
    assert events[:6] == ["sync 1", "to 1", "sync 2", "to 2", "sync 3", "to 3"]
    assert events[6:] == ["to 2.removed", "remove 2.removed", "remove .checkpoints"]
    assert sorted(path.name for path in folder.iterdir()) == ["1", "3"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_what_a_kill_has_left_half_saved_is_removed_by_who_goes_on(tmp_path):
    folder = tmp_path / "checkpoints"
    with opened(folder) as kept:
        kept.save(1, {"values": jnp.arange(3)}, 0.5, {})
    half = tmp_path / ".checkpoints" / "2.orbax-checkpoint-tmp"
    half.mkdir(parents=True)
    (half / "part").write_text("{")
    with checkpoints.Checkpoints(folder, lambda *_: (0, 0), clean=False) as read:
        assert read.latest_epoch == 1
        assert half.exists()  # a run may be saving it
    with opened(folder) as kept:
        assert not half.exists()
        restored = kept.restore(1, {"values": jnp.zeros(3, int)})
        np.testing.assert_array_equal(restored["values"], [0, 1, 2])


def test_a_checkpoint_that_a_kill_has_left_behind_goes_when_the_run_goes_on(tmp_path):
    folder, state = tmp_path / "checkpoints", {"values": jnp.arange(3)}
    with opened(folder) as kept:
        for epoch, score in ((1, 0.9), (2, 0.5)):
            kept.save(epoch, state, score, {})
        shutil.copytree(folder / "2", tmp_path / "2")
        kept.save(3, state, 0.6, {})
    shutil.copytree(tmp_path / "2", folder / "2")
    with checkpoints.Checkpoints(folder, lambda *_: (0, 0), clean=False):
        assert (folder / "2").exists()
    with opened(folder):
        assert sorted(path.name for path in folder.iterdir()) == ["1", "3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "checkpoints"]


class _State(NamedTuple):
    """What stands for the state of a training."""

    values: jnp.ndarray
    best_epoch: jnp.ndarray


def test_a_checkpoint_that_the_run_removes_while_it_is_read(tmp_path, monkeypatch):
    run = RunFolder(tmp_path)
    one, other = (_State(jnp.arange(3), best_epoch=jnp.asarray(epoch)) for epoch in (1, 2))
    restore, tries = checkpoints.Checkpoints.restore, []
    with session.checkpoints_of(run) as kept:
        kept.save(1, one, 0.5, {})

        def meanwhile(self, epoch, like):
            tries.append(epoch)
            if len(tries) == 1:
                kept.save(2, other, 0.6, {})  # which is better, so that 1 is removed
            return restore(self, epoch, like)

        monkeypatch.setattr(checkpoints.Checkpoints, "restore", meanwhile)
        epoch, found = session._best(run, one)
    assert (epoch, tries) == (2, [1, 2])
    np.testing.assert_array_equal(found.values, [0, 1, 2])
    shutil.rmtree(run.checkpoints / "2" / "state")  # not by the run: it is damaged
    with pytest.raises(InputError, match="is damaged"):
        session._best(run, one)


def test_a_checkpoint_for_which_there_is_no_room(tmp_path, monkeypatch):
    run, state = RunFolder(tmp_path), {"values": jnp.arange(3)}
    with session.checkpoints_of(run) as kept:
        kept.save(1, state, 0.5, {})

        def full(path):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(durable, "sync_tree", full)
            said = r"epoch 2 in .* \(No space left on device\); the one before is intact"
            with pytest.raises(InputError, match=said):
                kept.save(2, state, 0.6, {})
    with session.checkpoints_of(run) as kept:
        assert kept.latest_epoch == 1
        kept.save(2, state, 0.6, {})
        assert kept.best_epoch == 2


def rank(score, epoch):
    return float(score), -epoch


@pytest.mark.parametrize("scored", [{}, {"score": None, "epoch": 1}, {"score": 1.0, "epoch": "x"}])
def test_a_checkpoint_without_a_score_is_refused_in_one_line(tmp_path, scored):
    with checkpoints.Checkpoints(tmp_path / "kept", rank) as kept:
        kept.save(1, {"a": jnp.ones(3)}, 0.5, {})
        assert kept.best_epoch == 1
    (path,) = (tmp_path / "kept").rglob("metrics/metrics")
    path.write_text(json.dumps(scored | {"more": 1}))
    with checkpoints.Checkpoints(tmp_path / "kept", rank, clean=False) as kept:
        with pytest.raises(InputError) as refusal:
            assert kept.best_epoch
        assert len(str(refusal.value).splitlines()) == 1


def test_a_save_that_a_clock_cuts_off_is_one_line(tmp_path, monkeypatch):
    folder = tmp_path / "kept"

    def late(*_, **__):
        raise TimeoutError("after 1093766964.73 seconds")

    def save():
        with checkpoints.Checkpoints(folder, rank) as kept:
            kind = type(kept._checkpointer)
            close = kind.close
            monkeypatch.setattr(kind, "save", late)
            monkeypatch.setattr(
                kind, "close", lambda own: (close(own), own is kept._saver and late())
            )
            kept.save(1, {"a": jnp.ones(3)}, 0.5, {})

    with pytest.raises(InputError, match=r"epoch 1 in .* was not saved in time; was the clock put"):
        save()


def test_reports_are_filtered_once_however_many_checkpoints_are_read(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    hooks = set()
    for _ in range(5):
        with checkpoints._abandoned_reads_unreported():
            sys.unraisablehook(SimpleNamespace(exc_value=ValueError("while reading")))
            ends = SimpleNamespace(exc_value=SystemExit(143))
            sys.unraisablehook(ends)
            assert seen.pop() is ends  # a signal is not lost
        hooks.add(sys.unraisablehook)
    assert len(hooks) == 1  # not one within the other
    sys.unraisablehook(SimpleNamespace(exc_value=RuntimeError("Event loop is closed")))
    other = SimpleNamespace(exc_value=ValueError("something else"))
    sys.unraisablehook(other)
    assert seen == [other]
