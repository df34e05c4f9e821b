"""What a report says, in values; and what it refuses."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import pytest
import scipy.stats
from looking import HOSTILE, HOSTILE_CATEGORY, with_looks
from worlds import Place, mmssl, refused, world

from mmssl_jax import data as datasets
from mmssl_jax.ranking.ranked_lists import RankedLists
from mmssl_jax.reporting import item_space, page, scores, spread
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
