"""What lists leave out, which items are ranked at all, and users who are known by items alone."""

import json

import numpy as np
import pytest
from uneven import COLD, ITEM_IDS, UNSEEN, USER_IDS, catalogue, uneven_world
from worlds import ITEMS, USERS, Place, config_of, refused

from mmssl_jax import models
from mmssl_jax.commands import call
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.serving import asked as who
from mmssl_jax.serving import ids

READER = 7


def asked(place: Place, path, *flags: str) -> list[dict]:
    """What `recommend` writes of all items."""
    call(["recommend", *place.argv(f"--top={ITEMS}", f"--json={path}", *flags)])
    return json.loads(path.read_text())


def listed(entry: dict) -> set[int]:
    return {item["item"] for item in entry["items"]}


def scored() -> set[int]:
    """The items that a model of pairs has scores for."""
    return set(catalogue().train.indices.tolist())


def pairs_of(user: int, *splits: str) -> set[int]:
    dataset = catalogue()
    found = [getattr(dataset, split)[[user]].nonzero()[1].tolist() for split in splits]
    return set().union(*found)


@pytest.mark.parametrize(
    ("flags", "splits", "word"),
    [
        ((), SPLITS, "train, val or test"),
        (("--exclude-known=all",), SPLITS, "train, val or test"),
        (("--exclude-known=train",), ("train",), "a user's items of train; those"),
        (("--exclude-known=none",), (), "nothing is left out"),
    ],
)
def test_what_is_known_of_a_user_is_left_out(catalogued, tmp_path, capsys, flags, splits, word):
    (entry,) = asked(catalogued("lightgcn"), tmp_path / "x", f"--users={USER_IDS[READER]}", *flags)
    assert pairs_of(READER, "val")
    assert pairs_of(READER, "test")
    assert listed(entry) == scored() - pairs_of(READER, *splits)
    assert word in " ".join(capsys.readouterr().out.split())
    call(
        [
            "export",
            *catalogued("lightgcn").argv(f"--to={tmp_path / 'to'}", f"--top={ITEMS}", *flags),
        ]
    )
    assert word in capsys.readouterr().out
    with np.load(tmp_path / "to" / "lists.npz") as content:
        items = content["items"][READER]
    assert set(items[items >= 0].tolist()) == listed(entry)


def test_people_who_buy_again_get_known_items_unless_told_otherwise(tmp_path):
    place = Place(tmp_path, uneven_world())
    train = json.loads((place.data / "train.json").read_text())
    test = json.loads((place.data / "test.json").read_text())
    test[str(READER)].append(train[str(READER)][0])
    (place.data / "test.json").write_text(json.dumps(test))
    place.train("--config.model.name=popularity", "--config.data.repeats=keep")
    (entry,) = asked(place, tmp_path / "x", f"--users={USER_IDS[READER]}")
    assert listed(entry) == set(range(ITEMS))
    flags = (f"--users={USER_IDS[READER]}", "--exclude-known=all")
    (entry,) = asked(place, tmp_path / "x", *flags)
    known = train[str(READER)] + test[str(READER)] + list(pairs_of(READER, "val"))
    assert listed(entry) == set(range(ITEMS)) - set(known)


def test_filters_choose_among_the_items_and_keep_their_order(catalogued, tmp_path):
    place, who = catalogued("lightgcn"), f"--users={USER_IDS[READER]},{USER_IDS[8]}"
    whole = asked(place, tmp_path / "x", who, "--exclude-known=train")
    few = [3, 9, 10, 21, 30, 35]
    only = "--only=" + ",".join(ITEM_IDS[item] for item in few)
    found = asked(place, tmp_path / "x", who, "--exclude-known=train", only)
    for each, all_ in zip(found, whole, strict=True):
        inside = [item["item"] for item in all_["items"] if item["item"] in few]
        assert [item["item"] for item in each["items"]] == inside
        assert len(inside) > 2
        assert [item["rank"] for item in each["items"]] == list(range(1, len(inside) + 1))
    sold = f"--exclude={ITEM_IDS[9]}, {ITEM_IDS[35]}"
    found = asked(place, tmp_path / "x", who, "--exclude-known=train", sold)
    for each, all_ in zip(found, whole, strict=True):
        left = [item["item"] for item in all_["items"] if item["item"] not in (9, 35)]
        assert [item["item"] for item in each["items"]] == left
    found = asked(place, tmp_path / "x", who, "--exclude-known=none", only, sold)
    assert [listed(each) for each in found] == [{3, 10, 21, 30}] * 2


def test_items_that_the_model_cannot_score_are_left_out_and_counted(catalogued, tmp_path, capsys):
    assert UNSEEN not in scored()
    flags = (f"--users={USER_IDS[READER]}", "--exclude-known=none")
    assert ITEMS - len(scored()) == 1
    note = "left out: 1 item without a training pair, which 'lightgcn'"
    (entry,) = asked(catalogued("lightgcn"), tmp_path / "x", *flags)
    assert listed(entry) == scored()
    assert note in " ".join(capsys.readouterr().out.split())
    (entry,) = asked(catalogued("vbpr"), tmp_path / "x", *flags)  # by their features
    assert listed(entry) == set(range(ITEMS))
    assert "without a training pair, which" not in capsys.readouterr().out
    call(["export", *catalogued("lightgcn").argv(f"--to={tmp_path / 'to'}", "--format=tsv")])
    assert note in capsys.readouterr().out
    about = json.loads((tmp_path / "to" / "export.json").read_text())
    assert about["unscored_items"] == ITEMS - len(scored())


def test_ids_are_found_in_another_spelling(catalogued, tmp_path):
    (entry,) = asked(catalogued("ease"), tmp_path / "x", f"--users=\u00a0{USER_IDS[READER]} ")
    assert entry["user"] == READER


def test_a_user_for_whom_nothing_is_left_has_a_row(catalogued, tmp_path, capsys):
    known = min(pairs_of(READER, "test"))
    flags = (f"--users={USER_IDS[READER]}", f"--only={ITEM_IDS[known]}")
    (entry,) = asked(catalogued("lightgcn"), tmp_path / "x", *flags)
    assert entry["items"] == []
    assert "no item is left" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["ease", "popularity"])
def test_the_history_of_a_user_gives_the_list_of_that_user(catalogued, tmp_path, capsys, model):
    """Bit for bit: such a model needs nothing else of a user."""
    place = catalogued(model)
    history = ",".join(ITEM_IDS[item] for item in sorted(pairs_of(READER, "train")))
    (one,) = asked(place, tmp_path / "x", f"--users={USER_IDS[READER]}", "--exclude-known=train")
    capsys.readouterr()
    (other,) = asked(place, tmp_path / "x", f"--history={history}")
    assert "(new)" in capsys.readouterr().out
    assert other["items"] == one["items"]
    assert listed(one) == scored() - pairs_of(READER, "train")
    assert (other["user_id"], other["user"]) == (None, None)
    assert other["history"] == history.split(",")
    (whole,) = asked(place, tmp_path / "x", f"--history={history}", "--exclude-known=none")
    assert listed(whole) == scored()
    order = [item["item"] for item in whole["items"] if item["item"] in listed(other)]
    assert order == [item["item"] for item in other["items"]]


def test_the_hybrid_scores_a_history_as_a_user_who_has_it(catalogued, tmp_path, capsys):
    place = catalogued("hybrid")
    history = ",".join(ITEM_IDS[item] for item in sorted(pairs_of(READER, "train")))
    (one,) = asked(place, tmp_path / "x", f"--users={USER_IDS[READER]}", "--exclude-known=train")
    (other,) = asked(place, tmp_path / "x", f"--history={history}")
    assert [item["item"] for item in other["items"]] == [item["item"] for item in one["items"]]
    scores = [[item["score"] for item in each["items"]] for each in (one, other)]
    np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)
    assert listed(one) == set(range(ITEMS)) - pairs_of(READER, "train")  # of them UNSEEN
    capsys.readouterr()
    (entry,) = asked(place, tmp_path / "x", f"--history={ITEM_IDS[UNSEEN]}")
    assert entry["known"]  # by the features of the item
    assert listed(entry) == set(range(ITEMS)) - {UNSEEN}
    assert "by popularity" not in capsys.readouterr().out


def test_a_history_of_items_of_one_kind_is_answered_with_that_kind(catalogued, tmp_path):
    """In this world users like items of one parity."""
    flags = ("--history=B004,B006,B008,B010,B012", "--top=5")
    (entry,) = asked(catalogued("ease"), tmp_path / "x", *flags)
    assert {item["item"] % 2 for item in entry["items"]} == {0}


@pytest.mark.parametrize("flag", [f"--users={USER_IDS[COLD]}", f"--history={ITEM_IDS[UNSEEN]}"])
def test_where_nothing_is_known_the_list_is_the_popular_items(catalogued, tmp_path, capsys, flag):
    (entry,) = asked(catalogued("ease"), tmp_path / "x", flag)
    assert "* by popularity: 1 without a training pair" in " ".join(capsys.readouterr().out.split())
    assert not entry["known"]
    counts = np.bincount(catalogue().train.indices, minlength=ITEMS)
    assert [item["score"] for item in entry["items"]] == counts[
        [item["item"] for item in entry["items"]]
    ].tolist()
    assert [item["score"] for item in entry["items"]] == sorted(
        (item["score"] for item in entry["items"]), reverse=True
    )
    (entry,) = asked(catalogued("ease"), tmp_path / "x", f"--users={USER_IDS[READER]}")
    assert entry["known"]
    assert "by popularity" not in capsys.readouterr().out


@pytest.mark.parametrize("name", models.MODELS)
def test_which_models_take_a_history(name):
    built = models.MODELS[name].build(config_of(name), catalogue(), 4)
    able = who.TAKE_HISTORY.replace(" and ", ", ").split(", ")
    assert set(able) < models.MODELS.keys()
    assert (built.score_history is not None) == (name in able)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "no --users given; name one or more, with commas between, or give --history"),
        (["--users=reader 1", "--history=B002"], "--users are in the data, --history is of a new"),
        (["--history=B02"], "--history has 'B02', which is no item of the data; did you mean 'B0"),
        (["--users=reader 7", "--only=B002,zz"], "--only has 'zz', which is no item of the data"),
        (["--users=reader 7", "--exclude=B0022"], "--exclude has 'B0022', which is no item of"),
        (
            ["--users=reader 7", "--only=B002", "--exclude=B002"],
            "--exclude and --only leave no item to be ranked",
        ),
        (["--users=reader 7", "--only="], "--only is empty"),
        (["--users=reader 7", "--exclude-known=test"], "--exclude-known is 'test'; it must be one"),
        (["--users=reader 7", "--include-seen"], "--include-seen is --exclude-known none now"),
    ],
)
def test_what_cannot_be_asked(catalogued, capsys, flags, message):
    line = refused("recommend", catalogued("lightgcn").argv(*flags), capsys)
    assert line.startswith(message)


def test_a_history_is_refused_by_a_model_that_has_a_vector_for_each_user(catalogued, capsys):
    line = refused("recommend", catalogued("vbpr").argv("--history=B002"), capsys)
    assert line.startswith("this model has scores only for the users that it was trained on")


def test_items_without_raw_ids_are_numbers(tmp_path, capsys):
    place = Place(tmp_path)
    place.train("--config.model.name=popularity", "--config.train.epochs=1")
    flags = ("--users=3", f"--only=4,{ITEMS}")
    line = refused("recommend", place.argv(*flags), capsys)
    assert line == (
        f"--only has '{ITEMS}'; the data has no raw ids, so items are numbers from 0 to {ITEMS - 1}"
    )
    assert USERS < ITEMS


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("b", ["b"]),
        ("a, x", ["a, x"]),
        ("b,a, x,c", ["b", "a, x", "c"]),
        ("a, x,a, x", ["a, x", "a, x"]),
        ("a,b", ["a", "b"]),
        (" nobody ,b", ["nobody", "b"]),
        ("b,,c", ["b", "", "c"]),
    ],
)
def test_ids_that_have_commas_are_found_in_lists(text, names):
    known = dict.fromkeys(["a", "a, x", "b", "c"])
    assert ids._parted(text, known) == names
