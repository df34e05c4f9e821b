"""Training on all pairs for serving: what is trained on, for how long, and what it is for."""

import json
import signal

import jax.numpy as jnp
import numpy as np
import pytest
from kills import start
from worlds import ITEMS, USERS, Place, assert_same_arrays, assert_same_run, refused, world

from mmssl_jax import data
from mmssl_jax.commands import call
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.errors import InputError
from mmssl_jax.models import ease

FINAL = ("--final", "--config.model.name=lightgcn", "--config.train.epochs=2")


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory) -> Place:
    """A final run on data with all three splits."""
    place = Place(tmp_path_factory.mktemp("final"))
    place.train(*FINAL)
    return place


def everything_in_train(place: Place) -> None:
    """Rewrites the folder: train has all pairs, val and test are empty."""
    splits = {split: json.loads((place.data / f"{split}.json").read_text()) for split in SPLITS}
    for split in ("val", "test"):
        for user, items in splits[split].items():
            splits["train"].setdefault(user, []).extend(items)
        (place.data / f"{split}.json").write_text("{}")
    (place.data / "train.json").write_text(json.dumps(splits["train"]))


def all_pairs() -> np.ndarray:
    return (world().train + world().val + world().test).toarray()


def test_all_pairs_are_trained_on_and_nothing_is_scored(place):
    results = place.results
    assert results["final"] is True
    assert (results["best_epoch"], results["epochs"]) == (2, 2)
    assert not [key for key in results if "@" in key or "unscored" in key]
    assert not [key for row in place.metrics for key in row if key.startswith("val/")]
    steps = int(all_pairs().sum()) // 16 + 1  # of an epoch, by the protocol
    assert [row["step"] for row in place.metrics] == [steps, 2 * steps]
    assert place.checkpoints == ["2"]
    assert data.load(str(place.data), "none", final=True).train.toarray().tolist() == (
        all_pairs().tolist()
    )


def test_a_folder_with_everything_in_train_gives_the_same_run(place, tmp_path, capsys):
    other = Place(tmp_path)
    everything_in_train(other)
    other.train(*FINAL)
    output = capsys.readouterr()
    assert "all pairs trained on, 2 epochs" in " ".join(output.out.split())
    assert f"all {int(all_pairs().sum())} pairs are trained on, without validation" in output.err
    assert "no validation" in output.err
    assert "best epoch" not in output.err
    assert_same_arrays(other.arrays(2), place.arrays(2))
    assert other.metrics == place.metrics
    assert other.results["data_fingerprint"] == place.results["data_fingerprint"]


def test_neither_a_validation_file_nor_disjoint_splits_are_needed(place, tmp_path):
    other = Place(tmp_path)
    splits = {split: json.loads((other.data / f"{split}.json").read_text()) for split in SPLITS}
    for user, items in splits["val"].items():
        splits["test"][user] += items + splits["train"][user][:2]
    (other.data / "test.json").write_text(json.dumps(splits["test"]))
    (other.data / "val.json").unlink()
    whole = data.load(str(other.data), "none", final=True)
    assert whole.fingerprint == place.results["data_fingerprint"]
    assert (whole.train.data == 1).all()


def test_without_the_flag_such_a_folder_is_refused_with_its_name(tmp_path, capsys):
    place = Place(tmp_path)
    everything_in_train(place)
    line = refused("train", place.argv(), capsys)
    assert "the val split is empty; " in line
    assert "for serving, without validation, add --final to mmssl train" in line
    assert not place.run.exists()


def test_lists_leave_out_all_pairs_and_there_is_nothing_to_evaluate(place, tmp_path, capsys):
    call(["export", *place.argv(f"--to={tmp_path / 'to'}", f"--top={ITEMS}")])
    with np.load(tmp_path / "to" / "lists.npz") as content:
        listed = content["items"]
    for user in range(USERS):
        items = set(listed[user][listed[user] >= 0].tolist())
        assert items == set(np.flatnonzero(all_pairs()[user] == 0).tolist())
    about = json.loads((tmp_path / "to" / "export.json").read_text())
    assert about["final"] is True
    call(["recommend", *place.argv("--users=3")])
    assert "all pairs trained on" in " ".join(capsys.readouterr().out.split())
    line = refused("evaluate", place.argv(), capsys)
    assert line.startswith(f"the run in {place.run} was trained with --final, on all pairs: there")


def test_a_folder_of_one_kind_of_run_is_not_gone_on_with_by_the_other(place, tmp_path, capsys):
    line = refused("train", place.argv(*FINAL[1:]), capsys)
    assert (
        line == f"{place.run} holds a run that was trained with --final; choose another --workdir"
    )
    other = Place(tmp_path)
    other.train(*FINAL[1:])
    line = refused("train", other.argv(*FINAL), capsys)
    assert line.startswith(f"{other.run} holds a run that was trained without --final; choose")


def test_the_default_folder_is_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path)
    flags = ("--final", "--config.model.name=popularity")  # which says itself how long it trains
    call(["train", f"--config={place.config}", *flags])
    assert (tmp_path / "runs" / "tiny-final" / "results.json").exists()


def test_a_finished_run_gives_its_config_and_its_best_epoch(tmp_path, capsys):
    place = Place(tmp_path)
    flags = ("--config.model.name=mf", "--config.train.epochs=4", "--config.model.embedding_dim=6")
    place.train(*flags, "--config.train.seed=5")
    results = json.loads((place.run / "results.json").read_text())
    results["best_epoch"] = 2  # whatever it was: this is what is read
    del results["checksum"]
    (place.run / "results.json").write_text(json.dumps(results))
    capsys.readouterr()
    to = tmp_path / "served"
    place.train(f"--final-from={place.run}", f"--workdir={to}")
    said = capsys.readouterr().err
    assert f"by the config of {place.run}, whose best epoch was 2 of 4: train.epochs=2" in said
    config = json.loads((to / "config.json").read_text())["config"]
    assert (config["model.name"], config["train.epochs"], config["train.seed"]) == ("mf", 2, 5)
    assert config["model.embedding_dim"] == 6
    assert json.loads((to / "results.json").read_text())["epochs"] == 2


def test_a_run_of_other_data_gives_its_epochs_with_a_warning_or_not_at_all(tmp_path, capsys):
    source, other = Place(tmp_path / "one"), Place(tmp_path / "other")
    source.train("--config.model.name=popularity", "--config.data.modalities=image")
    features = np.load(other.data / "image_feat.npy")
    np.save(other.data / "image_feat.npy", features + 1)
    flags = (f"--final-from={source.run}", f"--config.data.path={other.data}")
    capsys.readouterr()
    other.train(*flags)
    assert f"is not as in the run in {source.run} (its features differ)" in capsys.readouterr().err
    np.save(other.data / "image_feat.npy", features[:, :2])
    argv = other.argv(*flags, f"--workdir={tmp_path / 'x'}")
    line = refused("train", argv, capsys)
    assert "has the modalities {'image': 5}, not those of" in line


def test_ease_takes_the_lambda_of_the_best_epoch(tmp_path, capsys):
    place, flag = Place(tmp_path), "--config.model.name=ease"
    line = refused("train", place.argv("--final", flag), capsys)
    assert line.startswith("config field 'ease.l2' has 4 values, and without validation none is")
    assert not place.run.exists()
    place.train(flag, "--config.ease.l2=(3000.0,7.0)")
    best = place.results["best_epoch"]
    served = Place(tmp_path / "other")
    served.train(f"--final-from={place.run}", f"--workdir={served.run}")
    assert served.results["epochs"] == 1
    (held,) = (array for name, array in served.arrays(1).items() if ".held" in name)
    gram = jnp.asarray(all_pairs().T @ all_pairs(), jnp.float32)
    np.testing.assert_allclose(held, ease.solve(gram, (3000.0, 7.0)[best - 1]), atol=1e-6)
    one = Place(tmp_path / "one")
    one.train("--final", flag, "--config.ease.l2=7")
    (held,) = (array for name, array in one.arrays(1).items() if ".held" in name)
    np.testing.assert_allclose(held, ease.solve(gram, 7.0), atol=1e-6)


def test_the_hybrid_takes_the_weight_of_content_of_the_best_epoch(tmp_path, capsys):
    place = Place(tmp_path)
    flags = ("--config.model.name=hybrid", "--config.data.modalities=image")
    line = refused("train", place.argv("--final", *flags, "--config.train.epochs=2"), capsys)
    assert line.startswith("config field 'hybrid.content' has 2 values, and without validation")
    assert not place.run.exists()
    place.train(*flags, "--config.hybrid.content=(0.1,0.2,0.3)", "--config.train.steps_per_epoch=2")
    best = place.results["best_epoch"]
    assert place.results["chosen"] == {"hybrid.content": [(0.1, 0.2, 0.3)[(best - 1) % 3]]}
    served = Place(tmp_path / "other")
    served.train(f"--final-from={place.run}", f"--workdir={served.run}")
    assert served.results["epochs"] == best
    for own in (place, served):
        (weight,) = (x for name, x in own.arrays(best).items() if ".held.content" in name)
        assert weight == np.float32((0.1, 0.2, 0.3)[(best - 1) % 3])


def test_a_killed_final_run_ends_as_the_run_that_was_not(tmp_path):
    flags = ("--final", "--config.train.epochs=5", "--config.data.modalities=image")
    whole, killed = Place(tmp_path / "whole"), Place(tmp_path / "killed")
    for place, moment, code in (
        (whole, "never", 0),
        (killed, "in save 4", -signal.SIGKILL),
        (killed, "never", 0),
    ):
        process = start(place, moment, *flags)
        _, errors = process.communicate()
        assert process.returncode == code, errors
    assert "going on after epoch 3" in errors
    assert_same_run(whole, killed, 5)


def test_a_catalogue_of_few_items_can_be_served(tmp_path):
    place = Place(tmp_path)
    for split in SPLITS:
        pairs = json.loads((place.data / f"{split}.json").read_text())
        few = {user: [item for item in items if item < 12] for user, items in pairs.items()}
        (place.data / f"{split}.json").write_text(json.dumps(few))
    for path in place.data.glob("*_feat.npy"):
        np.save(path, np.load(path)[:12])
    place.train("--final", "--config.model.name=popularity")
    lists = tmp_path / "lists.json"
    flags = ("--users=0", "--exclude-known=none", "--top=12", f"--json={lists}")
    call(["recommend", *place.argv(*flags)])
    (user,) = json.loads(lists.read_text())
    assert sorted(each["item"] for each in user["items"]) == list(range(12))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--final"],
            "--final trains on all pairs, so no validation says when to stop: give --conf",
        ),
        (["--final-from=nothing"], "nothing holds no run"),
        (["--final-from="], "--final-from is empty"),
        (["--final-from=begun"], "begun has no results.json: finish it with mmssl train first"),
        (["--final-from=odd"], "odd/results.json does not have the results of a run"),
        (
            ["--final-from=odd", "--config.train.epochs=3"],
            "--config.train.epochs cannot be given with --final-from, which takes that run's own",
        ),
    ],
)
def test_what_a_final_run_cannot_start_from(tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path)
    for name in ("begun", "odd"):
        (tmp_path / name).mkdir()
        config = {"config": {"data.path": str(place.data), "model.name": "mf"}, "dataset": {}}
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    (tmp_path / "odd" / "results.json").write_text('{"best_epoch": 9, "epochs": 3}')
    line = refused("train", place.argv(*flags), capsys)
    assert line.startswith(message)
    assert not place.run.exists()


def test_generated_data_can_be_trained_on_as_a_whole():
    split, whole = data.load(data.DEMO), data.load(data.DEMO, final=True)
    assert whole.final
    assert not split.final
    assert whole.train.nnz == split.train.nnz + split.val.nnz + split.test.nnz
    assert whole.synthetic
    assert whole.fingerprint != split.fingerprint


def test_no_pairs_at_all_are_refused(tmp_path):
    place = Place(tmp_path)
    for split in SPLITS:
        (place.data / f"{split}.json").write_text('{"0": []}')
    with pytest.raises(InputError, match="the train split is empty"):
        data.load(str(place.data), "none", final=True)
