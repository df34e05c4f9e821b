"""The table of items beside the data: found by raw id, aligned by index, refused in one line."""

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from uneven_items import IDS, data_with_ids

from mmssl_jax import data
from mmssl_jax.data.features import item_attributes
from mmssl_jax.data.tables import parquet_trial
from mmssl_jax.errors import InputError

TABLE = {
    "id": [IDS[3], "elsewhere", IDS[0]],
    "title": ["Bear", "Nothing", None],
    "category": ["toys", "books", "games"],
    "price": [2.5, 3.0, None],
    "tags": [["soft"], [], ["small", "old"]],
    "since": [datetime.date(2020, 1, day) for day in (1, 2, 3)],
}


@pytest.fixture(name="folder")
def _folder(tmp_path):
    return data_with_ids(tmp_path / "data")


def attributes(folder: Path) -> pl.DataFrame:
    return item_attributes.of(data.load(str(folder), "none"))


def test_rows_are_by_index_and_titles_come_from_either_table(folder):
    pl.DataFrame(TABLE).write_parquet(folder / "items.parquet")
    found = attributes(folder)
    assert found.columns == ["id", "title", "category", "price", "tags", "since"]
    assert found["id"].to_list() == list(IDS)
    assert found["title"][3] == "Bear"
    assert found["title"][0] == "Title 0"  # of items.tsv, as the table has none
    assert found["category"].to_list()[:5] == ["games", None, None, "toys", None]
    assert found["tags"][0].to_list() == ["small", "old"]
    assert found["since"][3] == datetime.date(2020, 1, 1)
    assert found["price"][0] is None


def test_a_csv_has_types_and_ids_stay_text(folder):
    lines = ["id,category,price,since", f"{IDS[2]},toys,1.5,2021-02-03", "007,games,2,2020-01-01"]
    (folder / "items.csv").write_text("\n".join(lines) + "\n")
    assert item_attributes.read(folder / "items.csv")["id"].to_list() == [IDS[2], "007"]
    found = attributes(folder)
    assert found.row(2) == (IDS[2], "Title 2", "toys", 1.5, datetime.date(2021, 2, 3))
    assert found["title"][1] == "Title 1"


def test_without_a_table_there_are_ids_and_titles(folder):
    assert item_attributes.find(data.load(str(folder), "none")) is None
    assert attributes(folder).columns == ["id", "title"]
    generated = item_attributes.of(data.load(data.DEMO))
    assert generated["id"][:2].to_list() == ["0", "1"]


def test_parquet_goes_before_csv(folder):
    pl.DataFrame({"id": [IDS[0]], "a": [1]}).write_parquet(folder / "items.parquet")
    (folder / "items.csv").write_text(f"id,b\n{IDS[0]},2\n")
    assert attributes(folder).columns == ["id", "title", "a"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"item": [IDS[0]]}, "has no column 'id' with the items' raw ids; it has 'item'"),
        ({"id": ["x"]}, "has none of the items; its ids are like 'x', the data's like "),
        ({"id": [IDS[0], IDS[0]]}, f"has the id '{IDS[0]}' twice"),
        ({"id": [IDS[0], None]}, "has a row without an id"),
        ({"id": [IDS[0]], "b": [b"\x80\x04."]}, "column 'b' holds Binary; leave text"),
        ({"id": [IDS[0]], "b": [{"a": 1}]}, "column 'b' holds Struct"),
        ({"id": [[IDS[0]]]}, "column 'id' holds lists"),
        ({"id": [IDS[0]]} | {str(i): [1] for i in range(100)}, "has 101 columns, more than 100"),
    ],
)
def test_what_is_no_table_of_items_is_one_line(folder, table, message, monkeypatch):
    monkeypatch.setattr(parquet_trial, "survive_items", lambda path: None)  # which takes a second
    path = folder / "items.parquet"
    pl.DataFrame(table).write_parquet(path)
    with pytest.raises(InputError) as raised:
        attributes(folder)
    assert str(raised.value).startswith(f"{path}: {message}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", item_attributes.FILES)
def test_damaged_files_are_refused(folder, name):
    path = folder / name
    pl.DataFrame(TABLE).write_parquet(folder / "whole")
    whole = (folder / "whole").read_bytes()
    rng = np.random.default_rng(0)
    for content in (b"", whole[:100] + rng.bytes(99), b"PAR1" + b"\xff" * 40 + b"PAR1"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=name):
            attributes(folder)
