"""mmssl score: lists in files of every form, a run's own among them, and files that are none."""

import gzip
import itertools
import json

import jax
import numpy as np
import polars as pl
import pytest
from ir_measures import P, R, Success, iter_calc, nDCG, read_trec_qrels, read_trec_run
from worlds import REAL, Place, code_of, mmssl, refused

from mmssl_jax.data.tables import ranked_lists

CUTOFFS = "--config.evaluation.cutoffs=5,20"
SPLITS = ("val", "test")


@pytest.fixture(autouse=True, scope="module")
def _compile_fast():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory):
    """A trained run, with its scores, and what it ranks as TREC files."""
    place = Place(tmp_path_factory.mktemp("score"))
    place.train("--config.model.name=lightgcn", "--config.train.epochs=1")
    place.evaluate(f"--json={place.run / 'scores.json'}", f"--trec={place.run / 'trec'}")
    return place


def score(place: Place, file, *flags: str) -> dict:
    """What --json has of a file of lists."""
    path = place.run / "scored.json"
    mmssl("score", file, f"--data={place.data}", CUTOFFS, f"--json={path}", *flags)
    return json.loads(path.read_text())


@pytest.mark.parametrize("split", SPLITS)
def test_the_lists_of_a_run_have_the_scores_of_the_run(place, split, capsys):
    known = json.loads((place.run / "scores.json").read_text())
    found = score(place, place.run / f"trec/{split}.run", f"--split={split}")
    shared = [key for key in found if key.startswith(f"{split}/") and "@" in key]
    assert len([key for key in shared if key.count("/") == 1]) == 5 * 2
    for key in shared:
        assert found[key] == pytest.approx(known[key], abs=1e-6), key
    assert found["data_fingerprint"] == known["data_fingerprint"]
    assert found[f"{split}/users_without_list"] == 0
    assert "recall" in capsys.readouterr().out


def test_qrels_have_the_pairs_of_a_split(place):
    lines = (place.run / "trec/test.qrels").read_text().splitlines()
    assert len(lines) == 30 * 3
    assert all(line.split()[1::2] == ["0", "1"] for line in lines)


def frame(place: Place) -> pl.DataFrame:
    """The lists of the run as a table."""
    names = ["user", "q0", "item", "rank", "score", "name"]
    path = place.run / "trec/test.run"
    return pl.read_csv(path, separator=" ", has_header=False, new_columns=names)


def test_every_form_of_a_file_has_the_same_scores(place, tmp_path):
    lists = frame(place)
    lists.select("user", "item", "rank").write_csv(tmp_path / "a.csv")
    lists.select("user", "item", "score").write_parquet(tmp_path / "b.parquet")
    lists.select("user", "item", "score", "rank").write_ndjson(tmp_path / "c.jsonl")
    lists.select("item", "rank", "user").write_csv(
        tmp_path / "d.txt", separator=";", include_header=False
    )
    trec = (place.run / "trec/test.run").read_bytes()
    loose = b"\n  " + trec.replace(b" Q0 ", b"\t Q0  ").replace(b"\n", b" \r\n\n")
    (tmp_path / "e.run.gz").write_bytes(gzip.compress(loose))
    renamed = lists.rename({"user": "who", "item": "what", "rank": "at"})
    renamed.write_csv(tmp_path / "f.tsv", separator="\t")
    numbers = ("--user-column=3", "--item-column=1", "--rank-column=2")
    forms = {
        "a.csv": (),
        "b.parquet": (),
        "c.jsonl": (),
        "d.txt": ("--separator=;", "--no-header", *numbers),
        "e.run.gz": (),
        "f.tsv": ("--user-column=who", "--item-column=what", "--rank-column=at"),
    }
    every = {name: score(place, tmp_path / name, *flags) for name, flags in forms.items()}
    for name, found in every.items():
        order = "score" if name[0] in "be" else "rank"
        assert (found.pop("lists"), found.pop("order")) == (str(tmp_path / name), order)
        assert found == every["a.csv"] != {}, name


def test_scores_of_every_user(place, tmp_path):
    found = score(place, place.run / "trec/test.run", f"--per-user={tmp_path / 'users.parquet'}")
    table = pl.read_parquet(tmp_path / "users.parquet")
    assert table["ndcg@20"].dtype == pl.Float64
    assert table["ndcg@20"].mean() == pytest.approx(found["test/ndcg@20"], abs=1e-15)


def test_scores_that_are_equal_are_ties_and_rows_without_one_are_counted(place, tmp_path):
    path = tmp_path / "ties.csv"
    path.write_text("user,item,score\n0,1,.5\n0,3,.5\n0,5,nan\n0,7,\n0,9,x\n")
    found = score(place, path)
    assert found["test/users_with_ties"] == 1
    assert found["test/rows_unread"] == 3
    assert found["test/users_without_list"] == 29


BAD = {
    "an empty file": (b"", "is empty"),
    "no order": (b"user,item\n1,2\n", "has no column that looks like a rank or a score; give --r"),
    "no user": (b"who,item,rank\n1,2,1\n", "give --user-column"),
    "words for scores": (b"user,item,score\n1,2,good\n", "no row has a number as its score"),
    "nobody known": (b"user,item,rank\nx,2,1\n", "no row is left to be scored: 1 row of users"),
    "a pickle": (
        b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}q\x00.",
        "has no column that looks like",
    ),
    "a damaged gzip": (gzip.compress(b"1 Q0 2 1 0.5 x\n" * 9)[:-12], "is cut off or damaged"),
    "a gzip of zeros": (gzip.compress(b"1 Q0 2 1 0.5 x\n" + bytes(1 << 27)), "a line has more"),
    "a seventh field": (b"1 Q0 2 1 .5 x\n1 Q0 3 2 .4 x y\n", "a line has more fields than the fi"),
    "a damaged Parquet": (b"PAR1" + bytes(64) + b"PAR1", "cannot be read as a table"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_no_lists(place, tmp_path, capsys, name):
    content, problem = BAD[name]
    path = tmp_path / "lists"
    path.write_bytes(content)
    line = refused("score", [str(path), f"--data={place.data}", CUTOFFS, "--json=no.json"], capsys)
    assert problem in line


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["none.run"], "no --data given"),
        (["none.run", "--data=:demo:", "--config.data.path=x"], "--data and --config.data.path"),
        (["none.run", "--data=:demo:"], "none.run: cannot be read (No such file"),
        (["none.run", "--data=nowhere"], "data folder 'nowhere' does not exist"),
        (["none.run", "--data=:demo:", "--separator=ab"], "--separator is 'ab'"),
        (["none.run", "--data=:demo:", "--per-user=a.csv"], "is written as Parquet"),
        (["none.run", "--data=:demo:", "--split=train"], "--split is 'train'; it must be one of"),
        ([], "Missing argument 'LISTS'"),
    ],
)
def test_flags_that_cannot_be_used(capsys, flags, problem):
    assert problem in refused("score", flags, capsys)


def test_flags_of_columns_say_nothing_of_a_trec_run(place, capsys):
    argv = [str(place.run / "trec/test.run"), f"--data={place.data}", "--rank-column=4"]
    assert "is a TREC run; leave out flags of columns" in refused("score", argv, capsys)


def test_ids_with_blanks_cannot_be_written_as_trec_files(tmp_path, capsys):
    place = Place(tmp_path)
    ids = "".join(f"{n}\tuser {n}\n" for n in range(30))
    (place.data / "users.tsv").write_text(ids)
    place.train("--config.model.name=popularity")
    argv = place.argv(f"--trec={tmp_path / 'trec'}")
    assert "--trec cannot write the user 'user 0'" in refused("evaluate", argv, capsys)
    assert not (tmp_path / "trec").exists()
    refused("evaluate", [*argv, f"--json={tmp_path / 'scores.json'}"], capsys)
    assert not (tmp_path / "scores.json").exists()  # it is said before anything is written
    (tmp_path / "trec").mkdir()
    (tmp_path / "trec/file").touch()
    assert "--trec" in refused("evaluate", argv, capsys)


@pytest.mark.slow
def test_ease_on_tiktok_has_the_scores_that_trec_eval_gives_it(tmp_path):
    if not (data := REAL / "tiktok").is_dir():
        pytest.skip(f"no data in {data}")
    run, users = tmp_path / "run", tmp_path / "users.parquet"
    ease = ("--config=tiktok_released", f"--config.data.path={data}", "--config.model.name=ease")
    mmssl("train", *ease, "--config.data.modalities=none", f"--workdir={run}")
    mmssl("evaluate", "--config=tiktok", f"--workdir={run}", f"--trec={tmp_path / 'trec'}")
    mmssl("score", tmp_path / "trec/test.run", f"--data={data}", f"--per-user={users}")
    table = pl.read_parquet(users)
    assert len(table) == 6130
    truth = list(read_trec_qrels(str(tmp_path / "trec/test.qrels")))
    lists = list(read_trec_run(str(tmp_path / "trec/test.run")))
    theirs = {"recall": R, "precision": P, "ndcg": nDCG, "hit_rate": Success}
    for (ours, measure), cutoff in itertools.product(theirs.items(), (10, 20, 50)):
        found = {row.query_id: row.value for row in iter_calc([measure @ cutoff], truth, lists)}
        wanted = [found[user] for user in table["user_id"]]
        values = table[f"{ours}@{cutoff}"].to_numpy()
        np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-9)


def test_a_rank_is_better_the_lower_and_a_score_the_higher(tmp_path):
    path = tmp_path / "lists.csv"
    path.write_text("user,item,rank,score\na,x,1,3\na,y,2,7\n")
    columns = dict.fromkeys(("user", "item", "rank", "score"))
    by_rank = ranked_lists.read(path, columns)
    by_score = ranked_lists.read(path, columns | {"score": "score"})
    assert (by_rank.by, by_rank.worth.tolist()) == ("rank", [-1, -2])
    assert (by_score.by, by_score.worth.tolist()) == ("score", [3, 7])
    assert (
        code_of(["score", str(path), "--data=:demo:", "--rank-column=a", "--score-column=b"]) == 2
    )


@pytest.mark.parametrize("sign", ["", "-"])
def test_whole_numbers_that_floats_do_not_tell_apart_have_an_order(tmp_path, sign):
    path = tmp_path / "lists.csv"
    scores = [f"{sign}{2**53 + 1}", f"{sign}{2**53}", "7", f"{sign}{2**53 + 1}"]
    rows = [f"a,{item},{score}\n" for item, score in zip("wxyz", scores, strict=True)]
    path.write_text("user,item,score\n" + "".join(rows))
    worth = ranked_lists.read(path, dict.fromkeys(("user", "item", "rank", "score"))).worth.tolist()
    assert worth == ([1.0, 2.0, 3.0, 1.0] if sign else [3.0, 2.0, 1.0, 3.0])


@pytest.mark.parametrize("score", ["inf", "nan", "-inf", "1e999"])
def test_a_trec_run_is_known_whatever_the_first_score_is(tmp_path, score):
    path = tmp_path / "lists.run"
    path.write_text(f"a Q0 x 1 {score} me\na Q0 y 2 0.5 me\n")
    read = ranked_lists.read(path, dict.fromkeys(("user", "item", "rank", "score")))
    assert read.by == "score"
    assert (len(read.worth), read.unread) == ((1, 1) if score == "nan" else (2, 0))
