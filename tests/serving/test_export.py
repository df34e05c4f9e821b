"""What a run recommends: exported vectors and lists, and the recommend command."""

import csv
import dataclasses
import functools
import hashlib
import importlib.util
import json
import re
import subprocess
import sys

import jax
import numpy as np
import polars as pl
import pytest
from uneven import BUSY, COLD, ITEM_IDS, LEFT, MODELS, USER_IDS, uneven_world
from worlds import ITEMS, ROOT, USERS, Place, code_of, refused, snapshot

from mmssl_jax import training
from mmssl_jax.commands import call
from mmssl_jax.errors import InputError
from mmssl_jax.ranking import full_ranking, ranked_lists
from mmssl_jax.runs.folder import RunFolder
from mmssl_jax.serving import export, ids
from mmssl_jax.training import session

HELD_OUT = 6  # pairs of every user in val and test


def run_of(place: Place):
    """The scores [users, items] that a run ranks by, and what they come from."""
    run = RunFolder(place.run)
    config, dataset = session.open_run(run)
    trained = training.best_of_run(config, dataset, run)
    model, state = trained.model, trained.state
    representation = jax.jit(model.embed)(state.params, model.inputs, state.held)
    scores = np.array(jax.jit(model.score)(representation, np.arange(USERS)))
    train = dataset.train.toarray()
    scores[train.sum(axis=1) == 0] = train.sum(axis=0)  # training knows nothing of them
    return scores, dataset, config, model, representation


def exported(place: Place, folder, *flags: str) -> dict[str, np.ndarray]:
    call(["export", *place.argv(f"--to={folder}", *flags)])
    with np.load(folder / "lists.npz", allow_pickle=False) as content:
        return dict(content)


def naive(scores: np.ndarray, left_out: np.ndarray, top: int) -> list[list[int]]:
    """The best items that are left, by score and then by the hash of their raw ids."""
    after = {
        item: hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        for item, name in enumerate(ITEM_IDS)
    }
    lists = []
    for row, out in zip(scores, left_out, strict=True):
        items = [item for item in range(len(row)) if not out[item]]
        lists.append(sorted(items, key=lambda item: (-row[item], after[item]))[:top])
    return lists


def as_lists(items: np.ndarray) -> list[list[int]]:
    return [[item for item in row if item >= 0] for row in items.tolist()]


@pytest.mark.parametrize("model", MODELS)
def test_lists_are_the_naive_ranking_of_the_models_scores(model, places, tmp_path, capsys):
    place = places(model)
    scores, dataset, *_ = run_of(place)
    known = (dataset.train + dataset.val + dataset.test).toarray() > 0
    capsys.readouterr()
    lists = exported(place, tmp_path / "to", "--config.data.path=" + str(place.data))
    output = capsys.readouterr().out
    assert as_lists(lists["items"]) == naive(scores, known, 20)
    assert "what a user is known to have, be it in train, val or test" in output
    ranked = np.take_along_axis(scores, lists["items"], axis=1)
    expected = np.where(lists["items"] >= 0, ranked, -np.inf)
    np.testing.assert_allclose(lists["scores"], expected, rtol=1e-5, atol=1e-6)
    assert (lists["items"][BUSY] >= 0).sum() == LEFT - HELD_OUT
    assert (lists["items"][COLD] >= 0).all()
    assert lists["items"].dtype == np.int32
    assert lists["scores"].dtype == np.float32
    assert lists["user_ids"].tolist() == list(USER_IDS)
    assert lists["item_ids"].tolist() == list(ITEM_IDS)
    everything = exported(place, tmp_path / "all", "--exclude-known=none", f"--top={ITEMS}")
    assert as_lists(everything["items"]) == naive(scores, np.zeros_like(known), ITEMS)
    vectors = tmp_path / "to" / "vectors.npz"
    if model in ("hybrid", "ease", "popularity"):
        assert f"no vectors, as the scores of {model} are no inner products" in output
        assert not vectors.exists()
        return
    with np.load(vectors, allow_pickle=False) as content:
        assert content["users"].dtype == content["items"].dtype == np.float32
        known = content["known_users"]
        assert np.flatnonzero(~known).tolist() == [COLD]
        products = content["users"] @ content["items"].T
        np.testing.assert_allclose(products[known], scores[known], rtol=1e-5, atol=1e-6)
        assert not content["users"][COLD].any()
        assert content["user_ids"].tolist() == list(USER_IDS)
        assert content["item_ids"].tolist() == list(ITEM_IDS)


def test_lists_and_evaluation_agree_on_what_is_above_an_item(places, tmp_path):
    place = places("popularity")  # which has many equal scores
    scores, dataset, config, model, representation = run_of(place)
    assert len(np.unique(scores[0])) < ITEMS / 2
    task = full_ranking.ranking_task(dataset.train, dataset.test, config.evaluation.user_block)
    ranking = full_ranking.rank(representation, task, 20, model.score)
    users, above, tied, _ = ranking.places
    lists = exported(place, tmp_path / "to", "--exclude-known=train")["items"]
    found = lists[ranking.users[users]]
    standing = np.argmax(found == ranking.items[:, None], axis=1)  # of the truth, in its list
    listed = (found == ranking.items[:, None]).any(axis=1)
    assert listed.sum() > USERS
    assert (tied[listed] > 1).any()
    assert (above[listed] <= standing[listed]).all()
    assert (standing[listed] < (above + tied)[listed]).all()
    missed = ~listed & (tied > 0)
    assert (above + tied)[missed].min() > 20 if missed.any() else True


@pytest.mark.parametrize("block", [1, 7, USERS, 1000])
@pytest.mark.parametrize("model", ["vbpr", "hybrid", "ease"])
def test_the_block_of_users_and_their_order_do_not_matter(places, model, block):
    scores, dataset, _, built, representation = run_of(places(model))
    left_out = dataset.train
    users = np.random.default_rng(0).permutation(USERS)[:11]
    lists = ranked_lists.rank(representation, built.score, users, 20, left_out, block, dataset)
    assert as_lists(lists.items) == naive(scores[users], left_out[users].toarray() > 0, 20)


@pytest.mark.parametrize("kind", ["parquet", "tsv"])
def test_tables_have_the_same_lists(places, tmp_path, kind):
    place = places("vbpr")
    lists = exported(place, tmp_path / "npz", "--top=12")
    call(["export", *place.argv(f"--to={tmp_path / kind}", "--top=12", f"--format={kind}")])
    path = tmp_path / kind / f"lists.{kind}"
    frame = pl.read_parquet(path) if kind == "parquet" else pl.read_csv(path, separator="\t")
    assert frame.columns == ["user_id", "user", "rank", "item_id", "item", "score"]
    rows = [
        (USER_IDS[user], user, rank + 1, ITEM_IDS[item], item, score)
        for user in range(USERS)
        for rank, (item, score) in enumerate(
            zip(lists["items"][user].tolist(), lists["scores"][user].tolist(), strict=True)
        )
        if item >= 0
    ]
    assert len(rows) == 12 * USERS - (12 - (LEFT - HELD_OUT))
    assert [row[:5] for row in frame.rows()] == [row[:5] for row in rows]
    np.testing.assert_allclose(frame["score"], [row[5] for row in rows], rtol=1e-6)
    if kind == "tsv":
        with path.open(newline="") as file:
            assert len(list(csv.DictReader(file, delimiter="\t"))) == len(rows)


def test_what_an_export_says_of_itself(places, tmp_path):
    place = places("vbpr")
    exported(place, tmp_path / "to", "--top=3")
    about = json.loads((tmp_path / "to" / "export.json").read_text())
    results = place.results
    for key in ("model", "data", "data_fingerprint", "seed", "best_epoch", "version/jax"):
        assert about[key] == results[key]
    assert (about["top"], about["exclude_known"]) == (3, "all")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == [
        "export.json",
        "files.sha256",
        "lists.npz",
        "vectors.npz",
    ]


def test_without_raw_ids_the_index_is_the_id(tmp_path, capsys):
    place = Place(tmp_path)
    place.train("--config.model.name=popularity")
    lists = exported(place, tmp_path / "to")
    assert lists["user_ids"].tolist() == [str(index) for index in range(USERS)]
    assert lists["item_ids"].tolist() == [str(index) for index in range(ITEMS)]
    call(["recommend", *place.argv("--users=29,0", f"--json={tmp_path / 'lists.json'}")])
    found = json.loads((tmp_path / "lists.json").read_text())
    assert [each["user"] for each in found] == [29, 0]
    items = [entry["item"] for entry in found[0]["items"]]
    assert items == lists["items"][29][:10].tolist()
    assert found[0]["items"][0]["title"] is None
    assert "title" not in capsys.readouterr().out.split("score")[0].splitlines()[-1]
    with pytest.raises(InputError, match="no raw ids, so users are numbers from 0 to 29"):
        call(["recommend", *place.argv("--users=30")])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "no --to given; name a folder"),
        (["--to="], "--to is empty"),
        (["--to=to", "--top=0"], f"--top is '0'; it must be a number from 1 to {ITEMS}"),
        (["--to=to", f"--top={ITEMS + 1}"], f"--top is '{ITEMS + 1}'; it must be"),
        (["--to=to", "--top=x"], "--top is 'x'; it must be"),
        (["--to=to", "--format=pickle"], "--format is 'pickle'; it must be one of npz, parquet"),
        (["--to=full"], "--to full exists and is not empty"),
        (["--to=full/file"], "--to full/file exists and is not empty"),
        (["--to=full/file/below"], "cannot write full/file/below: "),
        (["--to=~nobody-of-this-name/to"], "--to ~nobody-of-this-name/to: "),
        (["--to=to", "--config.train.seed=1"], "--config.train.seed cannot be given to export"),
        (["--to=to", "--workdir=no-run"], "no-run holds no run"),
        (["--to=to", "--exclude-known=val"], "--exclude-known is 'val'; it must be one of all, tr"),
        (["--to=to", "--include-seen"], "--include-seen is --exclude-known none now"),
    ],
)
def test_export_refuses(places, tmp_path, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    before = snapshot(tmp_path)
    line = refused("export", places("vbpr").argv(*flags), capsys)
    assert line.startswith(message)
    assert snapshot(tmp_path) == before


def test_raw_ids_that_would_fill_the_memory_are_refused(places, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(export, "MAX_ID_BYTES", 100)
    argv = places("vbpr").argv(f"--to={tmp_path / 'to'}")
    line = refused("export", argv, capsys)
    assert "a raw id has 9 characters" in line
    assert list(tmp_path.iterdir()) == []


def test_a_tilde_is_the_home(places, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    call(["export", *places("vbpr").argv("--to=~/to")])
    call(["recommend", *places("vbpr").argv(f"--users={USER_IDS[BUSY]}", "--json=~/lists.json")])
    assert {path.name for path in tmp_path.iterdir()} == {"to", "lists.json"}


def test_recommend_prints_titles_and_writes_the_exported_lists(places, tmp_path, capsys):
    place = places("vbpr")
    lists = exported(place, tmp_path / "to", "--top=5")
    capsys.readouterr()
    path = tmp_path / "lists.json"
    flags = (f"--users={USER_IDS[1]}, {USER_IDS[COLD]},{USER_IDS[1]}", "--top=5")
    call(["recommend", *place.argv(*flags, f"--json={path}")])
    output = capsys.readouterr().out
    found = json.loads(path.read_text())
    assert [(each["user_id"], each["user"]) for each in found] == [
        (USER_IDS[1], 1),
        (USER_IDS[COLD], COLD),
    ]
    for each in found:
        entries = each["items"]
        assert [entry["rank"] for entry in entries] == [1, 2, 3, 4, 5]
        assert [entry["item"] for entry in entries] == lists["items"][each["user"]].tolist()
        assert [entry["score"] for entry in entries] == lists["scores"][each["user"]].tolist()
        for entry in entries:
            assert entry["item_id"] == ITEM_IDS[entry["item"]]
            assert entry["title"] in output.replace("\x1b", "") or entry["item"] < 2
            assert f"{entry['score']:.4f}" in output
    call(
        [
            "recommend",
            *place.argv(*flags, "--exclude-known=none", f"--top={ITEMS}", f"--json={path}"),
        ]
    )
    assert all(len(each["items"]) == ITEMS for each in json.loads(path.read_text()))
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "[bold]Title[31m" in output


def test_users_are_found_by_their_ids():
    dataset = dataclasses.replace(
        uneven_world(), user_ids=("a,b", "a", "b", *map(str, range(3, USERS)))
    )
    find = functools.partial(ids.find, "--users", kind="user", dataset=dataset)
    assert find("a,b").tolist() == [0]
    assert find("b, a,b").tolist() == [2, 1]
    with pytest.raises(
        InputError, match=r"--users has '\\u202eAnna', which is no user of the data"
    ):
        find("a,\u202eAnna")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "no --users given"),
        (["--users=reader 77"], "--users has 'reader 77', which is no user of the data; did you m"),
        (["--users=reader 7,zzzz"], "--users has 'zzzz', which is no user of the data"),
        (["--users=reader 7", "--top=-1"], "--top is '-1'; it must be a number"),
        (["--users=reader 7", "--json=/proc/x"], "cannot write /proc/x"),
    ],
)
def test_recommend_refuses(places, capsys, flags, message):
    line = refused("recommend", places("vbpr").argv(*flags), capsys)
    assert line.startswith(message)


def test_help_names_the_flags(capsys):
    for command, flag in (("export", "--format"), ("recommend", "--users")):
        assert code_of([command, "--help"]) == 0
        assert flag in capsys.readouterr().out


def test_the_module_is_a_program(tmp_path):
    line = [sys.executable, "-m", "mmssl_jax", "recommend", "--users=1"]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "error: no --config given; try --config demo\n"


# The document


def blocks() -> list[str]:
    """The Python in docs/export.md."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs/export.md").read_text(), re.DOTALL)


def ran(code: str, folder) -> str:
    line = [sys.executable, "-W", "error", "-c", code]
    ended = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_documents_way_to_read(places, tmp_path):
    reading, _ = blocks()
    call(["export", *places("vbpr").argv(f"--to={tmp_path / 'exported'}", "--format=parquet")])
    *_, score, product = ran(reading, tmp_path).split()
    assert float(score) == pytest.approx(float(product), rel=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="needs faiss-cpu")
def test_the_documents_index_finds_the_exact_lists(places, tmp_path):
    _, searching = blocks()
    exported(places("vbpr"), tmp_path / "exported", "--exclude-known=none")
    output = ran(searching, tmp_path)
    assert output == "1.0000 of the exact lists are found\n"  # among so few items
