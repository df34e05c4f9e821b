"""The compare command: whole comparisons on tiny data, restarts, failures, and its statistics."""

import csv
import dataclasses
import itertools
import json
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import scipy.stats
from worlds import ITEMS, MANY_COLD, ROOT, USERS, Place, code_of, cold_world, world

from mmssl_jax import config as configs
from mmssl_jax import models, training
from mmssl_jax.data import Dataset
from mmssl_jax.errors import InputError
from mmssl_jax.models import MODELS
from mmssl_jax.studies import compare, comparison, report, tune
from mmssl_jax.training import epochs, session

FLAGS = ("--config.train.epochs=2", "--config.train.steps_per_epoch=4")
SUFFIXES = ("md", "csv", "json")


@pytest.fixture(autouse=True, scope="module")
def _compile_fast():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def run(place: Place, *flags: str) -> int:
    """The command's exit code."""
    return code_of(["compare", *place.argv(*FLAGS, *flags)])


def written(place: Place) -> dict[str, dict]:
    """The models of compare.json by name."""
    content = json.loads((place.run / "compare.json").read_text())
    return {row["model"]: row for row in content["models"]}


@pytest.fixture(scope="module", name="two")
def _two(tmp_path_factory):
    """A comparison of two models, one of them deterministic, and what it printed."""
    place = Place(tmp_path_factory.mktemp("compare"))
    assert run(place, "--models=mmssl,popularity", "--seeds=2") == 0
    return place


@pytest.fixture(name="trained")
def _trained(monkeypatch):
    """The runs that training.train is called for from here on."""
    calls, real = [], training.train

    def train(config, dataset, folder):
        calls.append(f"{config.model.name}/{folder.name}")
        return real(config, dataset, folder)

    monkeypatch.setattr(training, "train", train)
    return calls


def test_means_over_seeds_of_what_the_runs_wrote(two):
    runs = [two.run / "mmssl" / f"seed-{seed}" for seed in (2022, 2023)]
    summaries = [json.loads((folder / "results.json").read_text()) for folder in runs]
    row = written(two)["mmssl"]
    assert row["seeds"] == [2022, 2023]
    assert row["best_epochs"] == [summary["best_epoch"] for summary in summaries]
    for key in comparison.SCORES:
        values = [summary[key] for summary in summaries]
        np.testing.assert_allclose(row[key], np.mean(values), rtol=1e-12)
        np.testing.assert_allclose(row[f"{key}/sd"], np.std(values, ddof=1), rtol=1e-9)
    lines = [line for f in runs for line in (f / "metrics.jsonl").read_text().splitlines()]
    seconds = sum(json.loads(line)["seconds"] for line in lines)
    np.testing.assert_allclose(row["seconds"], seconds / 2, rtol=1e-12)
    assert row["parameters"] == (USERS + ITEMS) * 8  # no content, no critic


def test_a_deterministic_model_runs_once(two):
    row = written(two)["popularity"]
    assert row["deterministic"]
    assert row["seeds"] == [2022]
    assert row["test/recall@20/sd"] is None
    assert [path.name for path in (two.run / "popularity").iterdir()] == ["seed-2022"]


def test_p_values_are_of_users_averaged_over_seeds(two):
    def load(name, seed):
        with np.load(two.run / name / f"seed-{seed}" / "per_user.npz") as content:
            assert content["users"].tolist() == list(range(USERS))
            return content["recall@20"].astype(np.float64)

    mmssl = (load("mmssl", 2022) + load("mmssl", 2023)) / 2
    popularity = load("popularity", 2022)
    row = written(two)["popularity"]
    test = scipy.stats.ttest_rel(popularity, mmssl)
    np.testing.assert_allclose(row["recall@20/t_test_p"], test.pvalue, rtol=1e-9)
    assert row["recall@20/wilcoxon_p"] is None  # of a mean over one seed and one over two
    np.testing.assert_allclose(row["recall@20/difference"], np.mean(popularity - mmssl), rtol=1e-9)
    assert written(two)["mmssl"]["recall@20/t_test_p"] is None
    assert row["against"] == "mmssl"


def test_the_files_have_the_same_rows(two):
    rows = written(two)
    with (two.run / "compare.csv").open() as file:
        table = {row["model"]: row for row in csv.DictReader(file)}
    assert table.keys() == rows.keys()
    for name, row in rows.items():
        assert table[name]["data"] == "data 'data'"
        for key in ("test/ndcg@20", "test/recall@20/users_6+"):
            assert float(table[name][key]) == row[key]
        assert table[name]["seeds"] == " ".join(map(str, row["seeds"]))
    assert table["mmssl"]["recall@20/t_test_p"] == ""
    markdown = (two.run / "compare.md").read_text()
    header, _, *lines = markdown.split("\n\n")[1].splitlines()
    assert len(lines) == 2
    assert {line.count("|") for line in (header, *lines)} == {header.count("|")}
    assert f"{rows['mmssl']['test/recall@20']:.4f} ± " in lines[0]
    for word in ("paired t-test", "Wilcoxon", "against mmssl", f"{USERS} test users"):
        assert word in " ".join(markdown.split())
    assert "GENERATED" not in markdown


def tables(place: Place) -> dict[str, list[list[str]]]:
    """The tables of groups in compare.md: items or users -> rows of cells, the head first."""
    blocks = (place.run / "compare.md").read_text().split("\n\n")
    heads = {kind: f"## Recall@20 by training pairs of {kind}" for kind in comparison.GROUPS}
    found = {kind: blocks[blocks.index(head) + 1] for kind, head in heads.items()}
    rows = {kind: [line[2:-2].split(" | ") for line in found[kind].splitlines()] for kind in found}
    return {kind: [head, *body] for kind, (head, _, *body) in rows.items()}


def sparse_world() -> Dataset:
    """The world, but with users and items of few training pairs, and cold ones."""
    dataset = world()
    train = dataset.train.toarray()
    for user, kept in enumerate((0, 0, 1, 2, 3, 5)):
        train[user, np.flatnonzero(train[user])[kept:]] = 0
    train[:, :4] = 0
    train[10, 0] = train[10:13, 1] = 1
    return dataclasses.replace(dataset, train=scipy.sparse.csr_array(train))


def test_recall_by_training_pairs_is_the_mean_of_what_evaluate_says(tmp_path):
    place = Place(tmp_path, sparse_world())
    assert run(place, "--models=mf,popularity", "--seeds=2") == 0
    folders = {
        "mf": [place.run / f"mf/seed-{seed}" for seed in (2022, 2023)],
        "popularity": [place.run / "popularity/seed-2022"],
    }
    found = tables(place)
    for index, (model, row) in enumerate(written(place).items(), start=1):
        scores = []
        for folder in folders[model]:
            file = folder / "scores.json"
            assert code_of(["evaluate", *place.argv(f"--workdir={folder}", f"--json={file}")]) == 0
            scores.append(json.loads(file.read_text()))
        for kind, groups in comparison.GROUPS.items():
            for column, group in enumerate(groups, start=1):
                recall, users = f"test/recall@20/{group}", f"test/users/{group}"
                assert row[users] == scores[0][users] > 0
                mean = np.mean([score[recall] for score in scores])
                np.testing.assert_allclose(row[recall], mean, rtol=1e-12)
                assert found[kind][index][0] == model
                assert found[kind][index][column] == f"{mean:.4f}"
                head = f"{group.partition('_')[2]} (users: {row[users]})"
                assert found[kind][0][column] == head


def test_runs_compared_before_groups_were_kept_are_read_without(two, tmp_path, trained):
    place = Place(tmp_path)
    for name in ("mmssl", "popularity"):
        shutil.copytree(two.run / name, place.run / name)
    path = place.run / "mmssl/seed-2023/per_user.npz"
    with np.load(path) as content:
        np.savez(path, **{key: content[key] for key in content if key != "groups"})
    assert run(place, "--models=mmssl,popularity", "--seeds=2") == 0
    assert trained == []
    rows, before = written(place), written(two)
    assert rows["popularity"] == before["popularity"]
    for group in itertools.chain(*comparison.GROUPS.values()):
        assert rows["mmssl"].pop(f"test/recall@20/{group}") is None  # not of one seed alone
    assert rows["mmssl"].items() <= before["mmssl"].items()
    for kind, (head, mmssl, popularity) in tables(place).items():
        assert mmssl == ["mmssl", *"----"]
        assert popularity[-1] == tables(two)[kind][2][-1] != "-"
        assert head == tables(two)[kind][0]


def test_groups_that_no_run_has_kept_are_dashes():
    values = {metric: np.ones(3) for metric in comparison.PAIRED}
    summary = dict.fromkeys([*comparison.SCORES, "best_epoch"], 1.0)
    old = comparison.Run(0, summary, 1.0, 1, False, np.arange(3), values, {})
    rows = comparison.rows([comparison.Entry("one", [old], {})], "one")
    assert "| model | cold | 1-2 | 3-5 | 6+ |" in report.markdown(rows, "heading")
    assert "| one | - | - | - | - |" in report.markdown(rows, "heading")


def test_the_chart(two):
    pytest.importorskip("matplotlib")
    assert (two.run / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_finished_runs_are_taken_as_they_are(two, trained, capsys, monkeypatch):
    before = written(two)
    monkeypatch.setattr(training, "best_of_run", None)  # the users' scores are kept, too
    assert run(two, "--models=popularity,mmssl", "--seeds=2", "--against=mmssl") == 0
    assert trained == []
    assert written(two) == before
    output = capsys.readouterr()
    assert "mmssl, seed 2023: finished already, in" in output.err
    assert "Test scores on data 'data'" in output.out


@pytest.mark.parametrize("spoil", [b"", b"PK\3\4", None])
def test_users_scores_that_are_lost_are_made_again(two, trained, spoil):
    before, path = written(two), two.run / "mmssl" / "seed-2022" / "per_user.npz"
    path.unlink() if spoil is None else path.write_bytes(spoil)
    assert run(two, "--models=mmssl,popularity", "--seeds=2") == 0
    assert trained == []
    assert written(two) == before


def test_users_scores_are_never_those_of_a_later_best_epoch(two, tmp_path, capsys):
    shutil.copytree(two.run, tmp_path / "run")
    results = tmp_path / "run/mmssl/seed-2022/results.json"
    results.with_name("per_user.npz").unlink()
    stored = json.loads(results.read_text())
    del stored["checksum"]  # so that it can be edited
    results.write_text(json.dumps(stored | {"best_epoch": stored["best_epoch"] + 1}))
    assert run(two, f"--workdir={tmp_path / 'run'}", "--models=mmssl,popularity", "--seeds=1") == 0
    assert "seed-2022 was trained on after its" in capsys.readouterr().err


def test_without_matplotlib_all_else_is_written(two, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    about = report.About("data 'data'", [], "mmssl compare", {})
    said = []
    report.write(tmp_path, list(written(two).values()), [], about, said.append)
    assert {path.name for path in tmp_path.iterdir()} == {f"compare.{x}" for x in SUFFIXES}
    line = 'compare.png is not written, as it needs matplotlib: pip install ".[plot]"'
    assert line in said


def test_the_json_says_what_made_it(two):
    content = json.loads((two.run / "compare.json").read_text())
    assert content["command"].startswith("mmssl compare --config=")
    assert "--models=mmssl,popularity" in content["command"]
    assert content["overrides"]["popularity"] == {"model.name": "popularity"}
    assert content["runs"].keys() == {"mmssl", "popularity"}
    for run_, seed in zip(content["runs"]["mmssl"], (2022, 2023), strict=True):
        stored = json.loads((two.run / f"mmssl/seed-{seed}/results.json").read_text())
        for key in ("seed", "best_epoch", "commit", "cores", "test/recall@20", "val/recall@20"):
            assert run_[key] == stored[key]


SETTINGS = """
def get_settings():
    return {
        "popular": {"model.name": "popularity"},
        "one layer": {"model.name": "lightgcn", "model.layers": 1},
        "lr=.01": {"model.name": "lightgcn", "train.learning_rate": 0.01},
        "content": {"model.name": "vbpr", "data.modalities": "image"},
    }
"""


def test_named_settings_side_by_side(tmp_path, trained):
    place, file = Place(tmp_path), tmp_path / "settings.py"
    file.write_text(SETTINGS)
    assert run(place, f"--settings={file}", "--seeds=1", "--against=one layer") == 0
    models = [name.partition("/")[0] for name in trained]
    assert models == ["popularity", "lightgcn", "lightgcn", "vbpr"]
    rows = written(place)
    assert list(rows) == ["popular", "one layer", "lr=.01", "content"]
    content = json.loads((place.run / "content/seed-2022/results.json").read_text())
    assert content["modalities"] == ["image"]
    assert rows["lr=.01"]["against"] == "one layer"
    assert 0 < rows["popular"]["recall@20/wilcoxon_p"] <= 1
    stored = json.loads((place.run / "lr=.01/seed-2022/config.json").read_text())["config"]
    assert stored["train.learning_rate"] == 0.01
    assert stored["model.layers"] == 1  # of the config file
    content = json.loads((place.run / "compare.json").read_text())
    assert content["overrides"]["one layer"] == {"model.name": "lightgcn", "model.layers": 1}


def test_settings_of_other_models_leave_a_finished_run_as_it_is(two, tmp_path, trained):
    place = Place(tmp_path)
    shutil.copytree(two.run / "popularity", place.run / "popularity")
    flags = ("--models=popularity", "--seeds=1")  # and the same data, at another place
    assert run(place, *flags, "--config.mmssl.temperature=0.1") == 0
    assert trained == []
    assert run(place, *flags, "--config.train.batch_size=8") == 2  # which it reads


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "does not exist"),
        ("x = 1", "has no get_settings()"),
        ("def get_settings(): return {}", "label -> overrides"),
        ("def get_settings(): return {'../up': {}}", "cannot name a setting"),
        ("def get_settings(): return {'a ': {}}", "cannot name a setting"),
        ("def get_settings(): return {'compare.json': {}}", "cannot name a setting"),
        ("def get_settings(): return {'a': 3}", "must be field -> value"),
        ("def get_settings(): return {'a': {}, 'A': {}}", "'a' and 'A' differ in case alone"),
        ("def get_settings(): return {'a': {'model.layer': 3}}", "unknown config field"),
        ("def get_settings(): return {'a': {'model.layers': 'x'}}", "not of type int"),
        ("def get_settings(): return {'a': {'train.seed': 1}}", "give --config.train.seed"),
        ("def get_settings(): return 1 / 0", "ZeroDivisionError"),
        ("def get_settings(:", "SyntaxError"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path, capsys, content, problem):
    place, file = Place(tmp_path), tmp_path / "settings.py"
    if content is not None:
        file.write_text(content)
    assert run(place, f"--settings={file}") == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert not place.run.exists()


def test_settings_of_other_data_are_refused(tmp_path, capsys):
    place, other = Place(tmp_path / "one"), Place(tmp_path / "other", world(seed=1))
    file = tmp_path / "settings.py"
    file.write_text(
        f"def get_settings(): return {{'a': {{}}, 'b': {{'data.path': {str(other.data)!r}}}}}"
    )
    assert run(place, f"--settings={file}") == 2
    assert "different splits" in capsys.readouterr().err


COLD_SETTINGS = """
def get_settings():
    cold = {'evaluation.candidates': 'cold', 'model.name': 'vbpr', 'data.modalities': 'image'}
    return {'one': cold, 'two': cold | {'model.embedding_dim': 4}, 'all': {'model.name': 'mf'}}
"""


def test_a_comparison_on_cold_items_says_so_everywhere(tmp_path, capsys):
    place, file = Place(tmp_path, cold_world(0.5, MANY_COLD)), tmp_path / "settings.py"
    file.write_text(COLD_SETTINGS)
    assert run(place, f"--settings={file}", "--seeds=1", "--models=one,two") == 0
    words = "data 'data', scored on cold items alone"
    assert f"Test scores on {words}" in " ".join(capsys.readouterr().out.split())
    assert (place.run / "compare.md").read_text().startswith(f"# Comparison on {words}, modalities")
    assert words in (place.run / "compare.csv").read_text()
    content = json.loads((place.run / "compare.json").read_text())
    assert content["data"] == words
    assert words in content["title"]
    users = {row["test_users"] for row in content["models"]}
    test = cold_world(0.5, MANY_COLD).test
    assert users == {len(set(test.nonzero()[0][np.isin(test.indices, MANY_COLD)]))}


def test_all_items_and_cold_ones_alone_do_not_compare(tmp_path, capsys):
    place, file = Place(tmp_path, cold_world(0.5, MANY_COLD)), tmp_path / "settings.py"
    file.write_text(COLD_SETTINGS)
    assert run(place, f"--settings={file}", "--seeds=1") == 2
    assert "the settings differ in evaluation.candidates" in capsys.readouterr().err
    assert run(place, "--models=vbpr", "--seeds=1", "--config.data.modalities=image") == 0
    cold = "--config.evaluation.candidates=cold"
    assert run(place, "--models=vbpr", "--seeds=1", "--config.data.modalities=image", cold) == 2
    assert "its evaluation.candidates is 'all', not 'cold'" in capsys.readouterr().err


def test_models_choose_among_settings(tmp_path, trained, capsys):
    place, file = Place(tmp_path), tmp_path / "settings.py"
    file.write_text(SETTINGS)
    assert run(place, f"--settings={file}", "--seeds=1", "--models=one layer, popular") == 0
    assert list(written(place)) == ["one layer", "popular"]
    assert len(trained) == 2
    assert run(place, f"--settings={file}", "--models=lightgcn") == 2
    assert "--models has 'lightgcn'; the settings of" in capsys.readouterr().err


def test_an_interrupted_comparison_goes_on(two, tmp_path, monkeypatch, capsys):
    place = Place(tmp_path)
    for folder in ("mmssl/seed-2022", "popularity"):
        shutil.copytree(two.run / folder, place.run / folder)
    flags = (f"--config.data.path={two.data}", "--models=mmssl,popularity", "--seeds=2")
    real, calls = epochs._read, []

    def stop(*args):
        calls.append(1)
        if len(calls) == 2:  # in the second epoch of the second run
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(epochs, "_read", stop)
        assert run(place, *flags) == 130
    error = capsys.readouterr().err
    assert "mmssl, seed 2022: finished already" in error
    assert "interrupted; the same command goes on" in error
    assert not (place.run / "compare.json").exists()
    assert run(place, *flags) == 0
    assert "mmssl/seed-2023: going on after epoch 1" in capsys.readouterr().err
    found, whole = written(place), written(two)
    for row in (*found.values(), *whole.values()):
        row.pop("seconds")
    assert found == whole


def test_more_epochs_go_on_and_fewer_are_refused(tmp_path, trained, capsys):
    place, flags = Place(tmp_path), ("--models=mf", "--seeds=1")
    assert run(place, *flags, "--config.train.epochs=1") == 0
    assert run(place, *flags) == 0
    assert len(trained) == 2
    assert run(place, *flags, "--config.train.epochs=1") == 2
    assert "has 2 epochs, more than train.epochs, 1; choose" in capsys.readouterr().err


def test_epochs_for_all_models_cut_no_lambda_of_ease(tmp_path, trained):
    place, flags = Place(tmp_path), ("--models=mf,ease,popularity", "--seeds=1")
    assert run(place, *flags, "--config.train.epochs=2") == 0
    runs = json.loads((place.run / "compare.json").read_text())["runs"]
    assert {name: one[0]["epochs"] for name, one in runs.items()} == {
        "mf": 2,
        "ease": 4,
        "popularity": 1,
    }
    assert run(place, *flags, "--config.train.epochs=4") == 0
    assert trained == ["mf/seed-2022", "ease/seed-2022", "popularity/seed-2022", "mf/seed-2022"]


def test_a_failing_model_is_reported_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    def build(config, dataset, steps_per_epoch):
        raise InputError(f"no | today, seed {config.train.seed % 2}")

    failing = MODELS["mf"]._replace(build=build)
    monkeypatch.setitem(MODELS, "failing", failing)
    place = Place(tmp_path)
    assert run(place, "--models=failing,popularity", "--seeds=3") == 0
    rows = written(place)
    assert rows["failing"]["errors"] == [
        "seed 2022, 2024: no | today, seed 0",
        "seed 2023: no | today, seed 1",
    ]
    assert rows["failing"]["test/recall@20"] is None
    assert rows["popularity"]["test/recall@20"] > 0
    assert rows["popularity"]["recall@20/t_test_p"] is None  # there is nothing to compare with
    assert "- failing, seed 2023: no | today" in (place.run / "compare.md").read_text()
    assert "failing, seed 2022: failed: no | today" in capsys.readouterr().err
    assert run(Place(tmp_path / "alone"), "--models=failing", "--seeds=1") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: no model could be compared; failing: no | today, seed 0"
    )


def test_a_model_registered_in_a_test_and_random_without_training(tmp_path, monkeypatch):
    """Random embeddings are no deterministic model, though nothing trains them."""

    def init(key):
        users, items = jax.random.split(key)
        tables = jax.random.normal(users, (USERS, 4)), jax.random.normal(items, (ITEMS, 4))
        return {"player": tables}

    def build(config, dataset, steps_per_epoch):
        return models.Model(
            (), init, {}, lambda params, inputs, held: params["player"], held=jnp.zeros(3)
        )

    added = MODELS["popularity"]._replace(build=build, schedule=None)
    monkeypatch.setitem(MODELS, "random", added)
    place = Place(tmp_path)
    assert run(place, "--models=random", "--seeds=2") == 0
    row = written(place)["random"]
    assert row["seeds"] == [2022, 2023]
    assert not row["deterministic"]
    assert row["test/recall@20/sd"] > 0


def test_generated_data_is_called_so_everywhere_and_the_default_folder(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    place, load = Place(tmp_path), session.load_data

    def load_data(config, **more):
        return dataclasses.replace(load(config, **more), synthetic=True)

    monkeypatch.setattr(session, "load_data", load_data)
    argv = ["compare", f"--config={place.config}", "--models=popularity", "--seeds=1", *FLAGS]
    assert code_of(argv) == 0
    assert "GENERATED" in capsys.readouterr().out
    folder = tmp_path / "runs/compare/tiny"
    assert (folder / "popularity/seed-2022/results.json").exists()
    for suffix in SUFFIXES:
        assert "GENERATED data" in (folder / f"compare.{suffix}").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--models=mmssl,nope"], "--models has 'nope'; the models are mmssl, hybrid"),
        (["--models=mmssl,"], "--models has ''; the models are"),
        (["--models="], "--models is empty"),
        (["--seeds=0"], "--seeds is '0'; it must be a number from 1"),
        (["--seeds=x"], "--seeds is 'x'; it must be a number from 1"),
        (["--models=mf", "--against=ease"], "--against is 'ease', which is not among the models"),
        (["--config.model.name=mf"], "--config.model.name cannot be given to compare; give --mod"),
        (["--config.train.epochs=0"], "config field 'train.epochs' is 0; it must be greater"),
        (["--config.data.path=nope"], "data folder 'nope' does not exist"),
        (["--workdir=/proc/x"], "cannot write /proc/x/compare.json"),
    ],
)
def test_bad_arguments(tmp_path, capsys, flags, message):
    place = Place(tmp_path)
    assert run(place, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")
    assert not place.run.exists()


def test_the_module_is_a_program():
    line = [sys.executable, "-m", "mmssl_jax", "compare", "--help"]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("Usage: mmssl compare [OPTIONS]")
    assert "--config FILE|NAME" in ended.stdout


# The statistics


def test_the_t_statistic_by_hand():
    values, reference = np.random.default_rng(0).random((2, 40))
    d = values - reference
    t = np.mean(d) / (np.std(d, ddof=1) / np.sqrt(len(d)))
    mean, t_test, wilcoxon = comparison.paired(values, reference)
    np.testing.assert_allclose(mean, np.mean(d), rtol=1e-12)
    np.testing.assert_allclose(t_test, 2 * scipy.stats.t.sf(abs(t), len(d) - 1), rtol=1e-9)
    np.testing.assert_allclose(wilcoxon, scipy.stats.wilcoxon(values, reference).pvalue, rtol=1e-9)
    assert comparison.paired(reference, values)[1:] == pytest.approx((t_test, wilcoxon))


def test_p_values_of_degenerate_differences():
    ones = np.ones(30)
    assert comparison.paired(ones, ones) == (0.0, 1.0, 1.0)
    assert comparison.paired(ones[:1], 0 * ones[:1]) == (1.0, None, None)
    mean, t_test, wilcoxon = comparison.paired(ones, 0 * ones)
    assert mean == 1.0
    assert t_test == 0.0
    assert wilcoxon < 1e-6
    sparse = np.zeros(30)
    sparse[3] = 0.5  # a single user differs
    assert comparison.paired(sparse, 0 * sparse)[1] == pytest.approx(0.3256, abs=1e-3)


def test_different_users_are_refused():
    values = {metric: np.ones(3) for metric in comparison.PAIRED}
    summary = dict.fromkeys([*comparison.SCORES, "best_epoch"], 1.0)
    runs = [
        comparison.Run(0, summary, 1.0, 1, False, users, values, {})
        for users in (np.arange(3), np.arange(1, 4))
    ]
    entries = [comparison.Entry("one", runs, {}), comparison.Entry("two", runs[:1], {})]
    with pytest.raises(ValueError, match="different test users"):
        comparison.rows(entries, "two")


@pytest.mark.parametrize("field", session.LOADED_BY)
def test_rows_of_other_data_do_not_share_a_data_set(field):
    one, other = configs.Config(), configs.Config()
    setattr(other.data, field, 1 if field == "demo_seed" else "keep")
    assert compare._data_of(one) == compare._data_of(configs.Config())
    assert compare._data_of(one) != compare._data_of(other)
    assert f"data.{field}" in tune._FIXED


def test_published_figures_stand_beside_the_rows(tmp_path, capsys):
    place, papers = Place(tmp_path), tmp_path / "papers.json"
    flags = ("--models=popularity", "--seeds=1", f"--papers={papers}")
    assert run(place, *flags) == 2
    assert "cannot read" in capsys.readouterr().err
    assert not place.run.exists()
    known = {"popularity": [0.1, 0.2], "mf": [0.3, 0.4]}
    content = {"source": "A paper.", "models": known, "why": {"popularity": "other data"}}
    papers.write_text(json.dumps(content))
    assert run(place, *flags) == 0
    markdown = (place.run / "compare.md").read_text()
    assert "| 0.2000 | other data |" in markdown
    assert "| mf |" not in markdown
    assert "so none is shown" not in capsys.readouterr().err
    stored = json.loads((place.run / "compare.json").read_text())["published"]
    assert stored == {"source": "A paper.", "scores": known, "why": {"popularity": "other data"}}
    papers.write_text(json.dumps({"source": "A paper.", "models": {"mf": [0.3, 0.4]}}))
    assert run(place, *flags) == 0
    assert "has figures of mf only, so none is shown" in capsys.readouterr().err
