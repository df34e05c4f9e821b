"""Trackers: they are told what metrics.jsonl has, and a run that goes on doubles nothing."""

import json
import struct
import time
from pathlib import Path

import pytest
from worlds import Place, mmssl, refused

from mmssl_jax.runs import trackers
from mmssl_jax.runs.folder import RunFolder


def numbers(place: Place) -> dict[str, dict[int, float]]:
    """Key -> epoch -> value, of metrics.jsonl."""
    found: dict[str, dict[int, float]] = {}
    for line in (place.run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        for key, value in trackers.numbers(row).items():
            found.setdefault(key, {})[row["epoch"]] = value
    return found


def in_parts(tmp_path, *flags: str) -> Place:
    """A run of two epochs, which then goes on to a third; told to a tracker."""
    place = Place(tmp_path)
    place.train("--config.train.epochs=2", *flags)
    place.train("--config.train.epochs=3", *flags)
    return place


def compare(events: dict[str, list[tuple[int, float]]], place: Place) -> None:
    """Every epoch is there once, by the same key and, in float32, with the same value."""
    expected = numbers(place)
    assert {"epoch", "step", "seconds", "val/recall@20"} < expected.keys()
    assert events.keys() == expected.keys()
    for key, values in events.items():
        assert [epoch for epoch, _ in values] == [1, 2, 3]
        assert dict(values) == pytest.approx(expected[key], rel=1e-6, abs=1e-7), key


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard.summary")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    place = in_parts(tmp_path, "--track=tensorboard")
    reader = EventAccumulator(str(place.run / "tensorboard"), {"tensors": 0})
    reader.Reload()
    events = {
        tag: [
            (event.step, make_ndarray(event.tensor_proto).item()) for event in reader.Tensors(tag)
        ]
        for tag in reader.Tags()["tensors"]
    }
    compare(events, place)


def test_mlflow_in_a_local_store(tmp_path, monkeypatch):
    pytest.importorskip("mlflow.tracking")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow.tracking import MlflowClient

    place = in_parts(tmp_path, "--track=mlflow")
    client = MlflowClient()
    (experiment,) = client.search_experiments(filter_string=f"name = '{trackers.PROJECT}'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.batch_size"] == "16"
    events = {}
    for key in run.data.metrics:
        history = client.get_metric_history(run.info.run_id, key)
        events[key.replace("_at_", "@")] = sorted((each.step, each.value) for each in history)
    compare(events, place)


def records(log: bytes) -> list[bytes]:
    """The records of a file of wandb: parts in blocks of 32 KiB, behind a head of 7 bytes each."""
    found, whole, at = [], b"", 7  # behind the head of the file
    while at + 7 <= len(log):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
        length, part = struct.unpack_from("<HB", log, at + 4)
        whole += log[at + 7 : at + 7 + length]
        at += 7 + length
        if part in (1, 4):  # whole, or the last of several
            found.append(whole)
            whole = b""
    return found


def test_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb.sdk")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    place = in_parts(tmp_path, "--track=wandb")
    from wandb.proto import wandb_internal_pb2

    files: list[Path] = []
    end = time.monotonic() + 20
    while time.monotonic() < end:  # wandb's own process writes the last row a little later
        files = sorted(place.run.glob("wandb/offline-run-*/*.wandb"))
        found = [
            wandb_internal_pb2.Record.FromString(r) for f in files for r in records(f.read_bytes())
        ]
        history = [record.history for record in found if record.HasField("history")]
        if len(history) >= 3:
            break
        time.sleep(0.1)
    assert len(files) == 2
    assert len({record.run.run_id for record in found if record.HasField("run")}) == 1
    events: dict[str, list[tuple[int, float]]] = {}
    for row in history:
        for item in row.item:
            key = item.key or "/".join(item.nested_key)
            if not key.startswith("_"):
                events.setdefault(key, []).append((row.step.num, json.loads(item.value_json)))
    compare(events, place)


def test_without_the_library_it_is_said_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(trackers._NEEDED, "wandb", "no_such_library")
    place = Place(tmp_path)
    line = refused("train", place.argv("--track=wandb"), capsys)
    assert line == '--track wandb needs wandb: pip install ".[wandb]"'
    assert not place.run.exists()
    assert refused("train", place.argv("--track=paper"), capsys) == (
        "--track is 'paper'; it must be one of tensorboard, wandb, mlflow"
    )


def test_a_tracker_that_fails_stops_no_training(tmp_path, monkeypatch, capsys):
    def broken(run, config):
        raise OSError("no way\nto the server")

    monkeypatch.setattr(trackers, "check_installed", lambda kind: None)
    monkeypatch.setitem(trackers.TRACKERS, "mlflow", broken)
    place = Place(tmp_path)
    place.train("--track=mlflow")
    said = capsys.readouterr().err
    assert said.count("--track mlflow is given up (no way to the server)") == 1
    assert len(place.metrics) == 3
    assert not RunFolder(place.run).tracked.exists()


def test_quiet_leaves_the_scores_alone(tmp_path, capsys):
    place = Place(tmp_path)
    mmssl("train", *place.argv("--quiet"))
    output = capsys.readouterr()
    assert output.err == ""
    assert "recall" in output.out


def test_progress_says_losses_best_and_time_left(tmp_path, capsys):
    place = Place(tmp_path)
    place.train()
    first, *_ = capsys.readouterr().err.splitlines()
    row = place.metrics[0]
    assert first.startswith("epoch 1/3  generator ")
    assert f"best {row['val/recall@20']:.4f} epoch 1" in first
    assert "ETA 0:00:" in first
