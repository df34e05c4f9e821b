"""Which items the rows of features are of: an index with ids, row numbers, ids among features."""

import data_layouts_writers as writers
import numpy as np
import polars as pl
import pytest
from raw_tables import no_trial
from worlds import mmssl, world

from mmssl_jax.data import load
from mmssl_jax.errors import InputError

ITEMS = 24
RNG = np.random.default_rng(3)
LARGE = [1000 + 7 * int(place) for place in RNG.permutation(ITEMS)]  # in any order
SMALL = [int(place) for place in RNG.permutation(ITEMS)]  # 0, 1, 2, ..., whose text order differs


@pytest.fixture(name="_shop", autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    no_trial(monkeypatch)


def sales(ids):
    rows = [f"u{user},{raw}" for user in range(4) for raw in ids]
    with open("sales.csv", "w") as file:
        file.write("\n".join(["user_id,item_id", *rows]) + "\n")


def mark(raw):
    """The feature by which a row is known, of each id another and never whole."""
    return float(raw) / 1024 + 0.25 / 1024


def features(name, ids, header="", index=None):
    """A file of features of `ids`, with `index` before them or else the ids themselves."""
    index = ids if index is None else index
    values = [mark(raw) for raw in ids]
    if name.endswith(".csv"):
        rows = [f"{first},{value!r},1.5" for first, value in zip(index, values, strict=True)]
        with open(name, "w") as file:
            file.write("\n".join([f"{header},a,b", *rows]) + "\n")
    else:
        pl.DataFrame({"a": values, "b": [1.5] * len(ids), header: index}).write_parquet(name)
    return name


def run(capsys, name, *argv):
    source = ["sales.csv", "--to", "out", "--k-core", "0", "--modality", f"image={name}"]
    mmssl("data", "import", *source, *argv)
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]


def refused(name, *argv):
    with pytest.raises(InputError) as caught:
        mmssl(
            *("data", "import", "sales.csv", "--to", "out", "--k-core", "0"),
            *("--modality", f"image={name}", *argv),
        )
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check_each_item_has_its_row(without=()):
    data = load("out")
    image = data.features["image"]
    assert image.shape == (data.num_items, 2)
    for item, raw in enumerate(data.item_ids or ()):
        expected = 0 if int(raw) in without else mark(raw)
        np.testing.assert_allclose(image[item, 0], expected, rtol=1e-6)
    return data


FILES = [
    ("a.csv", ""),
    ("a.csv", "index"),
    ("a.csv", "Unnamed: 0"),
    ("a.parquet", "__index_level_0__"),
    ("a.parquet", "index"),
]


@pytest.mark.parametrize(("name", "header"), FILES)
@pytest.mark.parametrize("ids", [LARGE, SMALL, list(range(ITEMS))])
def test_an_index_of_raw_ids_has_the_ids(capsys, name, header, ids):
    sales(ids)
    warned = run(capsys, features(name, ids, header))
    check_each_item_has_its_row()
    says = f"its column {header!r} is taken as raw ids, as 24 of its 24 numbers are ids of items"
    assert sum(says in line for line in warned) == 1
    assert not any("line i of items.tsv" in line for line in warned)


@pytest.mark.parametrize(("name", "header"), FILES)
def test_an_index_of_a_whole_catalogue_and_one_of_some_items(capsys, name, header):
    sales(LARGE[:10])
    warned = run(capsys, features(name, LARGE, header))
    assert check_each_item_has_its_row().num_items == 10
    assert any("as 10 of its 24 numbers are ids" in line for line in warned)
    sales(LARGE)
    run(capsys, features(name, LARGE[:15], header), "--overwrite")
    data = check_each_item_has_its_row(without=LARGE[15:])
    assert data.present["image"].sum() == 15
    sales(range(10))  # as many rows as 0, 1, 2, ... has numbers, and fewer items
    run(capsys, features(name, range(ITEMS), header), "--overwrite")
    assert check_each_item_has_its_row().num_items == 10


@pytest.mark.parametrize(("name", "header"), FILES)
def test_an_index_of_something_else(capsys, name, header):
    sales(LARGE)
    run(capsys, features(name, sorted(LARGE), header, range(ITEMS)))  # row numbers
    check_each_item_has_its_row()
    for index in (range(1, ITEMS + 1), range(0, 2 * ITEMS, 2)):
        says = refused(features(name, LARGE, header, index), "--overwrite")
        assert f"its column {header!r} holds whole numbers that are not the rows' 0, 1" in says
        assert "only 0 of 24 are ids of items" in says
    twice = [0, *range(ITEMS - 1)]
    assert "and has numbers twice" in refused(features(name, LARGE, header, twice), "--overwrite")
    sales(range(ITEMS))  # from 1 by chance, as 23 of 24 are ids
    index = range(1, ITEMS + 1)
    assert "only 23 of 24" in refused(features(name, LARGE, header, index), "--overwrite")


def test_an_index_beside_an_order(capsys):
    sales(SMALL)
    with open("order.txt", "w") as file:
        file.write("".join(f"{raw}\n" for raw in SMALL))
    argv = ("--item-order", "order.txt")
    run(capsys, features("a.csv", SMALL, "", range(ITEMS)), *argv)
    check_each_item_has_its_row()
    says = refused(features("a.csv", SMALL), "--overwrite", *argv)
    assert "has a column of ids, so leave out --item-order" in says


def test_an_index_beside_ids_is_left_out(capsys):
    sales(LARGE)
    frame = {"item_id": LARGE, "a": list(map(mark, LARGE)), "b": [1.5] * ITEMS}
    index = list(range(5, 5 + 3 * ITEMS, 3))
    pl.DataFrame(frame | {"__index_level_0__": index}).write_parquet("a.parquet")
    warned = run(capsys, "a.parquet")
    assert any("a.parquet: '__index_level_0__' beside the ids is left out" in x for x in warned)
    check_each_item_has_its_row()
    pl.DataFrame({"a": LARGE, "index": index, "__index_level_0__": LARGE}).write_parquet(
        "b.parquet"
    )
    assert "several columns that may be ids" in refused("b.parquet", "--overwrite")


@pytest.mark.parametrize("place", [0, 2])
def test_ids_among_the_features_are_never_silent(capsys, place):
    sales(LARGE)
    values = np.array([[mark(raw), 1.5] for raw in sorted(LARGE)])
    values = np.insert(values, place, sorted(LARGE), axis=1)
    np.save("a.npy", values)
    pl.DataFrame(values, schema=["x", "y", "z"]).write_csv("a.csv")
    says = f"column {place} of its 3 features, counted from 0, holds whole numbers, no two alike"
    for name in ("a.npy", "a.csv"):
        refusal = refused(name)
        assert says in refusal
        assert "of which 24 of 24 are raw ids" in refusal
    with open("order.txt", "w") as file:
        file.write("".join(f"{raw}\n" for raw in sorted(LARGE)))
    assert any(says in line for line in run(capsys, "a.npy", "--item-order", "order.txt"))


def test_whole_numbers_that_are_no_ids_are_features(capsys):
    sales(LARGE)
    values = np.arange(2 * ITEMS).reshape(-1, 2).astype(np.float32)
    values[:11, 0] = LARGE[:11]  # fewer than half
    values[:, 1] = LARGE[0]  # alike
    np.save("a.npy", values)
    run(capsys, "a.npy")
    np.testing.assert_array_equal(load("out").features["image"], values)


def test_rows_by_position_in_a_table(capsys):
    values = np.array([[mark(raw), 1.5] for raw in range(ITEMS)], np.float32)
    np.save("a.npy", values)
    sales(SMALL)
    assert (
        "line i of items.tsv is not the i-th number, as it is sorted as text ('0', '1', '10', "
        in (refused("a.npy"))
    )
    index = features("a.csv", range(ITEMS), "", range(ITEMS))
    sales(range(1, ITEMS + 1))
    assert "say which item each row is of by --item-order FILE" in refused(index)
    with open("order.txt", "w") as file:
        file.write("".join(f"{raw}\n" for raw in range(ITEMS)))
    sales(SMALL)
    run(capsys, "a.npy", "--item-order", "order.txt")
    check_each_item_has_its_row()
    mmssl(
        "data", "import", "out", "--to", "again", "--modality", "sound=a.npy"
    )  # a folder has an order
    assert "items.tsv" not in capsys.readouterr().out
    np.testing.assert_array_equal(load("again").features["sound"], values)
    sales([f"B{raw}" for raw in range(ITEMS)])
    warned = run(capsys, "a.npy", "--overwrite")
    says = "row i is taken for line i of items.tsv, which begins with 'B0', 'B1', 'B10'"
    assert sum(says in line for line in warned) == 1


def test_an_index_where_the_data_has_no_raw_ids(tmp_path):
    folder = writers.write_diffmm(world(), tmp_path / "folder")
    count = world().num_items
    argv = [str(folder), "--overwrite", "--to", "out", "--modality", "sound=a.csv"]
    for ids in (range(count), range(count)[::-1]):  # row numbers; the items' own, in another order
        features("a.csv", ids)
        mmssl("data", "import", *argv)
        expected = [mark(raw) for raw in range(count)]
        np.testing.assert_allclose(load("out").features["sound"][:, 0], expected, rtol=1e-6)
    features("a.csv", range(1, count + 1))
    with pytest.raises(InputError, match=f"only {count - 1} of {count} are ids of items"):
        mmssl("data", "import", *argv)
