"""A new model is one file and one line: all else follows from what its file says of itself."""

import importlib.util
import json
import re

import pytest
from worlds import ITEMS, USERS, Place, given, mmssl

from mmssl_jax import models
from mmssl_jax.config import flatten
from mmssl_jax.config.sections import POSITIVE, section, setting
from mmssl_jax.errors import InputError
from mmssl_jax.models import MODELS, ease

FILE = '''
"""Toy: matrix factorisation of a width of its own."""

import jax

from mmssl_jax.config.sections import POSITIVE, Section, section, setting
from mmssl_jax.models import cf
from mmssl_jax.models.model import Definition, Model


@section
class Toy(Section):
    """What the toy alone reads."""

    width: int = setting(6, POSITIVE)  # of both embeddings


def build(config, dataset, steps_per_epoch):
    """Random embeddings, trained by BPR."""
    sizes = {"user_embedding": dataset.num_users, "item_embedding": dataset.num_items}

    def init(key):
        keys = zip(sizes.items(), jax.random.split(key), strict=True)
        shapes = {name: (own, (size, config.toy.width)) for (name, size), own in keys}
        return {"model": {name: jax.random.normal(*of) for name, of in shapes.items()}}

    def embed(params, inputs, held):
        return params["model"]["user_embedding"], params["model"]["item_embedding"]

    def loss(params, inputs, held, batch, key):
        return cf.bpr_terms(embed(params, inputs, held), batch, config)

    return Model((), init, {"model": loss}, embed)


MODEL = Definition(build, cf.DEFAULTS, {"toy": Toy})
'''


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Data and a config, and the toy among the models: its one file, and its one line."""
    file = tmp_path / "toy.py"
    file.write_text(FILE)
    spec = importlib.util.spec_from_file_location("toy", file)
    toy = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(toy)
    monkeypatch.setitem(MODELS, "toy", toy.MODEL)
    return Place(tmp_path)


def test_a_new_model_is_trained_evaluated_asked_and_compared(place, tmp_path):
    flags = ("--config.model.name=toy", "--config.toy.width=4")
    place.train(*flags)
    config = json.loads((place.run / "config.json").read_text())["config"]
    assert config["toy.width"] == 4
    assert {path.partition(".")[0] for path in config}.isdisjoint(MODELS.keys() - {"toy"})
    assert place.results["model"] == "toy"
    assert {(USERS, 4), (ITEMS, 4)} <= {x.shape for x in place.arrays(3).values()}

    place.evaluate(f"--json={tmp_path / 'scores.json'}")
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["test/recall@20"] == place.results["test/recall@20"]

    mmssl("recommend", *place.argv("--users=0,7", "--top=3", f"--json={tmp_path / 'lists.json'}"))
    lists = json.loads((tmp_path / "lists.json").read_text())
    assert [len(each["items"]) for each in lists] == [3, 3]

    compared = tmp_path / "compared"
    mmssl(
        *("compare", f"--config={place.config}", f"--workdir={compared}", "--seeds=1"),
        *("--models=toy,popularity", "--config.toy.width=3"),
    )
    rows = json.loads((compared / "compare.json").read_text())["models"]
    assert [(row["model"], row["seeds"]) for row in rows] == [
        ("toy", [2022]),
        ("popularity", [2022]),
    ]
    assert rows[0]["parameters"] == 3 * (USERS + ITEMS)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.toy.width=0", "config field 'toy.width' is 0; it must be greater than 0"),
        ("--config.toy.width=wide", "config field 'toy.width' is 'wide', which is no int"),
        ("--config.toy.widht=4", "unknown config field 'toy.widht'; did you mean toy.width"),
    ],
)
def test_a_wrong_setting_of_a_new_model_is_refused(place, flag, message):
    with pytest.raises(InputError, match=re.escape(message)):
        place.train("--config.model.name=toy", flag)
    assert not place.run.exists()


def test_a_new_setting_is_one_line_in_its_section(place, monkeypatch):
    @section
    class WithRounds(ease.EASE):
        rounds: int = setting(2, POSITIVE)

    own = MODELS["ease"]._replace(settings={"ease": WithRounds})
    monkeypatch.setitem(MODELS, "ease", own)

    def resolved(*flags):
        return models.resolve(
            given(f"--config={place.config}", "--config.model.name=ease", *flags).config
        )

    assert resolved().ease.rounds == 2
    assert flatten(resolved("--config.ease.rounds=5"))["ease.rounds"] == 5
    with pytest.raises(InputError, match=r"'ease\.rounds' is 0; it must be greater than 0"):
        resolved("--config.ease.rounds=0")
    with pytest.raises(InputError, match=r"did you mean ease\.rounds"):
        resolved("--config.ease.round=5")
