"""Everything a user can get wrong: one helpful line, exit code 2, and nothing written or lost."""

import json
import pickle
import re
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from worlds import ITEMS, Place, code_of, given, snapshot, world

from mmssl_jax import data, models, training
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.training import session

CONTENT = "--config.data.modalities="  # every modality found


@pytest.fixture(name="place")
def _place(tmp_path, monkeypatch) -> Place:
    monkeypatch.chdir(tmp_path)
    return Place(tmp_path)


@pytest.fixture(scope="module", name="finished")
def _finished(tmp_path_factory) -> Place:
    place = Place(tmp_path_factory.mktemp("finished"))
    place.train("--config.train.epochs=1")
    return place


@pytest.fixture(name="ran")
def _ran(place, finished) -> Place:
    """A place with a finished run."""
    shutil.copytree(finished.run, place.run)
    config = place.run / "config.json"
    config.write_text(config.read_text().replace(str(finished.data), str(place.data)))
    return place


def refused(place: Place, argv: list[str], capsys, command: str = "train") -> str:
    """Runs a command that must fail as the house wants it, and returns its line."""
    before = snapshot(place.run.parent)
    code = code_of([command, *argv])
    output = capsys.readouterr()
    *warnings, line = output.err.splitlines()
    assert code == 2
    assert all(warning.startswith("warning: ") for warning in warnings)
    assert line.startswith("error: ")
    assert "Traceback" not in output.err
    assert output.out == ""
    assert snapshot(place.run.parent) == before  # nothing is written, nothing is lost
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--config.train.epoch=3"],
            "unknown config field 'train.epoch'; did you mean train.epochs",
        ),
        (
            ["--config.trian.epochs=3"],
            "unknown config field 'trian.epochs'; did you mean train.epo",
        ),
        (["--config.critic=1"], "unknown config field 'critic'; did you mean critic.enabled"),
        (
            ["--noconfig.nothing"],
            "unknown config field 'nothing'; all fields are in mmssl_jax/config",
        ),
        (["--config.train.epochs=x"], "config field 'train.epochs' is 'x', which is no int"),
        (["--config.train.epochs=1.5"], "config field 'train.epochs' is '1.5', which is no int"),
        (["--config.train.learning_rate=x"], "'train.learning_rate' is 'x', which is no float"),
        (["--config.critic.enabled=x"], "config field 'critic.enabled' is 'x', which is no bool"),
        (["--config.evaluation.cutoffs=(20,x)"], "config field 'evaluation.cutoffs' is '(20,x)'"),
        (
            ["--config.evaluation.cutoffs=(5,)"],
            "'evaluation.cutoffs' is (5,); it must be a list with",
        ),
        (
            ["--config.evaluation.cutoffs=(20,50)"],
            "the top 50, but the data set has 40 items; choose",
        ),
        (
            ["--config.train.epochs=0"],
            "config field 'train.epochs' is 0; it must be greater than 0",
        ),
        (["--config.train.learning_rate=nan"], "'train.learning_rate' is nan; it must be a finite"),
        (
            ["--config.model.name=nope"],
            "config field 'model.name' is 'nope'; it must be one of mmssl",
        ),
        (
            ["--config.model.variant=nope"],
            "'model.variant' is 'nope'; it must be one of released, pap",
        ),
        (["--config.data.modalities=smell"], "asks for 'smell', found: image, text"),
        (
            ["--config.data.path=nope"],
            "data folder 'nope' does not exist: docs/data.md says how to get",
        ),
        (
            ["--config.data.path=tiny.py"],
            "data folder 'tiny.py' is not a folder: docs/data.md says",
        ),
        (
            ["--nosuch=1"],
            "No such option '--nosuch'; mmssl train --help lists what can be given",
        ),
        (["--flagfile=nope"], "No such option '--flagfile'"),
        (["stray"], "unexpected argument 'stray'; flags start with --"),
        (["--workdir="], "--workdir is empty; give a path, or leave the flag out"),
        (["--workdir=tiny.py"], "cannot write to tiny.py: "),
        (["--workdir=tiny.py/run"], "cannot write to tiny.py/run: Not a directory; choose another"),
        (["--workdir=/proc/run"], "cannot write to /proc/run: "),
        (["--workdir=" + "x/" * 1950], "bytes, and with more than 3800 there is no room for the"),
        (["--config="], "config file '' does not exist; try --config demo"),
        (
            ["--config=nope.py"],
            "config file 'nope.py' does not exist; try --config demo",
        ),
        (["--config=data"], "config file 'data' is a folder; try --config demo"),
        (
            ["--config=data/train.json"],
            "config file data/train.json: '0' is no section of fields; a field is in its section",
        ),
        (
            ["--config=data/image_feat.npy"],
            "config file 'data/image_feat.npy' is no .py file, and no .toml or .json; see configs/",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_flags(place, capsys, flags, message):
    assert message in refused(place, place.argv(*flags), capsys)


def test_the_missing_data_folder_names_the_demo(place, capsys):
    line = refused(place, place.argv("--config.data.path=nope"), capsys)
    assert "mmssl demo" in line


@pytest.mark.parametrize("argv", [[], ["--workdir=run"]])
def test_no_config(place, capsys, argv):
    line = refused(place, argv, capsys)
    assert line == "no --config given; try --config demo"


HEAD = "from mmssl_jax.config import Config\ndef get_config():\n    config = Config()\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef get_config(:\n", ", line 2: invalid syntax"),
        ("", ": has no get_config(); see configs/demo.py"),
        ("def get_config():\n    return 3\n", ": its get_config() returns int, not the Config of"),
        ("def get_config():\n    pass\n", ": its get_config() returns NoneType, not the Config of"),
        ("import nosuch\n", ", line 1: ModuleNotFoundError: No module named 'nosuch'"),
        ("raise ValueError('a\\nb')\n", ", line 1: ValueError: a b"),
        ("open('nosuch')\n", ", line 1: FileNotFoundError: "),
        ("import sys\nsys.exit()\n", ", line 2: SystemExit"),
        (
            HEAD + "    config.train.epoch = 3\n",
            ", line 4: AttributeError: unknown config field 'epoch'",
        ),
    ],
)
def test_config_files(place, capsys, text, message):
    place.config.write_text(text)
    line = refused(place, place.argv(), capsys)
    assert line.startswith(f"config file {place.config}{message}")


def test_a_config_file_with_a_wrong_type(place, capsys):
    place.config.write_text(HEAD + "    config.train.epochs = '3'\n    return config\n")
    line = refused(place, place.argv(), capsys)
    assert line == "config field 'train.epochs' is '3', which is not of type int"


def edit_split(place: Place, split: str, change) -> None:
    path = place.data / f"{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def save(name: str, array: np.ndarray):
    return lambda place: np.save(place.data / name, array)


def shared_pair(place: Place) -> None:
    item = json.loads((place.data / "train.json").read_text())["3"][0]
    edit_split(place, "test", lambda content: content["3"].append(item))


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("owned"),)


def hostile_pickle(place: Place) -> None:
    for split in ("train", "val", "test"):
        (place.data / f"{split}.json").unlink()
    for name in ("trnMat.pkl", "valMat.pkl", "tstMat.pkl"):
        (place.data / name).write_bytes(pickle.dumps(Hostile()))


ONES = np.ones((ITEMS, 2), np.float32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda place: shutil.rmtree(place.data), "does not exist: docs/data.md says how to get"),
        (lambda place: (place.data / "val.json").unlink(), "val.json missing beside train.json"),
        (
            lambda place: [path.unlink() for path in place.data.glob("*_feat.npy")],
            "no <modality>_feat.npy found; add features, or train without content: "
            "--config.data.modalities=none",
        ),
        (save("text_feat.npy", ONES[:-1]), r"text_feat.npy: has 39 rows, but there are 40 items"),
        (save("text_feat.npy", ONES[0]), r"text_feat.npy: has shape \(2,\); features are 2-d"),
        (save("text_feat.npy", ONES.astype(int)), "text_feat.npy: holds integers"),
        (save("text_feat.npy", ONES * np.nan), "text_feat.npy: 80 NaN or infinite values"),
        (save("text_feat.npy", ONES * np.inf), "text_feat.npy: 80 NaN or infinite values"),
        (
            lambda place: edit_split(place, "train", lambda users: users["0"].append(ITEMS)),
            "image_feat.npy: has 40 rows, but there are 41 items",
        ),
        (
            lambda place: edit_split(place, "train", lambda users: users["0"].append(-1)),
            "train.json: user 0 has item -1; items are integers from 0",
        ),
        (
            lambda place: edit_split(place, "train", lambda users: users.update({"-1": [0]})),
            "train.json: '-1' is not a user index",
        ),
        (shared_pair, "1 pair is in both train and test, the first is user 3, item"),
        (
            lambda place: (place.data / "train.json").write_text("{}"),
            "the train split is empty; training needs pairs",
        ),
        (
            lambda place: (place.data / "train.json").write_text("{"),
            "train.json: is not valid JSON",
        ),
        (hostile_pickle, "trnMat.pkl: refused, and nothing in it was run: .*pathlib"),
    ],
)
def test_data(place, capsys, spoil, message):
    spoil(place)
    line = refused(place, place.argv(CONTENT), capsys)
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--config.train.seed=1"], "run holds another run: its train.seed is 2022, not 1; choose"),
        (["--config.model.embedding_dim=4"], "another run: its model.embedding_dim is 8, not 4"),
        (["--config.data.modalities=image"], "its data.modalities is 'none', not 'image'"),
    ],
)
def test_a_workdir_of_another_run(ran, capsys, flags, message):
    assert message in refused(ran, ran.argv(*flags), capsys)


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_workdir_of_another_data_set(ran, tmp_path, capsys, command):
    other = Place(tmp_path / "other", world(seed=5))
    line = refused(ran, ran.argv(f"--config.data.path={other.data}"), capsys, command)
    assert "is of another data set: its fingerprint is " in line


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_workdir_of_data_with_other_raw_ids(ran, tmp_path, capsys, command):
    other = Place(tmp_path / "other")
    lines = "".join(f"{item}\tB{item}\n" for item in range(ITEMS))
    (other.data / "items.tsv").write_text(lines)
    line = refused(ran, ran.argv(f"--config.data.path={other.data}"), capsys, command)
    assert "is of another data set: its ids is " in line


def test_a_start_that_failed_does_not_bind_its_folder(tmp_path, capsys, monkeypatch):
    place = Place(tmp_path)

    def out_of_memory(*_, **__):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED:\nout of memory")

    with monkeypatch.context() as patch:
        patch.setattr(training.loop.states, "init_state", out_of_memory)
        assert code_of(["train", *place.argv()]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: the device cannot do it (RESOURCE_EXHAUSTED: out of memory)")
    place.train("--config.train.batch_size=8", "--config.train.epochs=1")
    assert place.results["epochs"] == 1


def test_a_finished_run_binds_its_folder_without_its_checkpoints(tmp_path):
    place = Place(tmp_path)
    place.train("--config.train.epochs=1")
    shutil.rmtree(place.run / "checkpoints")
    before = place.results
    with pytest.raises(InputError, match=r"holds another run: its train\.batch_size"):
        place.train("--config.train.epochs=1", "--config.train.batch_size=8")
    assert place.results == before


@pytest.mark.parametrize(
    "flag",
    [
        "train.batch_size=100000000000",
        "train.epochs=9999999999",
        "model.embedding_dim=1" + "0" * 30,
    ],
)
def test_numbers_that_no_device_can_count_to(tmp_path, flag):
    with pytest.raises(InputError, match=r"must be less than 2\*\*31"):
        Place(tmp_path).train(f"--config.{flag}")


def put(name: str, text: str):
    return lambda place: (place.run / name).write_text(text)


def truncate(place: Place) -> None:
    for path in (place.run / "checkpoints/1/state").rglob("d/*"):
        path.write_bytes(path.read_bytes()[:40])


def foreign(place: Place) -> None:
    """A config.json, without a checksum, that says more than the checkpoint holds."""
    path = place.run / "config.json"
    content = json.loads(path.read_text())
    del content["checksum"]
    content["config"]["model.embedding_dim"] = 4
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda place: shutil.rmtree(place.run), r"run holds no run \(no config.json\)"),
        (
            lambda place: shutil.rmtree(place.run / "checkpoints"),
            "holds no checkpoint yet; run mmssl train",
        ),
        (
            lambda place: shutil.rmtree(place.run / "checkpoints/1"),
            "holds no checkpoint yet; run mmssl tr",
        ),
        (put("config.json", "{"), "config.json: it is not valid JSON"),
        (put("config.json", "[]"), "config.json is not the config of a run"),
        (put("config.json", '{"config": {}}'), "config.json is not the config of a run"),
        (
            put("config.json", '{"config": 3, "dataset": {}}'),
            "config.json is not the config of a run",
        ),
        (put("config.json", '{"config": {"a": 1}, "dataset": {}}'), "unknown config field 'a'"),
        (truncate, "the checkpoint of epoch 1 in .* or is damaged"),
        (foreign, "the checkpoint of epoch 1 in .* does not fit this config and data set"),
        (
            lambda place: shutil.rmtree(place.run / "checkpoints/1/state"),
            "the checkpoint of epoch 1 in .* or is damaged",
        ),
    ],
)
def test_evaluate_on_a_spoilt_run(ran, capsys, spoil, message):
    spoil(ran)
    line = refused(ran, ran.argv(), capsys, "evaluate")
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncate, "the checkpoint of epoch 1 in .* or is damaged"),
        (put("config.json", "{"), "config.json: it is not valid JSON"),
        (
            lambda place: (place.run / "config.json").unlink(),
            "holds checkpoints but no config.json",
        ),
        (put("metrics.jsonl", "{]}\n"), "metrics.jsonl, line 1: is not a row of metrics"),
        (put("metrics.jsonl", '{"a": 1}\n'), "metrics.jsonl, line 1: is not a row of metrics"),
    ],
)
def test_train_on_a_spoilt_run(ran, capsys, spoil, message):
    spoil(ran)
    line = refused(ran, ran.argv("--config.train.epochs=1"), capsys)
    assert re.search(message, line), line


@pytest.mark.parametrize("flag", ["--config.train.seed=1", "--noconfig.critic.enabled"])
def test_evaluate_takes_no_field_but_the_data_path(ran, capsys, flag):
    line = refused(ran, ran.argv(flag), capsys, "evaluate")
    assert "cannot be given to evaluate, which takes the run's own config" in line


@pytest.mark.parametrize("file", ["/proc/scores.json", "tiny.py/scores.json", "data"])
def test_a_scores_file_that_cannot_be_written_is_noticed_first(ran, capsys, monkeypatch, file):
    monkeypatch.setattr(session, "load_data", None)  # no work is done
    line = refused(ran, ran.argv(f"--json={file}"), capsys, "evaluate")
    assert line.startswith(f"cannot write {file}: ")


def test_a_run_that_is_still_going_on(ran, capsys):
    config = models.resolve(given(*ran.argv("--config.train.epochs=1")).config)
    with RunFolder(ran.run).open(config, session.load_data(config), models.resolve):
        line = refused(ran, ran.argv("--config.train.epochs=1"), capsys)
    assert line == f"another process is training in {ran.run}"


def test_a_name_that_is_not_utf_8_is_refused_in_one_line(tmp_path, capsys):
    table = tmp_path / "a\udcff.csv"
    table.write_text("user,item\na,b\n")
    assert code_of(["data", "import", str(table), f"--to={tmp_path / 'to'}"]) == 2
    line = capsys.readouterr().err.strip()
    assert line.endswith(r"a\udcff.csv': its name must be UTF-8; rename it")
    assert len(line.splitlines()) == 1
    with pytest.raises(InputError, match=r"its name must be UTF-8; rename it"):
        data.load("a\udcff")
    with pytest.raises(InputError, match="does not exist") as caught:
        data.load("a\0\n")
    assert str(caught.value).isprintable()


def test_a_mesh_that_is_not_there_is_refused_before_anything_is_written(place, capsys):
    line = refused(place, place.argv("--config.mesh.data=30"), capsys)
    assert line.startswith("config field 'mesh' asks for 30 x 1 devices")
