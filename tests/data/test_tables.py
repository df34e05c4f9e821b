"""Raw tables: which pairs come out of which file, and what is refused."""

import base64
import datetime
import itertools
import subprocess
import sys
import unicodedata
import zlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_tables import no_trial, pairs, read, refusal
from worlds import ROOT

from mmssl_jax.data.tables import pairs as table_pairs
from mmssl_jax.data.tables import row_limits
from mmssl_jax.files import memory


@pytest.fixture(name="csv")
def _csv(tmp_path):
    return tmp_path / "table.csv"


def test_pairs_are_sorted_by_ids_in_code_point_order(csv):
    table = read(csv, "user,item\nb,10\na,9\nb,9\nÄ,é\nZ,10\n")
    assert table.user_ids == ("Z", "a", "b", "Ä")
    assert table.item_ids == ("10", "9", "é")
    assert pairs(table) == [("Z", "10"), ("a", "9"), ("b", "10"), ("b", "9"), ("Ä", "é")]
    assert table.columns == {"user": "user", "item": "item"}
    assert table.warnings == []


def test_ids_that_look_like_numbers_stay_text(csv):
    table = read(csv, "user,item\n7,1\n007,1.0\n7.0,1\n+7,1e0\n", id_spelling="keep")
    assert table.user_ids == ("+7", "007", "7", "7.0")
    assert table.item_ids == ("1", "1.0", "1e0")


@pytest.mark.parametrize(
    "content",
    [
        b"user,item\na,x\nb,y\n",
        b"user,item\na,x\nb,y",
        b"user,item\r\na,x\r\nb,y\r\n",
        b"\xef\xbb\xbfuser,item\na,x\nb,y\n",
        b'\xef\xbb\xbf"user","item"\r\n"a","x"\r\n"b",y\r\n',
        b"n,item,title,user\n1,x,\xc3\xa9,a\n2,y,,b\n",
    ],
)
def test_forms_of_csv(csv, content):
    table = read(csv, content)
    assert pairs(table) == [("a", "x"), ("b", "y")]
    assert [said for said in table.warnings if "not used (1): 'n'" not in said] == []


def test_quotes(csv):
    table = read(
        csv,
        'user,item\n"a,1","say ""x"""\nNA,null\n" b",\'c\'\n',
        null_ids="keep",
        id_spelling="keep",
    )
    assert pairs(table) == [(" b", "'c'"), ("NA", "null"), ("a,1", 'say "x"')]


def visible(text):
    """Whether it is an id: blanks and characters without a width are none."""
    return any(not char.isspace() and unicodedata.category(char) != "Cf" for char in text)


TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=6)
ROWS = st.lists(st.tuples(*[TEXT.filter(visible)] * 2), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_csv_tsv_and_parquet_give_the_same(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("forms")
    frame = pl.DataFrame(rows, schema={"user_id": pl.String, "item_id": pl.String}, orient="row")
    frame.write_csv(folder / "t.csv", quote_style="always")
    frame.write_csv(folder / "bom.csv", quote_style="always", include_bom=True)
    frame.write_csv(folder / "t.tsv", quote_style="always", separator="\t")
    frame.write_parquet(folder / "t.parquet")
    frame.cast(pl.Categorical).write_parquet(folder / "categories.parquet")
    said = set()
    for path in sorted(folder.iterdir()):
        with pytest.MonkeyPatch.context() as patch:
            no_trial(patch)
            table = read(path, null_ids="keep", id_spelling="keep")
        assert pairs(table) == sorted(set(rows)), path.name
        assert table.user_ids == tuple(sorted({user for user, _ in rows}))
        said.add(tuple(warning.removeprefix(f"{path}: ") for warning in table.warnings))
    assert len(said) == 1


def test_tabs_without_quoting_are_not_undone_by_a_stray_quote(tmp_path):
    table = read(tmp_path / "t.tsv", 'user\titem\ttitle\na\tx\t"Weird\nb\ty\tz\nc\tx\t"Al"\n')
    assert pairs(table) == [("a", "x"), ("b", "y"), ("c", "x")]


def test_rows_that_a_stray_quote_joins_are_noticed(csv):
    table = read(csv, 'user,item,title\na,x,"Weird\nb,y,z\nc,x,w"\nd,y,z\n')
    assert pairs(table) == [("a", "x"), ("d", "y")]
    assert "2 lines within quotes look like rows; a stray quote" in table.warnings[0]
    said = refusal(csv, b'user,item,title\na,x,"Weird\nb,y,z\nc,x,"w\nd,y,z\n')
    assert "cannot be read as a table" in said


@pytest.mark.parametrize("kind", [pl.Float64, pl.Decimal(10, 2)])
def test_times_with_fractions_keep_them(tmp_path, kind):
    path = tmp_path / "t.parquet"
    times = pl.Series("timestamp", [10.9, 10.1, 10.5, 10.3]).cast(kind)
    pl.DataFrame({"user": ["a"] * 4, "item": ["i1", "i2", "i3", "i4"]}).with_columns(
        times
    ).write_parquet(path)
    table = read(path, columns=("time",))
    assert np.argsort(table.times).tolist() == [1, 3, 2, 0]


def test_rows_without_an_id_are_left_out_with_a_warning(csv):
    table = read(csv, 'user,item\n,x\n"",x\n  ,x\na,\n,\n\na\nb,y\n')
    assert pairs(table) == [("b", "y")]
    assert table.warnings == [f"{csv}: 7 rows without a user or an item were left out"]


@pytest.mark.parametrize(
    ("name", "separator", "expected"),
    [
        ("t.csv", None, ","),
        ("t.tsv", None, "\t"),
        ("t.dat", None, "\t"),
        ("t.txt", None, ","),
        ("t.csv", ";", ";"),
        ("t.csv", "\t", "\t"),
        ("t.tsv", "|", "|"),
    ],
)
def test_separators(tmp_path, name, separator, expected):
    table = read(tmp_path / name, f"user{expected}item\na{expected}b\n", separator=separator)
    assert pairs(table) == [("a", "b")]


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("userID,itemID", "userID itemID"),
        ("reviewerID,asin,overall", "reviewerID asin"),
        ("USER_ID,Item-Id", "USER_ID Item-Id"),
        ("user_id:token,item_id:token,rating:float", "user_id:token item_id:token"),
        ("rating,asin,parent_asin,user_id", "user_id parent_asin"),
        ("user,item,user_id,item_id", "user_id item_id"),
        ("userId,movieId", "userId movieId"),
        ("User-ID,ISBN,Book-Rating", "User-ID ISBN"),
        ("isbn,user_id,book_id", "user_id book_id"),
    ],
)
def test_columns_are_guessed_by_name(csv, header, taken):
    table = read(csv, f"{header}\n{','.join('abcd'[: header.count(',') + 1])}\n")
    assert " ".join(table.columns.values()) == taken


def test_columns_that_are_asked_for(csv):
    columns = {"user": "item", "item": "user"}
    table = read(csv, "user,item\na,b\n", columns)
    assert (pairs(table), table.columns) == ([("b", "a")], columns)


def test_no_header(csv):
    table = read(csv, "5,x,a\n4,y,b\n", {"user": "3", "item": "2"}, header=False)
    assert pairs(table) == [("a", "x"), ("b", "y")]
    assert table.columns == {"user": "3", "item": "2"}
    table = read(csv, "1::x::5\n2::y::4\n", {"user": "1", "item": "3"}, header=False, separator=":")
    assert pairs(table) == [("1", "x"), ("2", "y")]


@pytest.mark.parametrize("number", [None, "0", "4", "-1", "x", "9" * 40])
def test_a_column_by_a_wrong_number(csv, number):
    message = refusal(csv, "a,b,c\n", {"user": number, "item": "1"}, header=False)
    assert "has 3 columns without names; give --user-column as a number from 1 to 3" in message


def test_missing_columns(csv):
    assert "no column that looks like the item; give --item-column, one of 'user', 'thing'" in (
        refusal(csv, "user,thing\na,b\n")
    )
    assert "no column 'asin'" in refusal(csv, "user,item\na,b\n", {"item": "asin"})
    assert "--separator" in refusal(csv, "user;item\na;b\n")
    assert "and 988 more" in refusal(csv, ",".join(f"column{i}" for i in range(1000)) + "\n")
    assert "asked for twice" in refusal(csv, "user,item\na,b\n", {"item": "user"})


def test_ratings(csv):
    content = "user,item,rating\na,x,4\nb,x,3.9\nc,x,\nd,x, 5 \ne,x,nan\nf,x,-inf\ng,x,inf\n"
    table = read(csv, content, ("rating",), min_rating=4.0)
    assert pairs(table) == [("a", "x"), ("d", "x"), ("g", "x")]
    assert table.counts == {"rows": 7, "rated 4 or more": 3, "distinct pairs": 3}
    assert "column 'rating' holds 'good', which is no rating" in refusal(
        csv, "user,item,rating\na,x,4\nb,x,good\n", ("rating",), min_rating=1.0
    )
    assert "no pair is left (1 rows, 0 rated 4 or more" in refusal(
        csv, "user,item,rating\na,x,3\n", ("rating",), min_rating=4.0
    )


def test_a_pair_counts_once_at_its_earliest_time(csv):
    content = "user,item,time\na,x,5\na,y,3\na,x,4\na,x,4\na,y,3\n"
    table = read(csv, content, ("time",))
    assert pairs(table) == [("a", "x"), ("a", "y")]
    assert table.times.tolist() == [4, 3]
    assert table.rows.tolist() == [2, 1]  # of rows at the same time, the first
    assert table.counts == {"rows": 5, "distinct pairs": 2}


def test_rows_keep_the_order_of_the_file(csv):
    rng = np.random.default_rng(0)
    order = rng.permutation(100_000)
    lines = "".join(f"u{row % 300},i{row}\n" for row in order)
    table = read(csv, f"user,item\n{lines}")
    items = np.array([int(item[1:]) for _, item in pairs(table)])
    np.testing.assert_array_equal(order[table.rows], items)


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2", "10"],
        ["1400000000", "1400000000123", "9007199254740993"],
        ["-1", "0.5", "1e3"],
        ["2014-07-03", "2014-07-04", "2015-01-01"],
        ["2014-07-03T23:59:59", "2014-07-04T00:00:00", "2014-07-04T00:00:00.5"],
        ["2014-07-03T12:00:00+02:00", "2014-07-03T11:00:00Z", "2014-07-03T12:00:00+00:00"],
    ],
)
def test_times_are_in_order(csv, values):
    for places in itertools.permutations(range(3)):
        lines = "".join(f"a,{place},{values[place]}\n" for place in places)
        table = read(csv, f"user,item,time\n{lines}", ("time",))
        assert [item for _, item in pairs(table)] == ["0", "1", "2"]
        assert (np.diff(table.times) > 0).all()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("", "no time in 1 row"),
        ("soon", "holds 'soon'"),
        ("nan", "holds 'nan'"),
        ("inf", "holds 'inf'"),
        ("07/03/2014", "holds '07/03/2014'"),
        ("2014-07-03", "holds '1'; times must all be numbers, or dates"),
    ],
)
def test_times_that_are_none(csv, value, says):
    assert says in refusal(csv, f"user,item,time\na,x,1\nb,x,{value}\n", ("time",))


def test_a_date_that_does_not_exist(csv):
    assert "holds '2014-13-03'" in refusal(
        csv, "user,item,time\na,x,2014-07-03\nb,x,2014-13-03\n", ("time",)
    )


def test_columns_of_parquet(tmp_path, monkeypatch):
    no_trial(monkeypatch)
    path = tmp_path / "t.parquet"
    days = [datetime.date(2024, 1, day) for day in (3, 1, 2)]
    frame = pl.DataFrame({"user": [7, 7, 10], "item": ["a", "b", "a"], "time": days})
    frame.write_parquet(path)
    table = read(path, columns=("time",))
    assert pairs(table) == [("10", "a"), ("7", "a"), ("7", "b")]
    assert (table.times // 86_400_000_000).tolist() == [19724, 19725, 19723]  # microseconds
    assert table.dated
    assert "--no-header" in refusal(path, header=False)
    assert "--separator" in refusal(path, separator=",")
    for values in ([1.5], [2.0**60], [[1]], [True], [b"a"], days[:1]):
        pl.DataFrame({"user": values, "item": ["a"]}).write_parquet(path)
        assert "column 'user' holds" in refusal(path)
    pl.DataFrame({"user": ["a"], "item": pl.Series([None], dtype=pl.Null)}).write_parquet(path)
    assert "no row has both a user and an item" in refusal(path)


def test_too_many_rows_are_refused_before_they_are_read(tmp_path, monkeypatch, csv):
    monkeypatch.setattr(row_limits, "MAX_ROWS", 1000)
    pl.DataFrame({"user": ["a"] * 1001, "item": ["b"] * 1001}).write_parquet(tmp_path / "t.parquet")
    assert "has 1001 rows, more than the 1000" in refusal(tmp_path / "t.parquet")
    assert "more than the 1000" in refusal(csv, "user,item\n" + "a,b\n" * 1001)


def test_rows_that_memory_cannot_hold_are_refused_before_they_are_read(tmp_path, monkeypatch, csv):
    monkeypatch.setattr(memory, "available", lambda: 39_999)
    pl.DataFrame({"user": ["a"] * 1000, "item": ["b"] * 1000}).write_parquet(tmp_path / "t.parquet")
    said = "an import of 1000 rows needs 0.04 MB of memory, and 0.04 MB can be had here"
    assert said in refusal(tmp_path / "t.parquet")
    assert said in refusal(csv, "user,item\n" + "a,b\n" * 1000)


def naive_core(pairs, k):
    while True:
        users, items = ([pair[side] for pair in pairs] for side in (0, 1))
        kept = {(u, i) for u, i in pairs if users.count(u) >= k and items.count(i) >= k}
        if kept == pairs:
            return pairs
        pairs = kept


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40), st.integers(0, 5))
def test_k_core_is_that_of_a_naive_version(pairs, k):
    users, items = np.array(sorted(pairs), int).reshape(-1, 2).T
    kept = table_pairs.in_k_core(users, items, k)
    assert set(zip(users[kept], items[kept], strict=True)) == naive_core(pairs, k)


def test_k_core_counts_distinct_pairs_and_leaves_out_ids(csv):
    square = "".join(f"{user},{item}\n" for user in "abc" for item in "xyz")
    table = read(csv, f"user,item\n{square}d,x\nd,x\nd,x\nd,w\n", k_core=3)
    assert table.user_ids == ("a", "b", "c")
    assert table.item_ids == ("x", "y", "z")
    assert table.counts == {"rows": 13, "distinct pairs": 11, "in the 3-core": 9}
    assert "no pair is left (13 rows, 11 distinct pairs, 0 in the 4-core); lower --k-core" in (
        refusal(csv, k_core=4)
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b'user,"item\n', "a quote that is not closed"),
        (b"user,item" + b"," * 10_000, "more than 1000 columns"),
        (b"user,item", "no row has both"),
        (b"user,item\n", "no row has both"),
        (b"user,item\n,\n,x\ny,\n", "no row has both"),
        (b"user,item\na,b,c\n", "a line has more fields than the first"),
        (b"user,item\n\xe9,b\n", "UTF-8"),
        (bytes(range(256)) * 50, "no column that looks like the user"),
        ("user,item\na,b\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b"\x28\xb5\x2f\xfd and more", "is compressed; unpack it first"),
        (b"PK\x03\x04user,item", "is a zip archive; unpack it first"),
        (b"PAR1 and no more", "cannot be read as a table"),
        (b'user,item\n"a\tb",c\n', r"has the id 'a\tb'; ids must be"),
        (b'user,item\na,"b\nc"\n', r"has the id 'b\nc'; ids must be"),
        (b"user,item\na,b\0\n", r"has the id 'b\x00'; ids must be"),
        (b"user,item\na,\x1b[2J\n", r"has the id '\x1b[2J'; ids must be"),
        (b"user,item\na," + b"b" * 100_000 + b"\n", "ids must be at most 1000 characters"),
    ],
)
def test_what_is_refused(csv, content, says):
    assert says in refusal(csv, content)


def test_no_file(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path, tmp_path / ("n" * 300)):
        assert "is not a file" in refusal(path) or "too long" in refusal(path)


def test_a_name_with_a_pattern_is_only_a_name(tmp_path):
    (tmp_path / "a.csv").write_text("user,item\na,x\n")
    assert pairs(read(tmp_path / "[ab]*.csv", "user,item\nb,y\n")) == [("b", "y")]
    frame = pl.DataFrame({"user": ["c"], "item": ["z"]})
    (tmp_path / "user=d").mkdir()
    frame.write_parquet(tmp_path / "user=d" / "a.parquet")
    assert pairs(read(tmp_path / "user=d" / "a.parquet")) == [("c", "z")]


def test_damaged_parquet_is_refused(tmp_path, capfd):
    path = tmp_path / "t.parquet"
    rows = range(300)
    frame = pl.DataFrame({"user": [f"u{i % 50}" for i in rows], "item": [f"i{i}" for i in rows]})
    frame.write_parquet(path)
    good = path.read_bytes()
    for damaged in (
        good[: len(good) // 2],
        good[:4] + good[-200:],
        good[:-8] + bytes(4) + good[-4:],
        good.replace(b"item", b"it\xffm"),
        good[:200] + bytes(500) + good[700:],
    ):
        assert "cannot be read as a table" in refusal(path, damaged)
    assert capfd.readouterr().err == ""  # not even what polars' threads say of it


# 952 bytes of Parquet, whose 15th byte is wrong: polars then asks for two exabytes, and aborts.
ABORTS = (
    "c-jka3^EjD5S=6_`iMzK^gk1j%_hpmz@V{J|8IgPvn?xwQMZ)nfu$E1|NlSmpLar#*UX@#2M^smZZo<n7f!Ff=yB"
    "(1jEPYBPO;u2v3(#RY344sM|$BP=Hf*YcbxVGDOr-C@~$Wlq)r^D?i@%m8zgR_A=SBijsu4ygMtKyA`er;)D;2`w"
    "w6D*E+BB!j)C!9sKAQbOfJ#PeXEt&%~U?G{xC;r^Ht&Fd$juJ8BV=t8MOS>qP5%hMh69PiSkIQGO$TXuw<5`=8E!"
    "&tzi<|B`DU#tj58B@ZXwY;J?!1)FNd6onU5=lo8_)?P3;VU;r^sFhkj*Op-PpEJgYGC88`0qCBchkib!8@R0$@f("
    "1aPK?Q(DO3Fy;s7+#)!4sHbUF@P_3~HCyWbnC2YyrEd1cTTYC7`Gphu9Q05s=d)cpQU*{KKt^lQU9t6D4ji>Vtr3"
    "wj&U@f(VN;Aip9I$_ER1J31CSI)mvzN9_Qhe0e!Y+|$u99jeX~M1uvLK!k4yP?1F>+)#)*CpSkZfXIWTQX>3vlEK"
    "n0#UQ8nfSAr;Rbc&&L4jaHUDJU^f#^VpWiC*o^ug{41WSSVi4j3LNr8^G3=)0;`8kP2#R?h)l_eSZd727ksYS(^`"
    "FRRPdWL!i3K~hJnK>y6=4qA&MoB5gX=y1&=4ojbMk$6SM&=fY29}9NmZoWGMrr1WsVSC5nvy!e7y?Do6-EYz0AQX"
    "406O_4Vg"
)


def test_a_file_that_would_end_the_process_is_refused(tmp_path):
    content = zlib.decompress(base64.b85decode(ABORTS))
    assert "more memory than its size" in refusal(tmp_path / "t.parquet", content)


def test_a_row_repeated_without_end_is_refused(tmp_path):
    path = tmp_path / "t.parquet"
    value = pl.repeat("a", 3 << 20, dtype=pl.Categorical, eager=True)
    pl.DataFrame({"user": value, "item": value}).write_parquet(path)
    assert "claims 3145728 rows in" in refusal(path)


def test_memory_is_bounded_by_the_file(csv):
    csv.write_text("user,item\n" + ",\n" * 500_000 + "a,b\n")  # a megabyte of the shortest rows
    script = (
        "import resource, sys; from pathlib import Path\n"
        "from mmssl_jax.data.tables import interactions as tables\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "tables.read(Path(sys.argv[1]), {'user': None, 'item': None}, k_core=0)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, csv], cwd=ROOT, capture_output=True, check=True
    )
    assert int(done.stdout) < 150 * 1024
