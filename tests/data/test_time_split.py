"""Splits by time: at one point for all, by the order of rows, and with pairs that return."""

import datetime
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_tables import no_trial
from worlds import mmssl

from mmssl_jax.data import load, splits
from mmssl_jax.data.dataset import SPLITS
from mmssl_jax.data.tables import time_split
from mmssl_jax.errors import InputError

USERS, PER_USER, ITEMS = 12, 10, 30
TIMES = st.lists(st.integers(-50, 50), min_size=1, max_size=60).map(np.array)
START = 1_577_836_800  # 2020-01-01


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    no_trial(monkeypatch)


def rows(day=86_400):
    """(user, item, time): a pair a day, all over the users."""
    rng = np.random.default_rng(3)
    found = [
        (f"u{user:02}", f"i{item:02}")
        for user in range(USERS)
        for item in rng.permutation(ITEMS)[:PER_USER]
    ]
    order = rng.permutation(len(found))
    return [(*found[place], START + day * number) for number, place in enumerate(order)]


ROWS = rows()


def table(path, rows, header="user,item,time"):
    Path(path).write_text(f"{header}\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))


def run(*argv, to="out"):
    flags = ("--to", to, "--overwrite", "--k-core", "0")
    mmssl("data", "import", *map(str, argv), *flags)
    return load(to, "none")


def refused(*argv):
    with pytest.raises(InputError) as caught:
        mmssl("data", "import", *map(str, argv), "--to", "none", "--k-core", "0")
    assert not Path("none").exists()
    return str(caught.value)


def about():
    return json.loads(Path("out/dataset.json").read_text())["source"]


def raw(data):
    """The pairs of each split by raw ids."""
    return {
        split: {
            (data.user_ids[user], data.item_ids[item])
            for user, item in zip(*getattr(data, split).tocoo().coords, strict=True)
        }
        for split in SPLITS
    }


def times_of(data, rows):
    known = {row[:2]: row[2] for row in rows}
    return {split: [known[pair] for pair in pairs] for split, pairs in raw(data).items()}


def test_one_point_in_time_for_all(capsys):
    table("t.csv", np.random.default_rng(0).permutation(np.array(ROWS, object)).tolist())
    data = run("t.csv", "--split", "by-time")
    times = times_of(data, ROWS)
    assert [len(times[split]) for split in SPLITS] == [96, 12, 12]
    assert max(times["train"]) < min(times["val"]) <= max(times["val"]) < min(times["test"])
    cuts = {split: START + 86_400 * place for split, place in (("val", 96), ("test", 108))}
    assert about()["since"] == {
        "val": f"{cuts['val']} (2020-04-06 00:00:00 UTC)",
        "test": f"{cuts['test']} (2020-04-18 00:00:00 UTC)",
    }
    assert f"split: by-time, val since {cuts['val']} (2020-04-06" in capsys.readouterr().out
    # The case that leave-last does not have right: it trains on what is later than some tests.
    last = times_of(run("t.csv", "--split", "leave-last"), ROWS)
    assert max(last["train"]) > min(last["test"])


@pytest.mark.parametrize(
    ("flags", "counts"),
    [
        (("--fractions", ".5,.25,.25"), [60, 30, 30]),
        (("--fractions", "0.7,0.1,0.2"), [84, 12, 24]),
        (("--val-since", "2020-02-01", "--test-since", "2020-03-01"), [31, 29, 60]),
        (("--val-since", "2020-02-01T12:00", "--test-since", "2020-03-01"), [32, 28, 60]),
        (("--val-since", "2020-02-01T01:00+02:00", "--test-since", "2020-03-01"), [31, 29, 60]),
        (("--val-since", START + 86_400, "--test-since", str(START + 2.5 * 86_400)), [1, 2, 117]),
    ],
)
@pytest.mark.parametrize("kind", ["seconds", "milliseconds", "dates", "parquet", "days"])
def test_points_that_are_chosen(flags, counts, kind):
    if kind in ("dates", "milliseconds", "parquet", "days") and isinstance(flags[1], int):
        return
    when = [datetime.datetime.fromtimestamp(row[2], datetime.UTC) for row in ROWS]
    values = {
        "seconds": [row[2] for row in ROWS],
        "milliseconds": [row[2] * 1000 for row in ROWS],
        "dates": [f"{each:%Y-%m-%d}" for each in when],
    }
    if kind in values:
        path = "t.csv"
        lines = [(*row[:2], value) for row, value in zip(ROWS, values[kind], strict=True)]
        table(path, lines)
    else:
        path = "t.parquet"
        columns = [[row[place] for row in ROWS] for place in range(2)]
        stamps = [each.replace(tzinfo=None) for each in when]
        column = pl.Series(stamps).cast(pl.Date if kind == "days" else pl.Datetime("ns"))
        pl.DataFrame({"user": columns[0], "item": columns[1], "time": column}).write_parquet(path)
    data = run(path, "--split", "by-time", *flags)
    assert [getattr(data, split).nnz for split in SPLITS] == counts


def test_what_training_lacks_is_counted_and_can_be_left_out(capsys):
    # Users of different years, as in the splits that people are told not to trust.
    old = [(f"u{user}", f"i{item}", 1000 * user + item) for user in range(10) for item in range(20)]
    table("t.csv", [*old, ("u1", "i25", 9998), ("u2", "i24", 9999)])
    flags = "--split", "by-time", "--fractions", ".85,.05,.1"
    data = run("t.csv", *flags)
    said = capsys.readouterr().out
    # Eight users and half of a ninth are trained on; the tenth comes later, and two new items.
    assert "1 of 10 val pairs are of 1 users or 0 items that training lacks" in said
    assert "21 of 21 test pairs are of 1 users or 2 items that training lacks" in said
    assert "--unseen drop leaves these pairs out" in said
    assert sum(getattr(data, split).nnz for split in SPLITS) == 202
    assert "the test split is empty" in refused("t.csv", *flags, "--unseen", "drop")
    table("u.csv", [*ROWS, ("new", "i01", START + 10**9), ("u01", "fresh", START + 10**9)])
    data = run("u.csv", "--split", "by-time", "--unseen", "drop")
    trained = raw(data)["train"]
    for split in ("val", "test"):
        assert {user for user, _ in raw(data)[split]} <= {user for user, _ in trained}
        assert {item for _, item in raw(data)[split]} <= {item for _, item in trained}
    assert not {"new"} & set(data.user_ids)
    assert not {"fresh"} & set(data.item_ids)


def test_a_point_that_holds_too_much_is_said():
    table("t.csv", [(*row[:2], 5) for row in ROWS])
    line = refused("t.csv", "--split", "by-time")
    assert "with val since 5 and test since 5 the pairs are 0 train, 0 val, 120 test" in line
    assert "--val-since and --test-since, or --fractions" in line


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--fractions", ".8,.2"), "three fractions"),
        (("--fractions", ".8,.2,.2"), "with sum 1"),
        (("--fractions", "1,0,0"), "three fractions"),
        (("--fractions", "nan,.1,.1"), "three fractions"),
        (("--val-since", "2020-02-01"), "--val-since and --test-since, or none"),
        (("--fractions", ".8,.1,.1", "--val-since", "1", "--test-since", "2"), "or none"),
        (("--val-since", "soon", "--test-since", "later"), "--val-since is 'soon'; it must be"),
        (("--val-since", "inf", "--test-since", "later"), "--val-since is 'inf'; it must be"),
        (("--val-since", "01/02/2020", "--test-since", "later"), "a number or a date such as"),
        (("--val-since", "2020-03-01", "--test-since", "2020-02-01"), "must be before"),
        (("--val-since", "2030-03-01", "--test-since", "2031-02-01"), "120 train, 0 val, 0 test"),
        (("--time-order", "rows", "--time-column", "time"), "takes no column of times"),
        (("--time-order", "rows", "--val-since", "1", "--test-since", "2"), "give --fractions"),
    ],
)
def test_wrong_points(flags, says):
    table("t.csv", ROWS)
    assert says in refused("t.csv", "--split", "by-time", *flags)


def test_points_of_another_kind_than_the_times():
    table("t.csv", [(*row[:2], number) for number, row in enumerate(ROWS)])
    since = "--val-since", "2020-03-01", "--test-since", "2020-04-01"
    assert "the times of the table, 0 to 119, are no seconds since 1970; give a number" in refused(
        "t.csv", "--split", "by-time", *since
    )
    table(
        "t.csv",
        [
            (*row[:2], f"2020-01-01T00:{number // 60:02}:{number % 60:02}")
            for number, row in enumerate(ROWS)
        ],
    )
    since = "--val-since", "100", "--test-since", "110"
    assert "--val-since is '100'; it must be a date such as" in refused(
        "t.csv", "--split", "by-time", *since
    )


def test_options_of_time_are_for_splits_by_time():
    table("t.csv", ROWS)
    for flags in (("--time-order", "rows"), ("--time-column", "time")):
        assert "is read only for --split leave-last or by-time" in refused("t.csv", *flags)
    assert "--fractions is for --split by-time" in refused(
        "t.csv", "--split", "leave-last", "--fractions", ".8,.1,.1"
    )


# Rows as time


def test_rows_in_order_stand_for_times():
    table("t.csv", [row[:2] for row in ROWS], "user,item")
    line = refused("t.csv", "--split", "leave-last")
    assert "no column that looks like the time" in line
    assert "--time-order rows where the rows are in order" in line
    data = run("t.csv", "--split", "leave-last", "--time-order", "rows")
    for user in {row[0] for row in ROWS}:
        own = [row[1] for row in ROWS if row[0] == user]
        assert (user, own[-1]) in raw(data)["test"]
        assert (user, own[-2]) in raw(data)["val"]
    assert about()["time_order"] == "rows"
    data = run("t.csv", "--split", "by-time", "--time-order", "rows")
    assert raw(data)["train"] == {row[:2] for row in ROWS[:96]}
    assert raw(data)["test"] == {row[:2] for row in ROWS[108:]}
    assert about()["since"] == {"val": "row 97", "test": "row 109"}


# Pairs that return


def test_purchases_that_return(capsys):
    again = (*ROWS[3][:2], START + 10**9)
    table("t.csv", [*ROWS, again, again])
    for split in ("leave-last", "by-time"):
        first = run("t.csv", "--split", split)
        assert sum(getattr(first, name).nnz for name in SPLITS) == len(ROWS)
        assert "2 rows repeat a pair, which counts once at its earliest time; --repeats keep" in (
            capsys.readouterr().out
        )
        dropped = run("t.csv", "--split", split, "--repeats", "drop")
        assert dropped.fingerprint == first.fingerprint
        data = run("t.csv", "--split", split, "--repeats", "keep")
        assert data.repeats
        assert again[:2] in raw(data)["test"]
        assert again[:2] in raw(data)["train"]
        assert about()["repeats"] == "keep"
        assert "1 pair of train returns in test and is kept" in capsys.readouterr().out
    for split in ("per-user", "cold-items"):
        line = refused("t.csv", "--split", split, "--repeats", "keep")
        assert f"{split} knows no earlier and later" in line
    assert "per-user knows no earlier and later" in refused("t.csv", "--repeats", "drop")


def test_repeats_in_the_order_of_rows():
    lines = [("a", item) for item in "xyzxy"] + [("b", item) for item in "yyyy"]
    table("t.csv", lines, "user,item")
    flags = ("--split", "leave-last", "--time-order", "rows")
    data = run("t.csv", *flags, "--repeats", "keep")
    assert raw(data) == {
        "train": {("a", "x"), ("a", "y"), ("a", "z"), ("b", "y")},
        "val": {("a", "x"), ("b", "y")},
        "test": {("a", "y"), ("b", "y")},
    }


def test_the_k_core_counts_pairs_not_purchases():
    square = [(f"u{user}", f"i{item}", 10 * user + item) for user in range(6) for item in range(6)]
    table("t.csv", [*square, *(("u9", "i0", time) for time in range(100, 110))])
    mmssl(
        *("data", "import", "t.csv", "--to", "core", "--split", "leave-last"),
        *("--repeats", "keep", "--k-core", "6"),
    )
    assert load("core", "none").num_users == 6


# By properties


@given(TIMES, st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.3, 0.2), (0.34, 0.33, 0.33)]))
def test_fractions_never_part_ties_nor_give_the_earlier_more(times, fractions):
    cuts = time_split.by_fractions(times, fractions)
    labels = time_split.labels(times, cuts)
    for value in np.unique(times):
        assert len(np.unique(labels[times == value])) == 1
    order = np.argsort(times, kind="stable")
    assert (np.diff(labels[order]) >= 0).all()
    assert (labels == 0).sum() <= fractions[0] * len(times) + 1e-6
    assert (labels <= 1).sum() <= (fractions[0] + fractions[1]) * len(times) + 1e-6
    # The next point in time would be too much.
    later = times[times >= cuts.val]
    with_next = (times <= later.min()).sum()
    assert with_next > fractions[0] * len(times) - 1e-6


@given(TIMES, st.integers(-60, 60), st.integers(-60, 60))
def test_training_ends_before_every_other_pair(times, one, other):
    cuts = time_split.Cuts(*sorted((one, other)))
    labels = time_split.labels(times, cuts)
    for earlier, later in ((0, 1), (1, 2), (0, 2)):
        if (labels == earlier).any() and (labels == later).any():
            assert times[labels == earlier].max() < times[labels == later].min()
    assert (times[labels == 0] < cuts.val).all()
    assert (times[labels == 2] >= cuts.test).all()


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("vwxyz"), st.integers(0, 30)),
    min_size=8,
    max_size=40,
)


@settings(max_examples=15, deadline=None)
@given(EVENTS, st.booleans(), st.randoms(use_true_random=False))
def test_no_pair_is_lost_or_doubled_whatever_the_order(tmp_path_factory, events, keep, random):
    folder = tmp_path_factory.mktemp("events")
    flags = ["--split", "by-time", "--k-core", "0", "--repeats", "keep" if keep else "drop"]
    found = []
    for name in ("one", "other"):
        table(folder / f"{name}.csv", events)
        try:
            mmssl("data", "import", str(folder / f"{name}.csv"), "--to", str(folder / name), *flags)
            found.append(raw(load(str(folder / name), "none")))
        except InputError as error:  # a split is empty, and must then be so in any order
            found.append(str(error).partition(": ")[2])
        random.shuffle(events)
    assert found[0] == found[1]
    if isinstance(found[0], str):
        return
    first = {}
    for user, item, time in sorted(events, key=lambda event: event[2]):
        first.setdefault((user, item), time)
    counted = set(events) if keep else {(*pair, time) for pair, time in first.items()}
    cuts = time_split.by_fractions(np.array([event[2] for event in counted]), (0.8, 0.1, 0.1))
    assert found[0] == {
        "train": {event[:2] for event in counted if event[2] < cuts.val},
        "val": {event[:2] for event in counted if cuts.val <= event[2] < cuts.test},
        "test": {event[:2] for event in counted if event[2] >= cuts.test},
    }
    if not keep:
        assert sum(map(len, found[0].values())) == len(first)


def test_seen_pairs_are_those_of_training():
    users, items = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 0, 2, 0])
    labels = np.array([0, 2, 0, 1, 2], np.int8)
    assert splits.seen(users, items, labels).tolist() == [True, False, True, False, False]
