"""Data that comes split: tables by their names or a column, .inter, LightGCN's text, no val."""

import json
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_tables import no_trial
from worlds import Place, mmssl

from mmssl_jax.data import load, loading
from mmssl_jax.data.checks.findings import Findings, SplitRules
from mmssl_jax.data.dataset import SPLITS, assemble
from mmssl_jax.data.importing import imports
from mmssl_jax.data.importing.options import ImportOptions
from mmssl_jax.data.layouts import lightgcn
from mmssl_jax.data.tables import presplit
from mmssl_jax.errors import InputError

USERS, ITEMS = 20, 26
LABEL = {"train": 0, "val": 1, "test": 2}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    no_trial(monkeypatch)


def rows_of(seed=0) -> list[tuple[str, str, str]]:
    """(user, item, split) of 8 pairs of each user, in no order."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(USERS):
        items = rng.permutation(ITEMS)[:8]
        rows += [
            (f"u{user}", f"i{item:02}", split)
            for item, split in zip(items, ["train"] * 6 + ["val", "test"], strict=True)
        ]
    return [rows[place] for place in rng.permutation(len(rows))]


ROWS = rows_of()


def table(path, rows, header="user_id,item_id", columns=(0, 1), separator=","):
    lines = [header] if header else []
    lines += [separator.join(str(row[column]) for column in columns) for row in rows]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join(lines).replace(",", separator) + "\n")


def run(*argv, to="out"):
    mmssl("data", "import", *map(str, argv), "--to", to, "--overwrite")
    return load(to, "none")


def refused(*argv):
    with pytest.raises(InputError) as caught:
        mmssl("data", "import", *map(str, argv), "--to", "none")
    assert not Path("none").exists()
    assert str(caught.value).isprintable()
    return str(caught.value)


def about(folder="out"):
    return json.loads((Path(folder) / "dataset.json").read_text())["source"]


def raw(data) -> list[tuple[str, str, str]]:
    """The rows of a data set, by raw ids, sorted."""
    found = []
    for split in SPLITS:
        pairs = getattr(data, split).tocoo()
        found += [
            (data.user_ids[user], data.item_ids[item], split)
            for user, item in zip(*pairs.coords, strict=True)
        ]
    return sorted(found)


# A column


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("split", ("train", "val", "test")),
        ("Split:token", ("Train", "valid", "TEST")),
        ("subset", ("training", "dev", "testing")),
        ("partition", ("train", "validation", "test")),
        ("fold", (" trn", "valid ", "tst")),
        ("set", ("train", "VALIDATION", "test")),
        ("x_label", (0, 1, 2)),
        ("x_label:float", ("0.0", "1.0", "2.0")),
    ],
)
def test_a_column_that_names_the_split_is_kept(capsys, column, words):
    words = dict(zip(SPLITS, words, strict=True))
    rows = [(words[split], item, user) for user, item, split in ROWS]
    table("t.csv", rows, f"{column},item_id,user_id", (0, 1, 2))
    data = run("t.csv")
    assert raw(data) == sorted(ROWS)  # the 5-core would have less
    assert len(set(data.item_ids)) == len({row[1] for row in ROWS})
    assert about()["split"] == "as given"
    assert about()["k_core"] == 0
    assert about()["columns"]["split"] == column
    assert "split: as given, no k-core" in capsys.readouterr().out


def test_the_5_core_would_have_less():
    """So that the tests of what is kept can fail."""
    table("t.csv", ROWS)
    assert run("t.csv").num_items < len({row[1] for row in ROWS})


@pytest.mark.parametrize("values", [("train", "val", "test"), (0, 1, 2)])
def test_a_column_of_parquet(values):
    words = dict(zip(SPLITS, values, strict=True))
    frame = pl.DataFrame(
        [(user, item, words[split]) for user, item, split in ROWS],
        schema=["user", "item", "split"],
        orient="row",
    )
    frame.write_parquet("t.parquet")
    assert raw(run("t.parquet")) == sorted(ROWS)
    frame.with_columns(pl.lit(0.5).alias("split")).write_parquet("t.parquet")
    assert about(run("t.parquet") and "out")["split"] == "per-user"  # of no split's type


def test_a_column_that_is_named(capsys):
    table("t.csv", ROWS, "user,item,part", (0, 1, 2))
    data = run("t.csv")
    assert raw(data) != sorted(ROWS)
    assert raw(run("t.csv", "--split-column", "part", to="named")) == sorted(ROWS)
    table("t.csv", ROWS, None, (0, 1, 2))
    flags = ("--no-header", "--user-column", "1", "--item-column", "2")
    assert raw(run("t.csv", *flags, "--split-column", "3", to="number")) == sorted(ROWS)
    assert about(run("t.csv", *flags) and "out")["split"] == "per-user"
    assert "--split makes another" in refused("t.csv", "--split", "per-user", "--split-column", "3")


def test_a_split_that_is_not_used_is_said(capsys):
    table("t.csv", ROWS, "user,item,x_label", (0, 1, 2))
    data = run("t.csv", "--split", "per-user", "--k-core", "0")
    assert raw(data) != sorted(ROWS)
    output = capsys.readouterr().out
    assert "the split by 'x_label' is not used, as --split per-user is given" in output
    assert "split" not in about()["columns"]
    table(
        "t.csv",
        [(*row[:2], number % 5) for number, row in enumerate(ROWS)],
        "user,item,fold",
        (0, 1, 2),
    )
    run("t.csv", to="folds")
    assert "the split by 'fold' is not used, as it holds '3', which names no split" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("column", ["fold", "set", "Subset"])
def test_numbers_of_folds_are_no_splits_unless_asked(capsys, column):
    rows = [(*row[:2], LABEL[row[2]]) for row in ROWS]
    table("t.csv", rows, f"user,item,{column}", (0, 1, 2))
    run("t.csv", "--k-core", "0")
    assert about()["split"] == "per-user"
    said = " ".join(capsys.readouterr().out.split())
    assert f"the split by '{column}' is not used" in said
    assert f"--split-column {column} takes 0, 1 and 2 as train, val and test" in said
    assert raw(run("t.csv", "--split-column", column, to="asked")) == sorted(ROWS)
    assert "are taken as train, val" not in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("column", ["split", "x_label"])
def test_numbers_that_are_taken_for_splits_are_said(capsys, column):
    rows = [(*row[:2], LABEL[row[2]]) for row in ROWS]
    table("t.csv", rows, f"user,item,{column}", (0, 1, 2))
    assert raw(run("t.csv")) == sorted(ROWS)
    said = " ".join(capsys.readouterr().out.split())
    assert f"in column '{column}' are taken as train, val and test; --split per-user" in said


@pytest.mark.parametrize("missing", SPLITS)
def test_a_column_that_leaves_a_split_empty_is_named(missing):
    rows = [row for row in ROWS if row[2] != missing]
    table("t.csv", rows, "user,item,split", (0, 1, 2))
    line = refused("t.csv")
    assert f"the {missing} split is empty by column 'split'; --split per-user" in line
    assert ("--val-from-train" in line) == (missing == "val")


@pytest.mark.parametrize("wrong", ["holdout", ""])
def test_a_row_without_a_split_is_no_guess(wrong):
    rows = [*ROWS[1:], (*ROWS[0][:2], wrong)]
    table("t.csv", rows, "user,item,split", (0, 1, 2))
    line = refused("t.csv")
    assert f"holds {wrong!r}" in line or "holds nothing" in line
    assert "in one of 1 rows" in line
    assert "give --split" in line


def test_filters_of_a_given_split_are_only_those_asked_for():
    table("t.csv", ROWS, "user,item,split", (0, 1, 2))
    whole, core = run("t.csv"), run("t.csv", "--k-core", "5", to="core")
    assert core.num_items < whole.num_items
    assert set(raw(core)) < set(raw(whole))
    rated = [(*row, 5 if row[2] != "train" or number % 3 else 1) for number, row in enumerate(ROWS)]
    table("t.csv", rated, "user,item,split,rating", (0, 1, 2, 3))
    data = run("t.csv", "--min-rating", "3", to="rated")
    assert raw(data) == sorted(row[:3] for row in rated if row[3] == 5)


def test_a_pair_twice_in_a_split_counts_once_and_in_two_is_by_the_rule():
    (user, item, _) = next(row for row in ROWS if row[2] == "train")
    table("t.csv", [*ROWS, (user, item, "train")], "user,item,split", (0, 1, 2))
    assert raw(run("t.csv")) == sorted(ROWS)
    table("t.csv", [*ROWS, (user, item, "test")], "user,item,split", (0, 1, 2))
    assert "1 pair is in both train and test" in refused("t.csv")
    assert raw(run("t.csv", "--repeats", "drop")) == sorted(ROWS)
    data = run("t.csv", "--repeats", "keep")
    assert raw(data) == sorted([*ROWS, (user, item, "test")])
    assert data.repeats


# Files


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "val.csv", "test.csv"),
        ("train.tsv", "validation.tsv", "test.tsv"),
        ("Train.txt", "dev.txt", "Test.txt"),
        ("ratings_train.dat", "ratings_valid.dat", "ratings_test.dat"),
        ("train-x.csv", "val-x.csv", "test-x.csv"),
        ("toy.train.inter", "toy.valid.inter", "toy.test.inter"),
        ("trn.csv", "val.csv", "tst.csv"),
    ],
)
def test_tables_by_their_names_are_kept(capsys, names):
    separator = "\t" if names[0].endswith(("tsv", "inter")) else ","
    for name, split in zip(names, SPLITS, strict=True):
        table(f"f/{name}", [row for row in ROWS if row[2] == split], separator=separator)
    Path("f/README.md").write_text("read me")
    data = run("f")
    assert raw(data) == sorted(ROWS)
    assert data.name == "f"
    assert list(about()["files"]) == list(names)
    assert f"split train {names[0]}, val {names[1]}, test {names[2]}" in capsys.readouterr().out


def test_parquet_files_by_their_names():
    Path("f").mkdir()
    for split in SPLITS:
        part = [row[:2] for row in ROWS if row[2] == split]
        frame = pl.DataFrame(part, schema=["user", "item"], orient="row")
        frame.write_parquet(f"f/{split}.parquet")
    assert raw(run("f")) == sorted(ROWS)


def movielens(folder="ml", names=("u1", "u2", "ua")):
    for seed, name in enumerate(names):
        for suffix, wanted in (("base", ("train", "val")), ("test", ("test",))):
            rows = [(*row[:2], 5, 88) for row in rows_of(seed) if row[2] in wanted]
            table(f"{folder}/{name}.{suffix}", rows, None, (0, 1, 2, 3), "\t")


COLUMNS = ("--no-header", "--user-column", "1", "--item-column", "2")


def test_folds_of_movielens():
    movielens(names=("u1",))
    data = run("ml", *COLUMNS, "--val-from-train")
    test = sorted(row for row in ROWS if row[2] == "test")
    assert [row for row in raw(data) if row[2] == "test"] == sorted(test)
    assert (data.train.nnz, data.val.nnz) == (6 * USERS, USERS)
    movielens()
    Path("ml/u.item").write_text("1|x\n")
    line = refused("ml", *COLUMNS, "--val-from-train")
    assert "choose one with --fold: u1 (u1.base, u1.test), u2 (u2.base, u2.test), ua (" in line
    for seed, fold in enumerate(("u1", "u2", "ua")):
        data = run("ml", *COLUMNS, "--val-from-train", "--fold", fold, to=fold)
        expected = [row for row in rows_of(seed) if row[2] == "test"]
        assert [row for row in raw(data) if row[2] == "test"] == sorted(expected)
    assert "has no fold 'u9'; there are u1 (" in refused("ml", *COLUMNS, "--fold", "u9")
    assert "--fold is for a folder" in refused("ml/u1.base", "--fold", "u1")


def test_files_of_a_split_can_be_split_anew(capsys):
    for split in SPLITS:
        table(f"f/{split}.csv", [row for row in ROWS if row[2] == split])
    data = run("f", "--split", "per-user", "--k-core", "0")
    assert sorted(row[:2] for row in raw(data)) == sorted(row[:2] for row in ROWS)
    assert "'train train.csv, val val.csv, test test.csv' is not used, as --split per-user" in (
        capsys.readouterr().out
    )


def test_files_that_do_not_belong_together():
    for split in SPLITS:
        table(f"f/{split}.csv", [row for row in ROWS if row[2] == split])
    table("f/valid.csv", [])
    assert "val.csv and valid.csv are both a val split; keep one" in refused("f")
    Path("f/valid.csv").unlink()
    table("f/test.csv", [row for row in ROWS if row[2] == "test"], "uid,iid")
    assert "its columns are taken as 'uid', 'iid', those of the splits before as 'user_id'" in (
        refused("f")
    )
    table("f/test.csv", [row for row in ROWS if row[2] == "test"], "user_id,thing")
    assert "f/test.csv: has no column that looks like the item" in refused("f")
    Path("f/test.csv").unlink()
    assert "no known data layout" in refused("f")


def test_what_lies_beside_tables_is_said(capsys):
    for split in SPLITS:
        table(f"f/{split}.csv", [row for row in ROWS if row[2] == split])
    data = run("f/train.csv", "--k-core", "0")
    assert data.num_users == USERS
    said = capsys.readouterr().out
    assert (
        "f/train.csv: is read alone, and train train.csv, val val.csv, test test.csv look" in said
    )
    np.save("f/image_feat.npy", np.ones((ITEMS, 2), np.float32))
    run("f")
    said = capsys.readouterr().out
    assert (
        "f/image_feat.npy: is not read, as items go by their sorted ids; --modality image=" in said
    )
    mmssl("data", "import", "f", "--to", "with", "--modality", "image=f/image_feat.npy")
    assert "is not read" not in capsys.readouterr().out
    assert list(load("with").features) == ["image"]


def test_two_files_of_a_split_beside_a_table_are_no_hindrance():
    table("f/ratings.csv", ROWS)
    table("f/train.csv", ROWS)
    table("f/training.csv", ROWS)
    assert run("f/ratings.csv", "--k-core", "0").num_users == USERS


def test_training_on_tables_says_the_command():
    table("f/train.csv", ROWS)
    table("f/test.csv", ROWS)
    with pytest.raises(InputError, match=r"mmssl data import f --to data/NAME"):
        load("f", "none")
    table("g/a.inter", ROWS, "user_id:token\titem_id:token", separator="\t")
    with pytest.raises(InputError, match=r"mmssl data import PATH --to data/NAME"):
        load("g", "none")
    for split in SPLITS:
        part = [row for row in ROWS if row[2] == split]
        table(f"h/toy.{split}.inter", part, "user_id:token\titem_id:token", separator="\t")
    with pytest.raises(InputError, match=r"of one data set.* mmssl data import h --to"):
        load("h", "none")


def test_what_falls_out_is_counted_and_can_be_left_out(capsys):
    rows = [*ROWS, ("new", "i00", "test"), ("u0", "fresh", "val"), ("u1", "fresh", "test")]
    rows = [row for row in rows if row != ("u0", "i00", "test")]
    table("t.csv", rows, "user,item,split", (0, 1, 2))
    data = run("t.csv")
    assert raw(data) == sorted(rows)
    trained = [row for row in rows if row[2] == "train"]
    users, items = ({row[place] for row in trained} for place in (0, 1))
    lost = [
        row for row in rows if row[2] != "train" and (row[0] not in users or row[1] not in items)
    ]
    count = sum(row[2] == "test" for row in lost)
    assert f"{count} of {sum(row[2] == 'test' for row in rows)} test pairs are of 1 users or" in (
        capsys.readouterr().out
    )
    data = run("t.csv", "--unseen", "drop")
    assert raw(data) == sorted(set(rows) - set(lost))
    assert "left out by --unseen drop" in capsys.readouterr().out
    assert "new" not in data.user_ids
    assert "fresh" not in data.item_ids
    assert not any("no training pair" in warning for warning in data.warnings)
    assert "nothing to test" in refused("t.csv", "--split", "cold-items", "--unseen", "drop")


# .inter


def inter(path, rows, label=True):
    header = "userID\titemID" + "\tx_label" * label
    lines = [
        f"{user[1:]},{int(item[1:])}" + f",{LABEL[split]}" * label for user, item, split in rows
    ]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("\n".join([header, *lines]).replace(",", "\t") + "\n")


def test_an_inter_file_is_its_folder():
    inter("f/toy.inter", ROWS)
    np.save("f/image_feat.npy", np.ones((ITEMS, 3), np.float32))
    mmssl("data", "import", "f", "--to", "folder")
    for number, flags in enumerate(([], ["--from", "mmrec"])):
        mmssl("data", "import", "f/toy.inter", *flags, "--to", f"file{number}")
        assert load(f"file{number}").fingerprint == load("folder").fingerprint
        assert list(load(f"file{number}").features) == ["image"]
        assert list(about(f"file{number}")["files"]) == ["image_feat.npy", "toy.inter"]
    inter("f/more.inter", rows_of(1))
    assert "not more.inter, toy.inter; give import the path of one, such as f/more.inter" in (
        refused("f")
    )
    mmssl("data", "import", "f/toy.inter", "--to", "one")
    assert load("one").fingerprint == load("folder").fingerprint
    mmssl("data", "import", "f/more.inter", "--to", "other")
    assert load("other").fingerprint != load("folder").fingerprint


def test_an_inter_file_with_options_of_tables_keeps_its_split():
    inter("toy.inter", ROWS)
    data = run("toy.inter", "--k-core", "0")
    expected = sorted((user[1:], str(int(item[1:])), split) for user, item, split in ROWS)
    assert raw(data) == expected
    assert raw(run("toy.inter", "--split", "per-user", "--k-core", "0", to="anew")) != expected
    lines = Path("toy.inter").read_text().splitlines()
    rated = [f"{line}\t{1 + number % 5 // 4}" for number, line in enumerate(lines[1:])]
    Path("toy.inter").write_text("\n".join([f"{lines[0]}\trating", *rated]) + "\n")
    best = raw(run("toy.inter", "--min-rating", "2", to="best"))
    assert len(best) == len(ROWS) // 5
    assert set(best) < set(expected)
    assert "is not a folder" in refused("toy.inter", "--from", "diffmm")


def test_an_inter_without_a_split_is_a_table_in_its_folder_too():
    inter("f/toy.inter", ROWS, label=False)
    file, folder = run("f/toy.inter", to="a"), run("f", to="b")
    assert file.fingerprint == folder.fingerprint
    assert about("b")["split"] == "per-user"


# No validation


def without_val(layout):
    folder = Path(layout)
    folder.mkdir()
    numbers = [(int(user[1:]), int(item[1:]), split) for user, item, split in ROWS]
    part = {
        split: [(user, item) for user, item, name in numbers if name in (split, extra)]
        for split, extra in (("train", "val"), ("test", ""))
    }
    for split, pairs in part.items():
        lists = {user: [item for own, item in pairs if own == user] for user, _ in pairs}
        if layout == "json":
            content = {str(user): items for user, items in lists.items()}
            (folder / f"{split}.json").write_text(json.dumps(content))
        elif layout == "empty":
            content = {str(user): items for user, items in lists.items()}
            (folder / f"{split}.json").write_text(json.dumps(content))
            (folder / "val.json").write_text("{}")
        elif layout == "lightgcn":
            lines = [" ".join(map(str, (user, *items))) for user, items in lists.items()]
            (folder / f"{split}.txt").write_text("\n".join(lines) + "\n")
        elif layout == "pickle":
            users, items = np.array(pairs).T
            matrix = scipy.sparse.coo_matrix((np.ones(len(users)), (users, items)), (USERS, ITEMS))
            name = {"train": "trn", "test": "tst"}[split]
            (folder / f"{name}Mat.pkl").write_bytes(pickle.dumps(matrix, 3))
        elif layout == "tables":
            table(folder / f"{split}.csv", pairs)
    if layout == "inter":
        inter(
            folder / "toy.inter",
            [(*row[:2], "train" if row[2] == "val" else row[2]) for row in ROWS],
        )
    if layout == "column":
        rows = [(*row[:2], "train" if row[2] == "val" else row[2]) for row in ROWS]
        table(folder / "t.csv", rows, "user,item,split", (0, 1, 2))
        return folder / "t.csv"
    return folder


@pytest.mark.parametrize(
    "layout", ["json", "empty", "lightgcn", "pickle", "tables", "inter", "column"]
)
def test_a_validation_split_is_held_out_of_train(layout, capsys):
    source = without_val(layout)
    line = refused(source)
    assert "--val-from-train' holds one out of the training pairs" in line
    if source.is_dir() and layout != "tables":
        with pytest.raises(InputError, match="--val-from-train"):
            load(str(source), "none")
    prints = []
    for seed in ("0", "0", "1"):
        data = run(source, "--val-from-train", "--seed", seed)
        prints.append(data.fingerprint)
        assert (data.train.nnz, data.val.nnz, data.test.nnz) == (6 * USERS, USERS, USERS)
        assert np.diff(data.val.indptr).tolist() == [1] * USERS
        both = (data.train + data.val).toarray()
        assert both.max() == 1
    assert prints[0] == prints[1] != prints[2]
    assert about()["val_from_train"]
    assert about()["seed"] == 1
    assert f"{USERS} training pairs, drawn at random, were held out" in capsys.readouterr().out
    assert "validation pairs already" in refused("out", "--val-from-train")


def test_options_of_val_from_train():
    table("t.csv", ROWS)
    assert "for data that is split already, and t.csv is not" in refused(
        "t.csv", "--val-from-train"
    )
    assert "--split per-user makes a" in refused("t.csv", "--val-from-train", "--split", "per-user")
    without_val("json")
    assert "--seed is for tables and for --val-from-train" in refused("json", "--seed", "1")


PAIRS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 30)), min_size=1, max_size=100)


@given(PAIRS, st.integers(0, 3))
def test_what_is_held_out_of_train(pairs, seed):
    given_pairs = {
        "train": tuple(np.array(sorted(pairs)).T),
        "test": (np.arange(5), np.full(5, 31)),
    }
    findings = Findings(collect=True, rules=SplitRules(val_seed=seed))
    data = assemble("x", "x", (5, 32), given_pairs, {}, findings=findings)
    train, val = (
        set(zip(*getattr(data, split).tocoo().coords, strict=True)) for split in SPLITS[:2]
    )
    assert train | val == pairs
    assert not train & val
    for user in range(5):
        own = sum(pair[0] == user for pair in pairs)
        assert sum(pair[0] == user for pair in val) == (0 if own < 3 else max(own // 10, 1))


# LightGCN's text


def text(train, test="0 1\n", **others):
    Path("g").mkdir(exist_ok=True)
    for name, content in {"train": train, "test": test, **others}.items():
        Path(f"g/{name}.txt").write_text(content)
    return Path("g")


def test_lines_of_lightgcn():
    folder = text("0 4 2\n2 1  \n\n1\n3 7 0 5\r\n", "2 3\n0\n", valid="0 9\n")
    data = load(str(folder), "none")
    assert (data.num_users, data.num_items) == (4, 10)
    found = {
        split: list(zip(*map(np.ndarray.tolist, getattr(data, split).tocoo().coords), strict=True))
        for split in SPLITS
    }
    assert found == {
        "train": [(0, 2), (0, 4), (2, 1), (3, 0), (3, 5), (3, 7)],
        "val": [(0, 9)],
        "test": [(2, 3)],
    }


def test_lists_of_ids_and_features_of_lightgcn():
    folder = text("0 1\n1 0 2\n", "0 3\n", val="1 3\n")
    (folder / "user_list.txt").write_text("org_id remap_id\nann 0\nbob 1\n")
    (folder / "item_list.txt").write_text(
        "org_id remap_id\n" + "".join(f"b{i} {i}\n" for i in range(4))
    )
    np.save(folder / "text_feat.npy", np.ones((4, 2), np.float32))
    data = load(str(folder))
    assert data.user_ids == ("ann", "bob")
    assert data.item_ids == ("b0", "b1", "b2", "b3")
    assert data.features["text"].shape == (4, 2)


def test_a_pair_a_line():
    folder = text("0 4\n0 2\n2 1\n", "2 3\n")
    assert lightgcn.read_split(folder / "train.txt").users.tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("0 1\nuser item\n", "'user item', line 2 of those not blank, is not"),
        ("0 -1\n", "is not a user's index"),
        ("0 1.5\n", "is not a user's index"),
        ("0,1\n", "is not a user's index"),
        ("0 12345678901\n", "is not a user's index"),
        ("0 9999999999\n", "indices are at most 2147483646"),
        ("0 1 5\n1 2 3\n0 2 4\n", "user 0 has 2 lines, not one; if these are tables"),
        ("0 \x1b[2J\n", "is not a user's index"),
    ],
)
def test_text_that_is_refused(content, says):
    folder = text(content, val="0 3\n")
    with pytest.raises(InputError, match=r"train\.txt: ") as caught:
        load(str(folder), "none")
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["values.txt", "valuable.txt", "val_notes.txt"])
def test_text_of_another_name_is_no_validation_split(name):
    folder = text("0 2\n")
    (folder / name).write_text("0 3\n")
    with pytest.raises(InputError, match=r"val.txt missing beside train.txt; where the data"):
        load(str(folder), "none")


@pytest.mark.parametrize("name", ["dev.txt", "vali.txt"])
def test_a_validation_file_by_another_name_is_to_be_renamed(name):
    folder = text("0 2\n")
    (folder / name).write_text("0 3\n")
    with pytest.raises(InputError, match=rf"rename {name} to val.txt$"):
        load(str(folder), "none")


def test_two_validation_files():
    folder = text("0 2\n", val="0 3\n", valid="0 4\n")
    with pytest.raises(InputError, match=r"holds val.txt and valid.txt; keep the one"):
        load(str(folder), "none")


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 30)), min_size=1))
def test_no_pair_of_text_is_lost_or_doubled(tmp_path_factory, lists):
    path = tmp_path_factory.mktemp("text") / "train.txt"
    path.write_text(
        "".join(" ".join(map(str, (user, *items))) + "\n" for user, items in lists.items())
    )
    part = lightgcn.read_split(path)
    assert sorted(zip(part.users.tolist(), part.items.tolist(), strict=True)) == sorted(
        (user, item) for user, items in lists.items() for item in items
    )
    assert part.num_users == max(lists) + 1
    assert loading.seen(path.parent) is lightgcn
    assert lightgcn.fits(path.parent)


# By properties

LABELLED = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.sampled_from(SPLITS)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=25, deadline=None)
@given(LABELLED, st.randoms(use_true_random=False))
def test_given_splits_lose_nothing_and_do_not_depend_on_the_order(tmp_path_factory, rows, random):
    folder = tmp_path_factory.mktemp("rows")
    rows += [(0, 0, split) for split in SPLITS]
    found = []
    for name in ("one", "other"):
        table(folder / f"{name}.csv", rows, "user,item,split", (0, 1, 2))
        mmssl(
            "data",
            "import",
            str(folder / f"{name}.csv"),
            "--to",
            str(folder / name),
            "--repeats",
            "keep",
        )
        found.append(load(str(folder / name), "none"))
        random.shuffle(rows)
    expected = sorted({(str(user), str(item), split) for user, item, split in rows})
    assert raw(found[0]) == raw(found[1]) == expected


def test_words_of_splits_are_not_parts_of_words():
    for name in ("latest.csv", "trainers.csv", "trained_test.csv", "value.csv", "contest-x.csv"):
        table(f"f/{name}", ROWS)
    assert presplit.folds(Path("f")) == {}


@pytest.mark.parametrize("name", ["valid.json", "validation.json", "dev.json"])
def test_a_validation_split_by_another_name_is_not_taken_for_a_missing_one(name, tmp_path):
    place = Place(tmp_path)
    (place.data / "val.json").rename(place.data / name)
    message = f"val.json missing beside train.json; rename {name} to val.json"
    for rules in (SplitRules(), SplitRules(val_seed=0), SplitRules(final=True)):
        with pytest.raises(InputError, match=message):
            loading.read(place.data, "", Findings(rules=rules))


def test_too_few_pairs_to_hold_any_out_is_said(tmp_path):
    for split, text in (("train", '{"0": [1, 2]}'), ("test", '{"0": [3]}')):
        (tmp_path / f"{split}.json").write_text(text)
    with pytest.raises(InputError, match="users with 3 or more to train on, and there are none"):
        loading.read(tmp_path, "none", Findings(rules=SplitRules(val_seed=0)))


def test_features_beside_a_table_that_is_named_itself_are_said(tmp_path):
    table = tmp_path / "toy.inter"
    lines = ["userID\titemID\trating\tx_label"]
    lines += [f"{u}\t{i}\t{3 + i % 3}\t{i % 3}" for u in range(9) for i in range(9)]
    table.write_text("\n".join(lines) + "\n")
    np.save(tmp_path / "image_feat.npy", np.ones((9, 2), np.float32))
    dataset = imports.import_data(ImportOptions(table, min_rating=3.0)).dataset
    assert any("image_feat.npy: is not read" in warning for warning in dataset.warnings)
