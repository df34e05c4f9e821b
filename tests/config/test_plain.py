"""Configs in TOML and JSON: what a Python config says, the same checks, and no code."""

import json
import tracemalloc
from pathlib import Path

import pytest
from worlds import ROOT, Place, given, refused

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.commands import call
from mmssl_jax.config import Config, named, plain
from mmssl_jax.errors import InputError

TOML = """
name = "mine"

[data]
path = ":demo:"

[model]
name = "hybrid"

[hybrid]
content = [0.2, 1]

[train]
epochs = 3
learning_rate = 1e-3
"""


def written(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_toml_and_json_say_what_python_says(tmp_path):
    said = Config()
    said.name, said.data.path, said.model.name = "mine", ":demo:", "hybrid"
    said.hybrid.content = (0.2, 1.0)
    said.train.epochs, said.train.learning_rate = 3, 1e-3
    sections = {
        "name": "mine",
        "data": {"path": ":demo:"},
        "model": {"name": "hybrid"},
        "hybrid": {"content": [0.2, 1]},
        "train": {"epochs": 3, "learning_rate": 1e-3, "patience": None},
    }
    files = (written(tmp_path, TOML), written(tmp_path, json.dumps(sections), "mine.json"))
    for file in files:
        assert models.resolve(named.config(file)) == models.resolve(said)
        over = given(f"--config={file}", "--config.train.epochs=7")
        assert (over.name, over.config.train.epochs, over.config.hybrid.content) == (
            *("mine", 7),
            (0.2, 1),
        )


@pytest.mark.parametrize("name", named.shipped())
def test_every_shipped_config_can_be_written_as_json(tmp_path, name):
    known = named.config(named.shipped()[name])
    sections: dict = {}
    for path, value in configs.flatten(known).items():
        section, _, field = path.partition(".")
        if field:
            sections.setdefault(section, {})[field] = value
    file = written(tmp_path, json.dumps(sections), f"{name}.json")
    assert models.resolve(plain.config(file)) == models.resolve(known)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nepoch = 3", "unknown config field 'train.epoch'; mmssl_jax/config has"),
        ("[data]\n'a\\nb' = 3", "unknown config field 'data.a"),
        ("[own]\nx = 3", "unknown config field 'own.x'"),
        ("[freeze]\nx = 3", "unknown config field 'freeze.x'"),
        ("[__class__]\nx = 3", "unknown config field '__class__.x'"),
        ("[_frozen]\nx = 3", "unknown config field '_frozen.x'"),
        ("[train]\nepochs = '3'", "config field 'train.epochs' is '3', which is not of type int"),
        ("[train]\nepochs = 2026-01-01", "'train.epochs' is datetime.date(2026, 1, 1), which is"),
        ("[train.epochs]\nx = 1", "config field 'train.epochs' is {'x': 1}, which is not of type"),
        ("[[train]]\nepochs = 1", "'train' is no section of fields; a field is in its section"),
        ("epochs = 3", "'epochs' is no section of fields; a field is in its section, as epochs"),
        ("name = 3", "config field 'name' is 3, which is not of type str"),
        ("name = '../mine'", "the name '../mine' cannot be that of a folder"),
        ("name = '/etc'", "the name '/etc' cannot be that of a folder"),
        ("name = '..'", "the name '..' cannot be that of a folder"),
        ("[train\n", "is not valid TOML (Expected ']'"),
        ("[train]\nepochs = 1\nepochs = 2", "is not valid TOML (Cannot overwrite a value"),
        (b"\xff\xfe", "is not valid TOML ('utf-8' codec can't decode byte 0xff"),
        ("x = " + "[" * 20_000, "is nested too deeply to be a config"),
        ("a." * 30_000 + "a = 1", "is not valid TOML (a line has more than 500 dots)"),
        ("[" + "a." * 30_000 + "a]", "is not valid TOML (a line has more than 500 dots)"),
        ("#" * (1 << 16) + "\n", "has more than 65536 bytes, so it is no config"),
    ],
)
def test_toml_that_is_no_config_is_refused_in_one_line(tmp_path, text, message):
    file = written(tmp_path, text)
    with pytest.raises(InputError) as refusal:
        named.config(file)
    assert str(refusal.value).startswith(f"config file {file}: ")
    assert message in str(refusal.value)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 500 + len(str(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds no sections, such as data and train"),
        ("{", "is not valid JSON (Expecting property name"),
        ('{"train": {"epochs": 1, "epochs": 2}}', "the key 'epochs' is there twice"),
        ('{"train.epochs": 3}', "'train.epochs' is no section of fields"),
        ('{"train": {"epochs": 1e400}}', "'train.epochs' is inf, which is not of type int"),
        ('{"train": {"epochs": ' + "9" * 9000 + "}}", "is not valid JSON (Exceeds the limit"),
        ('{"a": ' * 9000, "is nested too deeply to be a config"),
        ("__import__('os').system('x')", "is not valid JSON (Expecting value"),
    ],
)
def test_json_that_is_no_config_is_refused_in_one_line(tmp_path, text, message):
    with pytest.raises(InputError) as refusal:
        named.config(written(tmp_path, text, "mine.json"))
    assert message in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nname = 'nope'", "config field 'model.name' is 'nope'; it must be one of"),
        ("[train]\nlearning_rate = nan", "'train.learning_rate' is nan; it must be a finite"),
        ("[train]\nseed = 4294967296", "'train.seed' is 4294967296; it must be less than 2**32"),
        ("[ease]\nl2 = ['x']", "config field 'ease.l2' is 'x', which is not of type float"),
        ("[hybird]\ncontent = [1.0]", "unknown config field 'hybird.content'"),
    ],
)
def test_values_are_checked_as_those_of_a_python_config(tmp_path, text, message):
    file = written(tmp_path, f"{text}\n[data]\npath = 'x'\n")
    with pytest.raises(InputError) as refusal:
        models.resolve(named.config(file))
    assert message in str(refusal.value)


def test_a_run_is_trained_and_evaluated_by_toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = Place(tmp_path)
    text = f"[data]\npath = {json.dumps(str(place.data))}\n[model]\nname = 'ease'\n"
    written(tmp_path, f"{text}[evaluation]\ncutoffs = [5, 20]\n")
    call(["train", "--config=mine.toml"])
    call(["evaluate", "--config=mine.toml"])
    results = json.loads((tmp_path / "runs/mine/results.json").read_text())
    python = ["--config.model.name=ease", "--config.evaluation.cutoffs=5,20"]
    call(["train", *place.argv(*python, "--config.model.layers=1")])
    assert results["test/recall@20"] == place.results["test/recall@20"]


def test_what_is_chosen_because_it_runs_no_code_is_not_run(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("optuna", reason="needs the extra tune")
    written(tmp_path, "[data]\npath = ':demo:'\n")
    message = refused("tune", ["--config=mine.toml", "--trials=1"], capsys)
    assert message == "config file mine.toml is no .py file; get_search_space() is Python"
    # JSON that would also be Python.
    owned = "{'a': open('owned', 'w')}"
    written(tmp_path, owned, "settings.json")
    argv = [f"--config={ROOT / 'configs/demo.py'}", "--settings=settings.json"]
    message = refused("compare", argv, capsys)
    assert message == "settings file settings.json is no .py file; get_settings() is Python"
    assert not Path("owned").exists()


def test_dotted_keys_take_little_memory(tmp_path):
    parts = [".".join(map(str, range(first, first + 140))) for first in range(100)]
    file = written(tmp_path, "".join(f"{key} = 1\n" for key in parts))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"unknown config field '0\.1'"):
            named.config(file)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
