"""The configuration: unknown fields, wrong types and values out of range are refused."""

import dataclasses
import json

import pytest

from mmssl_jax import config as configs
from mmssl_jax import models
from mmssl_jax.config import Config
from mmssl_jax.errors import InputError
from mmssl_jax.models import mmssl


def with_values(**values):
    """A config with a data path and these values; '__' stands for the dot of a path."""
    config = Config()
    config.data.path = ":demo:"
    for path, value in values.items():
        *sections, name = path.split("__")
        setattr(getattr(config, sections[0]) if sections else config, name, value)
    return config


def resolve(**values):
    return models.resolve(with_values(**values))


@pytest.mark.parametrize("section", [None, "train"])
def test_a_config_file_cannot_set_an_unknown_field(section):
    config = Config()
    with pytest.raises(AttributeError, match="unknown config field 'learning_rat'"):
        (getattr(config, section) if section else config).learning_rat = 1e-3


@pytest.mark.parametrize("path", ["train.learning_rat", "train", "train.seed.x", "", "train."])
def test_unflatten_refuses_an_unknown_field(path):
    with pytest.raises(InputError, match=f"unknown config field '{path}'"):
        configs.unflatten({path: 1})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train__epochs", 2.0),
        ("train__epochs", "2"),
        ("train__epochs", True),
        ("train__batch_size", None),
        ("train__learning_rate", "fast"),
        ("train__learning_rate", False),
        ("critic__enabled", 1),
        ("data__path", 3),
        ("evaluation__cutoffs", 20),
        ("evaluation__cutoffs", (10, 20.0)),
        ("train", 3),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(path, value):
    with pytest.raises(InputError, match=path.replace("__", r"\.")):
        resolve(**{path: value})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model__variant", "paperr"),
        ("model__embedding_dim", 0),
        ("model__layers", -1),
        ("mmssl__feature_dropout", 1.0),
        ("mmssl__temperature", 0.0),
        ("mmssl__contrastive_weight", -0.1),
        ("critic__hidden", 1),
        ("critic__beta1", -0.5),
        ("train__learning_rate", 0.0),
        ("train__learning_rate", float("nan")),
        ("hybrid__content", (0.2, float("nan"))),
        ("hybrid__content", (0.2, 0.0)),
        ("ease__l2", (1.0, float("inf"))),
        ("train__weight_decay", float("inf")),
        ("train__batch_size", 0),
        ("train__seed", 2**32),
        ("data__path", ""),
        ("evaluation__cutoffs", ()),
        ("evaluation__cutoffs", (0, 20)),
        ("evaluation__cutoffs", (20, 20)),
        ("evaluation__cutoffs", (10, 50)),  # Recall@20 selects the epoch
    ],
)
def test_a_value_out_of_range_is_refused(path, value):
    with pytest.raises(InputError, match=path.replace("__", r"\.")):
        resolve(**{path: value})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model__layers", 0),
        ("train__seed", 2**32 - 1),
        ("mmssl__feature_dropout", 0.0),
        ("critic__hidden", 2),
    ],
)
def test_a_value_at_the_edge_of_its_range_is_kept(path, value):
    assert configs.flatten(resolve(**{path: value}))[path.replace("__", ".")] == value


def test_fields_that_nobody_set_take_the_default_of_the_model():
    config = resolve(train__patience=3)
    assert config.train.patience == 3
    assert config.train.epochs == mmssl.DEFAULTS["train.epochs"]
    assert config.train.learning_rate == config.mmssl.learning_rate == 5.5e-4
    assert config.model.layers == mmssl.DEFAULTS["model.layers"]


def test_a_field_without_any_value_is_refused(monkeypatch):
    incomplete = models.MODELS["mf"]._replace(defaults={"data.standardize": False})
    monkeypatch.setitem(models.MODELS, "incomplete", incomplete)
    with pytest.raises(InputError, match=r"model\.embedding_dim"):
        resolve(model__name="incomplete")


@pytest.mark.parametrize("path", ["mmssl__learning_rat", "trai__learning_rate", "critic__beta3"])
def test_an_unknown_field_of_a_models_own_is_refused(path):
    with pytest.raises(InputError, match=f"unknown config field '{path.replace('__', '.')}'"):
        resolve(**{path: 1e-3})


def test_what_another_model_reads_is_checked_and_left_out():
    given = {"model__name": "lightgcn", "mmssl__heads": 2, "ease__l2": (1.0,)}
    config = resolve(**given)
    assert not [path for path in configs.flatten(config) if path.startswith(("mmssl.", "ease."))]
    assert config == resolve(model__name="lightgcn")
    with pytest.raises(InputError, match=r"mmssl\.heads"):
        resolve(**given | {"mmssl__heads": 0})


def test_every_field_has_a_path_and_a_type():
    fields = models.fields()
    assert fields["train.seed"] is int
    assert fields["ease.l2"] == tuple[float, ...]
    for name in models.MODELS:
        assert configs.flatten(resolve(model__name=name)).keys() <= fields.keys()


def test_ints_serve_as_floats_and_lists_as_tuples():
    config = resolve(mmssl__temperature=1, evaluation__cutoffs=[20, 5])
    assert type(config.mmssl.temperature) is float
    assert config.evaluation.cutoffs == (20, 5)


def test_a_resolved_config_is_frozen_hashable_and_a_copy():
    given = with_values()
    config = models.resolve(given)
    for section, name in ((config, "name"), (config.train, "epochs")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(section, name, getattr(section, name))
    assert hash(config) == hash(resolve())
    assert config != resolve(train__epochs=1)
    given.train.epochs = 1
    assert config.train.epochs != 1


def test_flatten_and_unflatten_go_through_json():
    config = resolve(train__epochs=3, evaluation__cutoffs=(5, 20))
    stored = json.loads(json.dumps(configs.flatten(config)))
    assert configs.flatten(configs.unflatten(stored)) == configs.flatten(config)
    assert models.resolve(configs.unflatten(stored)) == config
