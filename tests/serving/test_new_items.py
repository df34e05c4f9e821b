"""Items that came after training: their scores, who can say them, and what is refused."""

import numpy as np
import polars as pl
import pytest
from uneven import ITEM_IDS, UNSEEN, USER_IDS, catalogue
from worlds import ITEMS, USERS, config_of, refused

import mmssl_jax
from mmssl_jax import models
from mmssl_jax.commands import call
from mmssl_jax.data.layouts import canonical, id_tables
from mmssl_jax.errors import InputError
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving import new_items, recommend
from mmssl_jax.training import session

READER, WARM = 7, 8  # a user; an item with training pairs
TWIN, LIKE_WARM, OTHER = ITEMS, ITEMS + 1, ITEMS + 2  # the new items
NEW_IDS = ("new 1", "new 2", "new 3")


def written(folder, features: dict[str, np.ndarray], ids=NEW_IDS):
    folder.mkdir()
    for name, rows in features.items():
        np.save(folder / f"{name}_feat.npy", rows)
    if ids is not None:
        id_tables.write(folder / "items.tsv", [ids, [f"Title of {name}" for name in ids]])
    return folder


def features_of_new() -> dict[str, np.ndarray]:
    """Those of an item that nobody has, of one that many have, and others."""
    rng = np.random.default_rng(3)
    return {
        name: np.concatenate([rows[[UNSEEN, WARM]], rng.normal(size=(1, rows.shape[1]))]).astype(
            np.float32
        )
        for name, rows in catalogue().features.items()
    }


@pytest.fixture(name="folder")
def _folder(tmp_path):
    return written(tmp_path / "new", features_of_new())


def scores(entry: dict) -> np.ndarray:
    """By index; NaN where an item is not in the list."""
    found = np.full(ITEMS + len(NEW_IDS), np.nan)
    for item in entry["items"]:
        found[item["item"]] = item["score"]
    return found


@pytest.fixture(scope="module", name="opened")
def _opened(catalogued):
    """model -> its run, opened once."""
    known: dict[str, session.Trained] = {}

    def of(model: str) -> session.Trained:
        if model not in known:
            run = RunFolder(catalogued(model).run)
            known[model] = session.best_of_run(*session.open_run(run), run)
        return known[model]

    return of


def asked(trained: session.Trained, **what) -> list[dict]:
    return recommend.recommend(trained, **what).lists


EVERYBODY = {"users": USER_IDS, "exclude_known": "none"}


def test_the_hybrid_scores_a_new_item_as_one_of_the_same_features_that_nobody_has(opened, folder):
    trained = opened("hybrid")
    before = asked(trained, **EVERYBODY, top=ITEMS)
    after = asked(trained, **EVERYBODY, top=ITEMS + 3, new_items=folder)
    assert len(before) == len(after) == USERS
    for one, other in zip(before, after, strict=True):
        old, new = scores(one), scores(other)
        np.testing.assert_allclose(new[:ITEMS], old[:ITEMS], rtol=1e-5, atol=1e-6)
        assert np.isfinite(new).all()
        if other["known"]:
            np.testing.assert_allclose(new[TWIN], old[UNSEEN], rtol=1e-5, atol=1e-6)
            assert abs(new[TWIN] - new[OTHER]) > 1e-3
        else:
            assert not new[ITEMS:].any()  # by popularity


def test_other_new_items_change_no_score(opened, tmp_path, folder):
    rows = {name: rows[1:2] for name, rows in features_of_new().items()}
    alone = written(tmp_path / "alone", rows, NEW_IDS[1:2])
    one, other = (
        asked(opened("hybrid"), **EVERYBODY, only="new 2", new_items=each)
        for each in (alone, folder)
    )
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(
            scores(mine)[ITEMS], scores(theirs)[LIKE_WARM], rtol=1e-5, atol=1e-6
        )


def test_vbpr_scores_a_new_item_by_its_features_alone(opened, folder):
    """That is the score of the item with the same features less what was learned of it."""
    own = opened("vbpr").state.params["model"]
    found = asked(opened("vbpr"), **EVERYBODY, top=ITEMS + 3, new_items=folder)
    assert sum(entry["known"] for entry in found) == USERS - 1
    for entry in found:
        if entry["known"]:
            new = scores(entry)
            for item, twin in ((UNSEEN, TWIN), (WARM, LIKE_WARM)):
                learned = own["user_factors"][entry["user"]] @ own["item_factors"][item]
                learned += own["item_bias"][item]
                np.testing.assert_allclose(new[twin], new[item] - learned, rtol=1e-4, atol=1e-6)
                assert abs(learned) > 1e-5


def test_new_items_can_be_asked_for_alone_by_id_and_by_attribute(opened, folder):
    def items(**what) -> list[int]:
        (entry,) = asked(opened("hybrid"), new_items=folder, **what)
        return [item["item"] for item in entry["items"]]

    user = {"users": USER_IDS[READER], "top": ITEMS}
    assert sorted(items(**user, where="new")) == [TWIN, LIKE_WARM, OTHER]
    assert items(**user, only="new 3,new 1", where="new") in ([TWIN, OTHER], [OTHER, TWIN])
    assert items(similar_to="new 2", top=5)[0] == WARM
    assert items(history="new 2", top=5)[0] == WARM
    about = {"id": NEW_IDS, "category": ["toys", "books", "toys"], "age": [1, 2, 3]}
    pl.DataFrame(about).write_csv(folder / "items.csv")
    assert sorted(items(**user, where="new AND category = 'toys'")) == [TWIN, OTHER]
    assert set(items(**user, where="age > 1 OR price < 1")) - {0, 1} == {LIKE_WARM, OTHER}


def test_an_attribute_of_another_type_is_one_line(opened, folder):
    pl.DataFrame({"id": NEW_IDS, "price": ["x", "y", "z"]}).write_csv(folder / "items.csv")
    match = (
        r"items.csv: its column 'price' holds String, that of .*items.parquet Float64; give both"
    )
    with pytest.raises(InputError, match=match):
        asked(opened("vbpr"), users=USER_IDS[READER], new_items=folder)


def test_an_item_may_lack_a_modality(opened, folder):
    """Its row is then not read."""
    (name, rows), *_ = features_of_new().items()

    def found() -> list[dict]:
        return asked(opened("hybrid"), **EVERYBODY, where="new", new_items=folder)

    whole = found()
    np.save(folder / f"{name}_present.npy", [True, True, False])
    lacking = found()
    rows[2] = 77
    np.save(folder / f"{name}_feat.npy", rows)
    assert found() == lacking != whole


def test_the_command_prints_new_items_with_their_titles(catalogued, folder, capsys):
    argv = catalogued("vbpr").argv(f"--users={USER_IDS[READER]}", "--where=new")
    call(["recommend", *argv, f"--new-items={folder}"])
    output = capsys.readouterr().out
    assert all(f"Title of {name}" in output for name in NEW_IDS)


def test_a_notebook_ranks_new_items_too(catalogued, folder):
    with pytest.warns(UserWarning, match="no training pair"):
        run = mmssl_jax.open_run(catalogued("hybrid").run)
    found = run.recommend(users=[USER_IDS[READER]], new_items=folder, where="new")
    assert set(found["item_id"]) == set(NEW_IDS)


@pytest.mark.parametrize("name", models.MODELS)
def test_which_models_score_new_items(name):
    built = models.MODELS[name].build(config_of(name), catalogue(), 4)
    able = new_items.TAKE_NEW_ITEMS.split(" and ")
    assert set(able) < models.MODELS.keys()
    assert (built.with_items is not None) == (name in able)


def without_ids(folder):
    (folder / "items.tsv").unlink()


def with_ids(*ids: str):
    return lambda folder: id_tables.write(folder / "items.tsv", [ids])


def without_text(folder):
    (folder / "text_feat.npy").unlink()


def wider(folder):
    np.save(folder / "image_feat.npy", np.ones((3, 9), np.float32))


def shorter(folder):
    np.save(folder / "text_feat.npy", np.ones((2, 3), np.float32))


def empty(folder):
    for name, width in (("image", 5), ("text", 3)):
        np.save(folder / f"{name}_feat.npy", np.ones((0, width), np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_ids, "{}: has no items.tsv; list its items there: index, tab, raw id"),
        (without_text, "{}: has no text_feat.npy, and the run was trained with 'image', 'text'; "),
        (wider, "{}/image_feat.npy: has 9 columns, and the run was trained with 5; make the fea"),
        (shorter, "{}/text_feat.npy: has 2 rows, but there are 3 items (those of image_feat.npy"),
        (empty, "{}: has no items, as its features have no rows"),
        (with_ids("a", "b"), "{}/items.tsv: must list every index from 0 to 2 once"),
        (with_ids("a", "b", "a"), "{}/items.tsv: the raw item id 'a' is listed 2 times"),
        (with_ids("a", "", "c"), "{}/items.tsv: the raw item id '' is empty"),
        (with_ids("a", "B007", "c"), "{}/items.tsv: 'B007' is an item of the data already; "),
        (with_ids("a", " B007", "B008"), "{}/items.tsv: ' B007', 'B008' are items of the data al"),
    ],
)
def test_a_folder_that_does_not_fit_is_one_line(opened, folder, change, message):
    change(folder)
    with pytest.raises(InputError) as refusal:
        new_items.with_new_items(opened("vbpr"), folder)
    assert str(refusal.value).startswith(message.format(folder))


def test_a_file_is_no_folder_of_new_items(opened, tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("file", "nothing"):
        with pytest.raises(InputError) as refusal:
            new_items.with_new_items(opened("vbpr"), tmp_path / name)
        line = f"{tmp_path / name}: is no folder; name one that holds the new items"
        assert str(refusal.value) == line


def test_other_models_say_that_they_cannot(catalogued, folder, capsys):
    argv = catalogued("lightgcn").argv(f"--users={USER_IDS[READER]}", f"--new-items={folder}")
    assert refused("recommend", argv, capsys) == (
        "this run of 'lightgcn' has no scores for --new-items; hybrid and vbpr have, by features "
        "of the items"
    )


def test_new_items_are_a_part_of_a_data_folder(opened, tmp_path):
    """What an import writes of items is read as it is."""
    canonical.write(catalogue(), tmp_path / "new", {})
    ids = [f"later {index}" for index in range(ITEMS)]
    id_tables.write(tmp_path / "new" / "items.tsv", [ids])
    more = new_items.with_new_items(opened("hybrid"), tmp_path / "new").dataset
    assert more.item_ids == (*ITEM_IDS, *ids)
    assert more.train.shape == more.test.shape == (USERS, 2 * ITEMS)
    assert more.train.nnz == catalogue().train.nnz
