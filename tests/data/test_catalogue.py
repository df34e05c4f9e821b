"""Items that features have and interactions do not: counted, dropped by default, kept on demand."""

import json

import data_layouts_writers as writers
import numpy as np
import pytest
from worlds import mmssl, world

from mmssl_jax.data import load
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.errors import InputError

SOLD, ALL = 20, 23  # items; the last three have no pair, and item 7 has one alone


@pytest.fixture(name="shop", autouse=True)
def _shop(tmp_path, monkeypatch):
    """Six users with every item; a catalogue in reverse, whose item i has the feature i + 1."""
    monkeypatch.chdir(tmp_path)
    pairs = [(user, item) for user in range(6) for item in range(SOLD) if item != 7 or user == 0]
    table = "".join(f"u{user},i{item:02}\n" for user, item in pairs)
    (tmp_path / "sales.csv").write_text("user,item\n" + table)
    order = range(ALL)[::-1]
    (tmp_path / "ids.txt").write_text("".join(f"i{item:02}\n" for item in order))
    values = np.array([[item + 1, 1] for item in order], np.float32)
    np.save(tmp_path / "img.npy", values)
    (tmp_path / "img.csv").write_text("".join(f"i{item:02},{item + 1}.0,1\n" for item in order))
    return tmp_path


ORDERED = ("--modality", "image=img.npy", "--item-order", "ids.txt")
NAMED = ("--modality", "image=img.csv")


def run(capsys, *argv, source="sales.csv"):
    mmssl("data", "import", source, "--to", "out", *argv)
    printed = capsys.readouterr().out
    return [line for line in printed.splitlines() if line.startswith("warning")]


@pytest.mark.parametrize(("argv", "where"), [(ORDERED, "ids.txt"), (NAMED, "img.csv")])
@pytest.mark.parametrize(("k_core", "items"), [("0", 20), ("2", 19)])
@pytest.mark.parametrize("choice", [[], ["--catalogue", "drop"]])
def test_they_are_dropped_and_counted(capsys, argv, where, k_core, items, choice):
    warned = run(capsys, *argv, "--k-core", k_core, *choice)
    data = load("out")
    assert (data.num_items, len(data.features["image"])) == (items, items)
    says = f"{where}: {ALL - items} of its 23 items have no pair, in the data or after filters"
    assert sum(says in line for line in warned) == 1
    assert any("--catalogue keep takes them as items" in line for line in warned)
    assert data.item_ids is not None
    expected = [int(raw[1:]) + 1 for raw in data.item_ids]
    assert data.features["image"][:, 0].tolist() == expected


@pytest.mark.parametrize("argv", [ORDERED, NAMED])
@pytest.mark.parametrize("k_core", ["0", "2"])
def test_they_are_kept_after_the_others(capsys, argv, k_core):
    run(capsys, *argv, "--k-core", k_core)
    dropped = load("out")
    warned = run(capsys, *argv, "--k-core", k_core, "--catalogue", "keep", "--overwrite")
    data = load("out")
    assert (data.num_items, data.num_users) == (ALL, 6)
    assert dropped.item_ids is not None
    assert data.item_ids is not None
    assert data.item_ids[: dropped.num_items] == dropped.item_ids
    assert sorted(data.item_ids) == [f"i{item:02}" for item in range(ALL)]
    assert data.features["image"][:, 0].tolist() == [int(raw[1:]) + 1 for raw in data.item_ids]
    assert data.present == {}
    for split in SPLITS:
        assert getattr(data, split).nnz == getattr(dropped, split).nnz
        np.testing.assert_array_equal(getattr(data, split).indices, getattr(dropped, split).indices)
    assert sum("are kept as items without any; --catalogue drop" in line for line in warned) == 1


def test_two_catalogues_have_items_that_the_other_lacks(capsys, shop):
    (shop / "sound.csv").write_text("i00,1.5,2\ni99,3.5,4\n")
    run(capsys, *NAMED, "--modality", "sound=sound.csv", "--catalogue", "keep")
    data = load("out")
    assert data.item_ids is not None
    assert (data.num_items, data.item_ids[-1]) == (ALL + 1, "i99")
    assert data.present["image"].tolist() == [True] * ALL + [False]
    assert np.flatnonzero(data.present["sound"]).tolist() == [0, ALL]
    assert data.features["sound"][-1].tolist() == [3.5, 4]


def test_ids_spelt_in_another_way_are_no_new_items(capsys, shop):
    numbers = "".join(f"u{user},{item}\n" for user in range(6) for item in range(SOLD))
    (shop / "sales.csv").write_text("user,item\n" + numbers)
    (shop / "ids.txt").write_text("".join(f"{item}.0\n" for item in range(ALL)[::-1]))
    warned = run(capsys, *ORDERED, "--catalogue", "keep")
    data = load("out")
    assert data.item_ids is not None
    assert sorted(data.item_ids) == sorted(map(str, range(ALL)))
    assert data.features["image"][:, 0].tolist() == [int(raw) + 1 for raw in data.item_ids]
    assert any("3 of its 23 items have no pair" in line for line in warned)
    assert any(f"spells {ALL} items in another way" in line for line in warned)
    with pytest.raises(InputError, match="has no item of"):
        mmssl("data", "import", "sales.csv", "--to", "new", *ORDERED, "--id-spelling", "keep")


def test_a_list_alone_adds_items_for_features_to_come(capsys):
    run(capsys, "--item-order", "ids.txt", "--catalogue", "keep")
    data = load("out", "none")
    assert data.item_ids is not None
    assert sorted(data.item_ids) == [f"i{item:02}" for item in range(ALL)]
    with pytest.raises(InputError, match="with --catalogue keep it lists items to add"):
        mmssl("data", "import", "sales.csv", "--to", "new", "--item-order", "ids.txt")


def test_without_raw_ids_rows_beyond_are_an_error_until_it_is_said(capsys, shop):
    folder = str(writers.write_diffmm(world(), shop / "folder"))
    count = world().num_items
    np.save("sound.npy", np.arange(1, 2 * count + 7, dtype=np.float32).reshape(-1, 2))
    argv = ("--modality", "sound=sound.npy")
    with pytest.raises(InputError, match=rf"has {count + 3} rows, not {count}.*--catalogue keep"):
        mmssl("data", "import", folder, "--to", "out", *argv)
    warned = run(capsys, *argv, "--catalogue", "drop", source=folder)
    assert any(f"3 of its {count + 3} items have no pair" in line for line in warned)
    assert load("out").features["sound"].shape == (count, 2)
    run(capsys, *argv, "--catalogue", "keep", "--overwrite", source=folder)
    data = load("out")
    assert data.num_items == count + 3
    assert (~data.present["image"]).sum() == 3
    assert "sound" not in data.present


def test_a_folders_own_items_without_a_pair_can_be_left_out(capsys, shop):
    run(capsys, *ORDERED, "--catalogue", "keep")
    folder = (shop / "out").rename(shop / "source")
    assert not any("left out" in line for line in run(capsys, source=str(folder)))
    assert load("out").num_items == ALL
    argv = ("--catalogue", "drop", "--overwrite")
    warned = run(capsys, *argv, source=str(folder))
    assert any("4 of 23 items come after the last that has a pair" in line for line in warned)
    data = load("out")
    assert (data.num_items, len(data.features["image"]), len(data.item_ids or ())) == (19, 19, 19)
    assert json.loads((shop / "out" / "dataset.json").read_text())["items"] == 19


def test_rows_that_fit_something_else_are_named(shop):
    count = world().num_items
    folder = str(writers.write_diffmm(world(), shop / "folder"))
    np.save("x.npy", np.ones((3, count), np.float32))
    with pytest.raises(InputError, match=r"so many columns, so save it transposed \(array\.T\)"):
        mmssl("data", "import", folder, "--to", "out", "--modality", "x=x.npy")
    np.save("x.npy", np.ones((world().num_users, 3), np.float32))
    with pytest.raises(InputError, match="are these features of users"):
        mmssl("data", "import", folder, "--to", "out", "--modality", "x=x.npy")
