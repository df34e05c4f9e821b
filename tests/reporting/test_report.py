"""What a report says, in values; and what it refuses."""

import base64
import html.parser
import io
import json
import os
import re
import shutil

import numpy as np
import polars as pl
import pytest
import scipy.stats
from looking import HOSTILE, HOSTILE_CATEGORY, with_looks
from worlds import Place, code_of, mmssl, refused, world

from mmssl_jax import data as datasets
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.reporting import item_space, measured, page, scores, spread
from mmssl_jax.reporting.item_space import ItemSpace

pytest.importorskip("altair")
Image = pytest.importorskip("PIL.Image")
from mmssl_jax.reporting import looks  # noqa: E402


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Runs of EASE and of popularity, on items with looks."""
    found = Place(tmp_path_factory.mktemp("runs"))
    with_looks(found.data)
    found.train("--config.model.name=ease")
    found.train("--config.model.name=popularity", f"--workdir={found.run.parent / 'popular'}")
    return found


class Read(html.parser.HTMLParser):
    """The tags of a page, its words, and the content of its scripts by id."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.words, self.scripts = [], "", {}
        self._in = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._in = dict(attributes).get("id", "") if tag == "script" else None

    def handle_endtag(self, tag):
        self._in = None

    def handle_data(self, data):
        if self._in is None:
            self.words += data
        else:
            self.scripts[self._in] = data


def report(place, *runs, to="report.html") -> str:
    target = place.run.parent / to
    mmssl("report", *runs, "--to", target)
    return target.read_text("utf-8")


def test_it_says_what_the_runs_scored(place):
    popular = place.run.parent / "popular"
    read = Read(report(place, place.run, popular))
    results = place.results
    specs = json.loads(read.scripts["specs"])
    assert f"{results['test/recall@20']:.4f}" in read.words
    assert f"{results['test/ndcg@5']:.4f}" in read.words
    rows = [row for rows in specs["test"]["layer"] for row in values(specs["test"], rows)]
    (own,) = {row["mean"] for row in rows if (row["run"], row["metric"]) == ("run", "recall@20")}
    assert own == pytest.approx(results["test/recall@20"])
    assert "Differences from run" in read.words
    best = {row["epoch"] for row in values(specs["validation"], specs["validation"]["layer"][0])}
    assert best == {results["best_epoch"], 1}  # that of popularity is its only one


def values(spec: dict, part: dict) -> list[dict]:
    """The rows of a part of a chart."""
    own = part["data"] if "data" in part else spec["data"]
    return own.get("values") or spec["datasets"][own["name"]]


def test_nothing_of_the_data_is_markup(place):
    text = report(place, place.run, to="hostile.html")
    read = Read(text)
    assert HOSTILE in read.words
    assert HOSTILE_CATEGORY in read.words
    assert "<b>cross" not in text
    assert "<script>window.hostile" not in text
    assert [tag for tag, of in read.tags if any(name.startswith("on") for name in of)] == []
    pictures = [of["src"] for tag, of in read.tags if tag == "img"]
    assert len(pictures) > 20
    assert all(src.startswith("data:image/webp;base64,") for src in pictures)
    addresses = [of.get("href", "#") for _, of in read.tags]
    assert all(address.startswith("#") for address in addresses)
    (policy,) = (of["content"] for _, of in read.tags if "Content-Security-Policy" in of.values())
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert "unsafe-eval" not in policy
    assert len(re.findall(r"'sha256-[A-Za-z0-9+/=]{44}'", policy)) == 2


def test_the_page_has_a_name_by_default(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mmssl("report", place.run)
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([3, 3, 3], 0.0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25), ([0, 0], 0.0)],
)
def test_gini_by_hand(counts, expected):
    assert spread.gini(np.array(counts)) == pytest.approx(expected)
    curve = spread.lorenz(np.array(counts))
    assert curve[0].tolist() == [0, 0]
    assert (np.diff(curve, axis=0) >= 0).all()


def test_the_spread_of_lists_by_hand():
    tiny = world()
    items = np.full((2, 20), -1, np.int32)
    items[:, 0], items[:, 15] = 3, [4, 5]
    found = spread.spread(RankedLists(items, np.zeros((2, 20), np.float32)), tiny)
    popularity = np.bincount(tiny.train.indices, minlength=tiny.num_items)[[3, 3, 4, 5]]
    assert found.coverage == {10: 1 / tiny.num_items, 20: 3 / tiny.num_items}
    assert found.popularity == pytest.approx(popularity.mean())
    assert found.novelty == pytest.approx(-np.log2(popularity / tiny.num_users).mean())


def test_intervals():
    drawn = np.random.default_rng(0).normal(size=40)
    expected = scipy.stats.ttest_1samp(drawn, 0).confidence_interval(0.95)
    assert scores.interval(drawn)[1:] == pytest.approx((expected.low, expected.high))
    assert scores.interval(np.ones(5)) == (1, 1, 1)


def test_neighbours_and_the_map_by_hand():
    angles = np.radians([0, 10, 25, 180, 0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    vectors[4] = 0
    space = ItemSpace(vectors, np.array([True] * 4 + [False]), item_space.EMBEDDINGS)
    near, cosines = space.neighbours(np.array([1]), 4)
    assert near.tolist() == [[0, 2, 3, -1]]
    assert cosines[0, :2] == pytest.approx(np.cos(np.radians([10, 15])))
    places, share = space.map(np.arange(4))
    assert share == pytest.approx(1)
    apart = np.linalg.norm(places[:, None] - places[None, :], axis=2)
    known = np.linalg.norm(vectors[:4, None] - vectors[None, :4], axis=2)
    np.testing.assert_allclose(apart, known, atol=1e-6)


def test_pictures_are_small_and_of_the_folder_alone(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("RGB", (900, 300), "red").save(folder / "wide.png")
    Image.new("RGB", (10, 10), "red").save(tmp_path / "secret.png")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    (folder / "drawing.svg").write_text("<svg onload='alert(1)'/>")
    Image.new("1", (9000, 9000)).save(folder / "bomb.png")
    uri = looks.thumbnail(folder, "wide.png")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        assert image.size == (64, 21)
    for path in (
        "../secret.png",
        "link.png",
        "broken.png",
        "drawing.svg",
        "bomb.png",
        "none.png",
        "a\0b",
        str(tmp_path / "secret.png"),
    ):
        assert looks.thumbnail(folder, path) is None, path


def test_pictures_that_cannot_be_read_are_told_of(tmp_path, capsys):
    place = Place(tmp_path)
    with_looks(place.data)
    for path in (place.data / "pictures").iterdir():
        path.write_text("no picture")
    place.train("--config.model.name=popularity")
    report(place, place.run)
    assert "pictures cannot be read, such as 'pictures/" in capsys.readouterr().err


def test_data_that_was_moved_is_found_where_it_is_said_to_be(tmp_path, capsys):
    place = Place(tmp_path)
    place.train("--config.model.name=popularity")
    place.data.rename(tmp_path / "moved")
    assert "data" in refused("report", [str(place.run), f"--to={tmp_path / 'r.html'}"], capsys)
    mmssl("report", place.run, "--data", tmp_path / "moved", "--to", tmp_path / "r.html")
    assert (tmp_path / "r.html").stat().st_size < 5_000_000


def test_data_without_titles_has_a_report_too(tmp_path):
    place = Place(tmp_path)
    place.train("--config.train.epochs=1")
    read = Read(report(place, place.run))
    assert "Coloured by training pairs" in read.words
    assert datasets.load(str(place.data)).item_titles is None


def test_what_cannot_be_reported_is_refused_and_writes_nothing(
    place, tmp_path, capsys, monkeypatch
):
    to = tmp_path / "report.html"
    assert "holds no run" in refused("report", [str(tmp_path), "--to", str(to)], capsys)
    twice = [str(place.run), f"{place.run}/../run", "--to", str(to)]
    assert refused("report", twice, capsys) == "a run is named twice; name each once"
    other = Place(tmp_path / "other", world(test_seed=1))
    other.train("--config.model.name=popularity")
    line = refused("report", [str(place.run), str(other.run), "--to", str(to)], capsys)
    assert "is scored on other data" in line
    final = tmp_path / "final"
    flags = ["--config.model.name=popularity", "--final", f"--workdir={final}"]
    mmssl("train", *place.argv(*flags))
    assert "was trained with --final" in refused("report", [str(final), "--to", str(to)], capsys)
    assert refused("report", ["--to", str(to)], capsys).startswith("Missing argument 'RUN...'")
    monkeypatch.setitem(__import__("sys").modules, "altair", None)
    line = refused("report", [str(place.run), "--to", str(to)], capsys)
    assert line.startswith('a report needs Vega-Altair, jinja2 and Pillow: pip install ".[report]"')
    assert not to.exists()


def test_a_script_cannot_end_early():
    assert "</script" not in page._inline("a = '</script>'; b = '<!--'")


@pytest.fixture
def alone(tmp_path):
    """A run of popularity, on items with looks, that a test may spoil."""
    found = Place(tmp_path)
    with_looks(found.data)
    found.train("--config.model.name=popularity")
    return found


def no_constant(word: str):
    raise AssertionError(f"{word} is not JSON")


def specs_of(text: str) -> dict:
    return json.loads(Read(text).scripts["specs"], parse_constant=no_constant)


def test_without_to_the_page_is_report_html(alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert code_of(["report", str(alone.run)]) == 0
    assert (tmp_path / "report.html").stat().st_size > 100_000


@pytest.mark.parametrize("turned", [False, True])
def test_runs_with_other_cutoffs_are_compared_in_what_both_have(alone, capsys, turned):
    other = alone.run.parent / "other"
    flags = ["--config.model.name=popularity", "--config.evaluation.cutoffs=(10, 20)"]
    alone.train(*flags, f"--workdir={other}")
    capsys.readouterr()
    runs = [other, alone.run] if turned else [alone.run, other]
    text = report(alone, *runs)
    spec = specs_of(text)["test"]
    shown = {row["metric"] for row in values(spec, spec["layer"][0])}
    assert shown
    assert {name.rpartition("@")[2] for name in shown} == {"20"}
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    (line,) = said
    assert line.startswith("warning: ")
    assert "the cutoffs of the runs differ" in line
    (told,) = re.findall(r"Left out, as the cutoffs of the runs differ: (.*)\.", Read(text).words)
    for place in (line, told):
        assert "hit_rate@5" in place
        assert "hit_rate@10" in place
        assert "@20" not in place


def test_a_run_may_be_called_as_the_training_pairs_are(alone):
    named = alone.run.parent / "training pairs"
    alone.run.rename(named)
    spec = specs_of(report(alone, named))["concentration"]
    curves = {}
    for row in values(spec, spec):
        curves.setdefault(row["run"], []).append(row["places"])
    assert list(curves) == ["training pairs", "training pairs of the data"]
    assert curves["training pairs"] != curves["training pairs of the data"]
    colours = spec["encoding"]["color"]["scale"]
    assert colours["domain"] == list(curves)
    assert len(set(colours["range"])) == 2


def test_generated_data_is_said_to_be(alone):
    (alone.data / "dataset.json").write_text('{"name": "made up", "synthetic": true}')
    text = Read(report(alone, alone.run)).words
    assert "GENERATED data 'made up'" in text


@pytest.mark.parametrize("how", ["killed", "going on"])
def test_a_run_that_is_not_finished_is_said_not_to_be(alone, capsys, how):
    unfinished = "not finished: the best epoch so far"
    assert unfinished not in Read(report(alone, alone.run)).words
    assert "not finished" not in capsys.readouterr().err
    if how == "killed":
        (alone.run / "results.json").unlink()
    else:
        (row,) = alone.metrics
        with (alone.run / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(row | {"epoch": 2, "seconds": 1.0}) + "\n")
    assert unfinished in Read(report(alone, alone.run)).words
    warning = f"warning: {alone.run} is not finished: the report is of its best epoch so far"
    assert warning in capsys.readouterr().err.splitlines()


def test_what_is_no_number_is_left_out_of_the_curves(alone):
    path = alone.run / "metrics.jsonl"
    (row,) = alone.metrics
    row["seconds"] = 1.0
    rest = ("NaN", "Infinity", "-Infinity", "null", '"much"', "[1]", "1" + "0" * 400)
    lines = [json.dumps(row | {"generator/loss": 0.5})]
    for epoch, value in enumerate(rest, start=2):
        odd = json.dumps(row | {"epoch": epoch, "generator/loss": "V", "val/recall@20": "V"})
        lines.append(odd.replace('"V"', value))
    lines.append(json.dumps(row | {"epoch": 20, "critic/loss": None, "val/run": "x"}))
    path.write_text("\n".join(lines) + "\n")
    specs = specs_of(report(alone, alone.run))
    losses = specs["loss-generator"]
    assert [point["loss"] for point in values(losses, losses)] == [0.5]
    assert "loss-critic" not in specs
    spec = specs["validation"]
    rows = values(spec, spec["layer"][1])  # the first has the best epochs
    assert len(rows) == len(lines)
    assert [row["epoch"] for row in rows if "recall@20" in row] == [1, 20]
    assert {row["run"] for row in rows} == {"run"}


@pytest.mark.parametrize("epoch", ["NaN", "-Infinity", "1.5", "true", '"1"'])
def test_a_row_without_an_epoch_is_no_row(alone, capsys, epoch):
    path = alone.run / "metrics.jsonl"
    path.write_text(path.read_text().replace('"epoch": 1', f'"epoch": {epoch}'))
    line = refused("report", [str(alone.run), f"--to={alone.run.parent / 'r.html'}"], capsys)
    assert "metrics.jsonl, line 1: is not a row of metrics" in line


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["1", "1"]}, "has the id '1' twice"),
        ({"name": ["1"]}, "has no column 'id'"),
        ({"id": ["no", "such"]}, "has none of the items"),
        ({"id": pl.Series([], dtype=pl.String)}, "has none of the items"),
    ],
)
def test_a_bad_table_of_items_is_noticed_before_anything_is_measured(
    alone, capsys, monkeypatch, table, message
):
    pl.DataFrame(table).write_parquet(alone.data / "items.parquet")
    monkeypatch.setattr(measured, "measure", None)
    line = refused("report", [str(alone.run), f"--to={alone.run.parent / 'r.html'}"], capsys)
    assert message in line


def test_no_error_names_a_flag_that_it_lacks(alone, capsys):
    to = f"--to={alone.run.parent / 'r.html'}"
    lines = [refused("report", [str(alone.data), to], capsys)]
    odd = alone.run.parent / "a[b]"
    shutil.copytree(alone.run, odd)
    lines.append(refused("report", [str(odd), to], capsys))
    for state in (alone.run / "checkpoints").glob("*/state"):
        shutil.rmtree(state)
    lines.append(refused("report", [str(alone.run), to], capsys))
    (alone.run / "config.json").write_text("[]")
    lines.append(refused("report", [str(alone.run), to], capsys))
    assert [line for line in lines if "workdir" in line] == []
    assert "name the folder of a run" in lines[0]


def test_a_run_whose_name_is_no_text_is_to_be_renamed(alone, capsys):
    odd = os.fsdecode(os.fsencode(alone.run.parent) + b"/\xff\xfe")
    alone.run.rename(odd)
    to = f"--to={alone.run.parent / 'r.html'}"
    line = refused("report", [odd, to], capsys)
    assert line.endswith("/??: a run's path must be UTF-8; rename the folder")
    for command in ("train", "evaluate"):
        own = refused(command, [f"--config={alone.config}", f"--workdir={odd}"], capsys)
        assert own == line
