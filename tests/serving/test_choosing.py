"""Conditions on the attributes of items, similar items, and histories of propagated models."""

import json
import shutil

import jax
import numpy as np
import polars as pl
import pytest
from uneven import ITEM_IDS, USER_IDS, uneven_world
from worlds import ITEMS, Place, refused

from mmssl_jax.commands import call
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving import where
from mmssl_jax.training import session

READER = 7
TABLE = pl.DataFrame(
    {
        "id": ["a", "b", "c", "d"],
        "category": ["toys", "Books", None, "it's"],
        "price": [1.0, 2.5, None, -3.0],
        "on sale": [True, False, True, None],
        "tags": [["x", "y"], ["x"], [], None],
        "since": ["2020-01-01", "2021-06-01", None, "2022-01-01"],
    }
).with_columns(pl.col("since").str.to_date())


def asked(place: Place, path, *flags: str) -> list[dict]:
    call(["recommend", *place.argv(f"--json={path}", *flags)])
    return json.loads(path.read_text())


def listed(entry: dict) -> list[int]:
    return [item["item"] for item in entry["items"]]


@pytest.mark.parametrize(
    ("condition", "items"),
    [
        ("category == 'toys'", [0]),
        ("category = 'toys' OR price < 0", [0, 3]),
        ("NOT (category = 'toys')", [1, 3]),
        ("category IN ('toys', 'Books')", [0, 1]),
        ("category = 'it''s'", [3]),
        ("LOWER(category) LIKE 'b%'", [1]),
        ("category ILIKE '%O%'", [0, 1]),
        ("category IS NULL", [2]),
        ("price BETWEEN 1 AND 2.5 and category <> 'x'", [0, 1]),
        ("price > -3.5 AND price <= -0.5", [3]),
        ('"on sale"', [0, 2]),
        ('"on sale" = true', [0, 2]),
        ("array_contains(tags, 'x')", [0, 1]),
        ("since >= '2021-01-01'", [1, 3]),
        ("1 = 1", [0, 1, 2, 3]),
        ("starts_with(category, 'to')\n", [0]),
    ],
)
def test_which_items_a_condition_means(condition, items):
    assert np.flatnonzero(where.matching(TABLE, condition)).tolist() == items


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("", "--where is empty"),
        ("   ", "--where is empty"),
        ("id IN (SELECT id FROM read_csv('/etc/passwd'))", "--where cannot have 'SELECT'"),
        ("id IN (\tsElEcT 1)", "--where cannot have 'sElEcT'"),
        ("id IN (FROM t)", "--where cannot have 'FROM'"),
        ("EXISTS (TABLE t)", "--where cannot have 'EXISTS'"),
        ("id = read_csv('/etc/passwd')", r"--where cannot have 'read_csv\('"),
        ("id = rpad(id, 99999999)", r"--where cannot have 'rpad\('"),
        ("id || id = 'aa'", "--where cannot have '|'"),
        ("price * 2 > 1", r"--where cannot have '\*'"),
        ("id = 'a' -- '", "--where cannot have '-'"),
        ("id = 'a'; DROP TABLE x", "--where cannot have ';'"),
        (r"id = 'a\' OR id IN (SELECT 1) --'", "--where cannot have"),
        ("id = E'a'", "--where cannot have 'E'"),
        ("id = $$a$$", r"--where cannot have '\$'"),
        ("id = 'a", '--where cannot have "\'"'),
        ("__import__('os').system('x')", r"--where cannot have '__import__\('"),
        ("id = `a`", "--where cannot have '`'"),
        ("[1]", r"--where cannot have '\['"),
        ("id = 'a'::text", "--where cannot have ':'"),
        ("colour = 'red'", "--where: .*colour.*; the items have 'id', 'category', 'price'"),
        ('category = "toys"', "--where: .*toys.*texts go in single quotes"),
        ("price", "--where 'price' cannot be evaluated"),
        ("category > 3", "--where 'category > 3' cannot be evaluated"),
        ("category =", "--where 'category =' cannot be evaluated"),
        ("(" * 400 + "1=1" + ")" * 400, "--where .* cannot be evaluated"),
        ("x" * 1001, "--where has more than 1000 characters"),
        ("category = '\ud800'", "--where .* cannot be evaluated"),
    ],
)
def test_anything_but_a_condition_is_one_line(condition, message):
    with pytest.raises(InputError, match=rf"^{message}") as raised:
        where.matching(TABLE, condition)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("model", ["vbpr", "ease"])
def test_a_condition_chooses_among_the_items_and_keeps_their_order(places, tmp_path, model):
    place, who = places(model), f"--users={USER_IDS[READER]}"
    flags = (who, f"--top={ITEMS}", "--exclude-known=train")
    (whole,) = asked(place, tmp_path / "x", *flags)
    (entry,) = asked(place, tmp_path / "x", *flags, "--where=category == 'toys' AND price < 15")
    expected = [item for item in listed(whole) if item % 3 == 0 and item < 30]
    assert listed(entry) == expected
    assert len(expected) > 3
    flags += ("--where=category = 'toys'", f"--exclude={ITEM_IDS[expected[0]]}")
    (entry,) = asked(place, tmp_path / "x", *flags)
    assert expected[0] not in listed(entry)
    assert expected[1] in listed(entry)


def test_items_that_nobody_has_are_chosen_by_their_number_of_training_pairs(places, tmp_path):
    counts = np.bincount(uneven_world().train.indices, minlength=ITEMS)
    few = int(np.median(counts))
    flags = (f"--users={USER_IDS[READER]}", f"--top={ITEMS}", "--exclude-known=none")
    (entry,) = asked(places("hybrid"), tmp_path / "x", *flags, f"--where=training_pairs < {few}")
    assert sorted(listed(entry)) == np.flatnonzero(counts < few).tolist()


def test_titles_of_the_table_are_printed(places, tmp_path, capsys):
    place, data = places("ease"), tmp_path / "data"
    shutil.copytree(place.data, data)
    table = pl.read_parquet(data / "items.parquet")
    table.with_columns(title="Toy number " + pl.col("id")).write_parquet(data / "items.parquet")
    flags = (f"--users={USER_IDS[READER]}", f"--config.data.path={data}")
    (entry,) = asked(place, tmp_path / "x", *flags)
    assert entry["items"][0]["title"] == f"Toy number {entry['items'][0]['item_id']}"
    assert "Toy number B0" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["vbpr", "ease", "hybrid", "lightgcn"])
def test_items_that_are_alike_are_of_one_kind_without_the_item_itself(places, tmp_path, model):
    """In this world users like items of one parity; an epoch teaches most models little of it."""
    flags = (f"--similar-to={ITEM_IDS[8]},{ITEM_IDS[11]}", f"--top={ITEMS}")
    found = asked(places(model), tmp_path / "x", *flags)
    assert [each["similar_to"] for each in found] == [ITEM_IDS[8], ITEM_IDS[11]]
    for each, item in zip(found, (8, 11), strict=True):
        assert sorted([*listed(each), item]) == list(range(ITEMS))
        scores = [entry["score"] for entry in each["items"]]
        assert scores == sorted(scores, reverse=True)
        if model == "ease":
            assert {other % 2 for other in listed(each)[:5]} == {item % 2}


def test_alike_are_items_whose_vectors_point_the_same_way(places, tmp_path):
    place = places("vbpr")
    call(["export", *place.argv(f"--to={tmp_path / 'to'}")])
    with np.load(tmp_path / "to" / "vectors.npz") as content:
        vectors = content["items"]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    (entry,) = asked(place, tmp_path / "x", f"--similar-to={ITEM_IDS[8]}", "--top=6")
    order = np.argsort(-(unit @ unit[8]), kind="stable")
    assert listed(entry) == [item for item in order.tolist() if item != 8][:6]
    only = ("--top=6", "--where=category = 'books'")
    (entry,) = asked(place, tmp_path / "x", f"--similar-to={ITEM_IDS[8]}", *only)
    assert listed(entry) == [item for item in order.tolist() if item % 3 == 1][:6]


@pytest.mark.parametrize(
    ("model", "flags", "message"),
    [
        ("popularity", ["--similar-to=B002"], "this model knows nothing by which items are alike"),
        ("vbpr", ["--similar-to=B0x2"], "--similar-to has 'B0x2', which is no item of the data"),
        ("vbpr", ["--similar-to=B002", "--users=reader 7"], "--similar-to lists what is like"),
        ("vbpr", ["--users=reader 7", "--where=colour = 1"], "--where: unable to find column"),
        (
            "vbpr",
            ["--users=reader 7", "--only=B002", "--where=price > 99"],
            "--only and --where leave no item to be ranked",
        ),
    ],
)
def test_what_cannot_be_asked(places, capsys, model, flags, message):
    assert refused("recommend", places(model).argv(*flags), capsys).startswith(message)


def test_a_new_user_of_lightgcn_is_one_propagation_of_their_items(places, tmp_path):
    """Far from what an epoch teaches, so against the formula."""
    place = places("lightgcn")
    call(["export", *place.argv(f"--to={tmp_path / 'to'}")])
    with np.load(tmp_path / "to" / "vectors.npz") as content:
        vectors = content["items"]
    degrees = np.bincount(uneven_world().train.indices, minlength=ITEMS)
    have = [4, 6, 8]
    user = sum(vectors[item] / np.sqrt(degrees[item] * len(have)) for item in have)
    flags = (f"--history={','.join(ITEM_IDS[item] for item in have)}", "--top=7")
    (entry,) = asked(place, tmp_path / "x", *flags)
    order = [item for item in np.argsort(-(vectors @ user)).tolist() if item not in have]
    assert listed(entry) == order[:7]
    np.testing.assert_allclose(
        [item["score"] for item in entry["items"]], (vectors @ user)[order[:7]], rtol=1e-5
    )


@pytest.mark.parametrize("model", ["ease", "popularity", "hybrid", "lightgcn"])
def test_padding_of_a_history_changes_nothing(places, model):
    run = RunFolder(places(model).run)
    trained = session.best_of_run(*session.open_run(run), run)
    score, representation = trained.model.score_history, trained.representation()
    items = np.array([4, 6, 9], np.int32)
    padded = np.concatenate([items, np.full(5, ITEMS, np.int32)])
    one, other = (np.asarray(score(representation, jax.numpy.asarray(x))) for x in (items, padded))
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
