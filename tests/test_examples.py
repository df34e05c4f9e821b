"""The shapes of examples/: whose recommendations follow the known tastes, and by how much."""

import numpy as np
import polars as pl
import pytest
from looking import shapes
from worlds import mmssl

import mmssl_jax as mj

pytest.importorskip("PIL")
TOP = 10


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("shapes")


@pytest.fixture(scope="module")
def data(place):
    return shapes().make(place / "data")


def test_what_is_written(data, place):
    assert (data.num_users, data.num_items) == (480, 216)
    assert list(data.features) == ["image", "text"]
    assert mj.load_data(place / "data").fingerprint == data.fingerprint
    looks = pl.read_parquet(place / "data/items.parquet")
    assert looks.columns == ["id", "title", "category", "picture"]
    assert "small red circle" in looks["title"].to_list()
    assert sorted(looks["id"]) == sorted(data.item_ids)
    for path in looks["picture"]:
        picture = (place / "data" / path).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < 5000


def test_a_picture_has_its_colour():
    drawn = shapes()
    for item in drawn.ITEMS:
        pixels = np.asarray(drawn.picture(item)).reshape(-1, 3)
        dark = pixels[pixels.sum(axis=1).argmin()].astype(int)
        assert np.abs(dark - drawn.COLOURS[item.colour]).max() < 40, item.title


def test_the_pictures_differ():
    drawn = shapes()
    assert len({drawn.picture(item).tobytes() for item in drawn.ITEMS}) == len(drawn.ITEMS)


def test_recommendations_follow_the_tastes(data, place):
    """Of ten items 9.7 follow a user's taste; of ten at random 1.3 would."""
    run = mj.train(data, model="ease", config="shapes", workdir=place / "run")
    lists = run.recommend(users=list(data.user_ids), top=TOP)
    drawn = shapes()
    items = {item.id: item for item in drawn.ITEMS}
    pairs = lists.select("user_id", "item_id").rows()
    follow = [items[item].follows(drawn.taste_of(user)) for user, item in pairs]
    assert len(follow) == TOP * data.num_users
    left = (data.train + data.val + data.test).toarray() == 0  # what may be in a list
    right = np.array(
        [
            [items[item].follows(drawn.taste_of(user)) for item in data.item_ids]
            for user in data.user_ids
        ]
    )
    chance = ((right & left).sum(axis=1) / left.sum(axis=1)).mean()
    assert TOP * np.mean(follow) > 9.5
    assert TOP * chance == pytest.approx(1.3, abs=0.1)


def test_the_command_line_makes_the_same(place, capsys, monkeypatch):
    drawn = shapes()
    monkeypatch.setattr("sys.argv", ["shapes.py", "--to", str(place / "again")])
    drawn.main()
    said = capsys.readouterr().out
    assert "480 users, 216 items" in said
    again = mj.load_data(place / "again")
    assert again.fingerprint == mj.load_data(place / "data").fingerprint
    mmssl("data", "check", place / "again")


def test_the_data_are_said_to_be_generated(data, place):
    assert data.synthetic
    assert mj.load_data(place / "data").synthetic


def test_what_the_command_line_cannot_do_is_one_line(data, place, capsys, monkeypatch):
    drawn, existing = shapes(), place / "data"
    for flags, line in (
        (["--to", str(existing)], f"{existing} exists already; remove it, or name another with"),
        (["--to", str(existing / "train.json")], "exists already"),
        (["--to", str(existing / "train.json/below")], "Not a directory"),
        (["--to", str(place / "new"), "--seed", "-1"], "--seed is -1; give a whole number from 0"),
    ):
        monkeypatch.setattr("sys.argv", ["shapes.py", *flags])
        with pytest.raises(SystemExit) as ended:
            drawn.main()
        said = capsys.readouterr()
        assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
        assert said.err.startswith("error: ")
        assert line in said.err
    assert not (place / "new").exists()
