"""Items without a training pair: which models have a score for them, and what is said of it."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from worlds import COLD, Place, code_of, cold_world, config_of, mmssl, world

from mmssl_jax import training
from mmssl_jax.data import Dataset
from mmssl_jax.data.checks import cold
from mmssl_jax.errors import InputError
from mmssl_jax.models import MODELS
from mmssl_jax.training import session

ABLE = ("hybrid", "lattice", "micro", "vbpr")
VARIANTS = {name: (name, {}) for name in MODELS} | {
    "paper": ("mmssl", {"model__variant": "paper"}),
    "observed": ("mmssl", {"mmssl__modality_graph": "observed"}),
    "lattice on mf": ("lattice", {"item_graph__backbone": "mf"}),
    "only raw graphs": ("micro", {"item_graph__raw_weight": 1.0}),
    "hybrid, members": ("hybrid", {"hybrid__members": 2, "hybrid__graph": 0.5}),
    "only learned graphs": ("micro", {"item_graph__raw_weight": 0.0}),
}


@pytest.fixture(autouse=True, scope="module")
def _compile_fast():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def compared(place: Place, *flags: str) -> int:
    """The exit code of a short comparison."""
    short = ("--config.train.epochs=2", "--config.train.steps_per_epoch=4")
    return code_of(["compare", *place.argv(*short, *flags)])


def shares(dataset: Dataset) -> dict[str, float]:
    splits = {split: getattr(dataset, split) for split in ("val", "test")}
    return {split: np.isin(truth.indices, COLD).mean() for split, truth in splits.items()}


def scores(name: str, values: dict, dataset: Dataset) -> np.ndarray:
    """Those of a model's random start, after its first refresh."""
    config = config_of(name, **values)
    model = session.prepare(config, dataset).model
    params = model.init(jax.random.key(3))
    held = model.refresh(params, model.inputs, model.held, jax.numpy.asarray(0))
    embed = jax.jit(model.embed)(params, model.inputs, held)
    return np.asarray(model.score(embed, jax.numpy.arange(dataset.num_users)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_features_of_cold_items_change_their_scores_where_a_model_says_so(variant):
    name, values = VARIANTS[variant]
    dataset, features = cold_world(), {}
    for modality, array in dataset.features.items():
        features[modality] = array.copy()
        features[modality][COLD] = array[np.roll(COLD, 5)]
    other = dataclasses.replace(dataset, features=features)
    one, two = (scores(name, values, each)[:, COLD] for each in (dataset, other))
    model = session.prepare(config_of(name, **values), dataset).model
    assert model.scores_cold_items == (name in ABLE)
    if model.scores_cold_items:
        assert (one != two).all(axis=0).mean() > 0.9
    else:
        np.testing.assert_array_equal(one, two)


def test_the_models_named_in_messages_are_those_that_can():
    can = [
        name for name in MODELS if session.prepare(config_of(name), world()).model.scores_cold_items
    ]
    assert can == list(ABLE)
    assert cold.ABLE.startswith("lattice, micro, vbpr and hybrid can")


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ABLE])
def test_there_is_nothing_to_choose_an_epoch_by_where_all_of_val_is_cold(name, tmp_path):
    dataset = cold_world()
    count = dataset.val.nnz
    with pytest.raises(InputError) as refusal:
        training.train(config_of(name), dataset, tmp_path / "run")
    assert str(refusal.value).startswith(
        f"all {count} val pairs are of items without a training pair, which model '{name}' cannot"
    )
    assert "; lattice, micro, vbpr and hybrid can" in str(refusal.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["lightgcn", "vbpr"])
def test_how_much_of_the_truth_has_no_score_is_said_and_stored(name, tmp_path, capsys):
    dataset = cold_world(0.5)
    found = shares(dataset)
    assert all(0.2 < share < 0.8 for share in found.values())
    summary = training.train(config_of(name), dataset, tmp_path)
    errors = capsys.readouterr().err
    for split, share in found.items():
        truth = getattr(dataset, split)
        expected = 0 if name == "vbpr" else np.isin(truth.indices, COLD).sum()
        assert summary[f"{split}/unscored_pairs"] == expected
        assert summary[f"{split}/unscored_share"] == pytest.approx(0 if not expected else share)
        assert (f"{expected} {split} pairs ({share:.0%})" in errors) == (name != "vbpr")
    assert ("which model 'lightgcn' cannot score" in errors) == (name != "vbpr")


def test_the_table_of_a_run_has_a_note_on_them_and_a_few_need_none(tmp_path, capsys):
    place = Place(tmp_path / "much", cold_world(0.5))
    place.train("--config.model.name=mf", "--config.train.epochs=1")
    note = "Missed by 'mf', which cannot score them: "
    assert note in " ".join(capsys.readouterr().out.split())
    place.evaluate()
    assert note in " ".join(capsys.readouterr().out.split())
    place = Place(tmp_path / "few", cold_world(0.05))
    place.train("--config.model.name=mf", "--config.train.epochs=1")
    output = capsys.readouterr()
    assert 0 < place.results["test/unscored_pairs"] < 0.2 * cold_world(0.05).test.nnz
    assert "cannot score" not in output.out + output.err


def test_a_comparison_names_the_models_that_cannot_and_goes_on(tmp_path, capsys):
    place = Place(tmp_path, cold_world())
    flags = ("--models=lightgcn,vbpr", "--seeds=1", "--config.data.modalities=image")
    assert compared(place, *flags) == 0
    content = json.loads((place.run / "compare.json").read_text())
    failed, fine = content["models"]
    assert "which model 'lightgcn' cannot score" in failed["errors"][0]
    assert failed["test/recall@20"] is None
    assert fine["test/recall@20"] > 0
    assert "- lightgcn, seed 2022: all " in (place.run / "compare.md").read_text()
    capsys.readouterr()


def test_a_comparison_has_a_note_on_who_misses_much(tmp_path):
    place = Place(tmp_path, cold_world(0.5))
    flags = ("--models=mf,vbpr", "--seeds=1", "--config.data.modalities=image")
    assert compared(place, *flags) == 0
    text = (place.run / "compare.md").read_text()
    share = shares(cold_world(0.5))["test"]
    assert f"- mf has no score for {share:.0%} of the test pairs" in text
    assert "- vbpr has no score" not in text


def test_an_import_says_which_models_can(tmp_path, capsys):
    rows = [f"p{user},{'abcdefghij'[(user + step) % 10]}" for user in range(9) for step in range(5)]
    (tmp_path / "t.csv").write_text("\n".join(["user_id,item_id", *rows]) + "\n")
    argv = ["data", "import", str(tmp_path / "t.csv"), "--k-core=0", "--dry-run"]
    mmssl(*argv, "--split=cold-items")
    output = " ".join(capsys.readouterr().out.split())
    assert "test pairs (100%) are of items without a training pair, which most models" in output
    assert "lattice, micro, vbpr and hybrid can, by features of the items" in output
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(10, 4)))
    mmssl(
        *argv[:-1],
        "--split=cold-items",
        f"--modality=image={tmp_path / 'x.npy'}",
        f"--to={tmp_path / 'to'}",
    )
    assert capsys.readouterr().out.rstrip().endswith(" --config.model.name=lattice")
    mmssl(*argv)
    assert "most models" not in capsys.readouterr().out
