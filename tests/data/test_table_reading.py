"""Raw tables are read as they were meant: headers, ids, likes, times, JSON lines, titles."""

import csv
import datetime
import gzip
import io
import itertools
import json

import numpy as np
import polars as pl
import pytest
from raw_tables import no_trial, pairs, read, refusal
from worlds import mmssl

from mmssl_jax.data import load
from mmssl_jax.data.tables import id_spelling, interactions, json_rows, text_rows, unpacked
from mmssl_jax.data.tables import times as table_times
from mmssl_jax.errors import InputError


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "t.csv"


def only(table, *parts):
    """The one warning that has all the parts."""
    (found,) = [line for line in table.warnings if all(part in line for part in parts)]
    assert found.isprintable()
    return found


# Headers and names


@pytest.mark.parametrize(
    "lines",
    [
        ["501\t77\t4\t991000000", "502\t78\t3\t991000001"],
        ["7,7,5", "8,7,5"],  # the same twice
        ["k1,g7", "k2,g81", "k3,g5"],  # no number, but the shape of all lines
        ["ann,9,2011-04-05", "bob,7,2012-06-07"],
    ],
)
def test_a_table_without_a_header_is_recognised(tmp_path, lines):
    path = tmp_path / "t.data"
    content = "\n".join(lines * 3) + "\n"
    first = lines[0].replace("\t", ",").split(",")
    for columns in ((), {"user": first[0], "item": first[1]}):
        said = refusal(path, content, columns)
        assert "first line looks like data" in said
        assert "--no-header --user-column N --item-column N, with the numbers" in said
        assert said.endswith(", ".join(f"{n} = {v!r}" for n, v in enumerate(first, start=1)))
    table = read(path, content, {"user": "1", "item": "2"}, header=False)
    assert len(pairs(table)) == len(lines)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("0,1\nx1,y2\nx2,y3\n", {"user": "0", "item": "1"}),  # pandas, of a frame without names
        ("2019,who\ng5,ann\ng6,bob\n", {"user": "who", "item": "2019"}),  # no number below
        ("user,q1\na,q2\nb,q3\n", {"item": "q1"}),  # one known name
    ],
)
def test_odd_names_are_names(path, content, columns):
    assert len(pairs(read(path, content, columns))) == 2


def test_a_header_that_is_declared_none(path):
    said = refusal(path, "user_id,item_id\na,x\n", {"user": "1", "item": "2"}, header=False)
    assert "its first line names the columns" in said
    assert "leave out --no-header" in said


@pytest.mark.parametrize("asked", ["shop_user", "SHOP_USER", "Shop_User:token", "shop_user:TOKEN"])
def test_typed_names_go_with_and_without_type_in_any_case(path, asked):
    table = read(path, "shop_user:token,item_id:token\na,x\n", {"user": asked})
    assert table.columns["user"] == "shop_user:token"
    table = read(path, "Shop_User , item_id\na,x\n", {"user": asked.partition(":")[0]})
    assert table.columns == {"user": "Shop_User ", "item": " item_id"}


def test_names_that_may_be_two_columns(path):
    said = refusal(path, "who:token,who:float,item\na,1,x\n", {"user": "who"})
    assert "may be any of 'who:token', 'who:float'" in said
    said = refusal(path, "Who,WHO,item\na,1,x\n", {"user": "who"})
    assert "may be any of 'Who', 'WHO'" in said
    assert read(path, "Who,WHO,item\na,1,x\n", {"user": "WHO"}).user_ids == ("1",)


@pytest.mark.parametrize(
    ("header", "taken", "other"),
    [
        ("user_id,asin,parent_asin", "parent_asin", "'asin'"),
        ("user_id,product_id,product_parent", "product_id", "'product_parent'"),
        ("user_id,item_id,variant_id", "item_id", "'variant_id'"),
        ("user,item,item_name", "item", "'item_name'"),
    ],
)
def test_another_id_column_beside_is_said(path, header, taken, other):
    table = read(path, f"{header}\na,x,y\nb,z,w\n")
    assert table.columns["item"] == taken
    assert other in only(table, f"'{taken}' is taken for the item", "--item-column takes another")
    (unused,) = read(path, columns={"item": other.strip("'")}).warnings
    assert f"columns that are not used (1): '{taken}'" in unused


def test_two_columns_of_users_are_said(path):
    table = read(path, "uid,user_id,item_id\n1,a,x\n2,b,y\n")
    assert table.user_ids == ("a", "b")
    assert "'uid'" in only(table, "is taken for the user", "--user-column")
    (unused,) = read(path, "user_id,user_name,item_id,title\na,Ann,x,X\n").warnings
    assert "columns that are not used (1): 'user_name'" in unused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("user;item\na;x\n", "divided by ';': --separator ';'"),
        ("user|item\na|x\n", "--separator '|'"),
        ("3::7::5::99\n4::7::5::98\n", "--separator : with empty columns between: --no-header"),
        ("3 7 5\n4 7 5\n", "--separator ' '"),
    ],
)
def test_lines_that_are_divided_by_something_else(path, content, says):
    assert says in refusal(path, content)


def test_a_number_where_there_are_names(path):
    assert "by number with --no-header alone" in refusal(path, "who,what\na,x\n", {"user": "1"})


def test_headers_within_joined_files_are_left_out(path):
    table = read(path, "user,item\na,x\nuser,item\nb,y\n")
    assert pairs(table) == [("a", "x"), ("b", "y")]
    only(table, "1 row repeats the names of the columns")
    content = "1,2\nx1,y\n"
    table = read(path, content, {"user": "1", "item": "2"}, header=False)
    assert pairs(table) == [("1", "2"), ("x1", "y")]  # numbers of columns are no header


# Ids


def test_words_for_no_id_are_left_out_or_kept(path):
    words = ["nan", "NaN", "None", "null", "NULL", r"\N", "NA", "N/A", "<NA>", "#N/A"]
    content = "user,item\n" + "".join(f"{word},x\n" for word in words) + "a,None\nb,Nana\n"
    table = read(path, content)
    assert pairs(table) == [("b", "Nana")]
    assert "'<NA>'" in only(table, "10 rows have", "'user'", "--null-ids keep")
    only(table, "1 row has 'None' in column 'item'", "left out")
    table = read(path, content, null_ids="keep", id_spelling="keep")
    assert len(pairs(table)) == 12
    only(table, "10 rows have", "they are kept", "--null-ids drop")


def test_a_table_of_such_words_alone_keeps_them(path):
    assert pairs(read(path, "user,item\nNA,x\nNA,y\n")) == [("NA", "x"), ("NA", "y")]


def test_blank_ids_of_every_kind_are_left_out(tmp_path, monkeypatch):
    no_trial(monkeypatch)
    path = tmp_path / "t.parquet"
    users = ["a", None, "", "  ", "\u00a0", "\ufeff", "\u200b "]
    pl.DataFrame({"user": users, "item": ["x"] * 7}).write_parquet(path)
    table = read(path)
    assert table.user_ids == ("a",)
    only(table, "6 rows without a user or an item")
    pl.DataFrame({"user": [12.0, float("nan"), None, 7.0], "item": ["x"] * 4}).write_parquet(path)
    table = read(path)
    assert table.user_ids == ("12", "7")
    only(table, "2 rows without a user or an item")
    only(table, "2 ids of column 'user' are spelt anew, such as '12.0' as '12'")


SPELLINGS = {
    "float": [("31", "31.0"), ("5", "5.")],
    "power": [("40", "4e1"), ("120", "1.2e2")],
    "blank": [("h2", " h2"), ("h3", "h3  ")],
    "accent": [("r\u00e9a", "re\u0301a"), ("\u00fc", "u\u0308")],
}


@pytest.mark.parametrize("kind", SPELLINGS)
def test_spellings_of_an_id_are_joined_or_kept(path, kind):
    both = SPELLINGS[kind]
    content = "user,item\n" + "".join(f"a,{one}\na,{other}\n" for one, other in both)
    table = read(path, content)
    assert table.item_ids == tuple(sorted(one for one, _ in both))
    only(table, "2 ids of column 'item' are spelt anew", "makes 2 of them the same", "keep leaves")
    table = read(path, content, id_spelling="keep")
    assert table.item_ids == tuple(sorted(each for pair in both for each in pair))
    only(table, "2 ids of column 'item' are others in another spelling", "--id-spelling join")


def test_what_is_no_other_spelling_stays(path):
    for ids in (["1.0", "1", "1.5"], ["1e3", "1000", "ab4"], ["9007199254740993e3", "7"]):
        table = read(path, "user,item\n" + "".join(f"a,{each}\n" for each in ids))
        assert set(table.item_ids) == set(ids), ids


@pytest.mark.parametrize(
    "pair", [("Tea", "tea"), ("04", "4"), ("t\u00a0", "t"), ("t\u200bx", "tx"), ("\ufefft", "t")]
)
def test_ids_that_look_alike_are_two_and_said(path, pair):
    table = read(path, "user,item\n" + "".join(f"a,{each}\n" for each in (*pair, "z")))
    assert len(table.item_ids) == 3
    assert ascii(min(pair)) in only(table, "1 id of column 'item' differs from another in case")
    assert read(path, "user,item\na,Tea\na,coffee\n").warnings == []


def test_ids_that_look_alike_where_each_has_several_spellings(path):
    ids = ("a", "a ", "A", "A ", "b")
    content = "user,item\n" + "".join(f"u,{each}\n" for each in ids)
    table = read(path, content, id_spelling=id_spelling.KEEP)
    assert len(table.item_ids) == 5
    assert "such as 'A', 'a';" in only(table, "1 id of column 'item' differs from another in case")


def test_places_take_the_exact_spelling_first():
    assert id_spelling.places(["7", "7.0", "8"], ["7.0", "7", " 8", "9"]).tolist() == [1, 0, 2, -1]
    assert id_spelling.places(["7.0", "7."], ["7"]).tolist() == [-1]  # which, cannot be known
    assert id_spelling.places(["7"], ["7.0"], id_spelling.KEEP).tolist() == [-1]
    assert id_spelling.places([], ["7"]).tolist() == [-1]


# Likes


def test_a_rating_that_is_not_used_is_said(path):
    table = read(path, "user,item,stars\na,x,2\nb,x,4.5\n")
    only(table, "all rows count as likes", "'stars' (2 to 4.5)", "--min-rating X")
    assert table.columns == {"user": "user", "item": "item"}
    assert read(path, "user,item,stars\na,x,1\nb,x,1\n").warnings == []
    assert read(path, "user,item,stars\na,x,2\nb,x,4\n", ("rating",), min_rating=3.0).warnings == []


@pytest.mark.parametrize(
    ("values", "kept", "says"),
    [
        ("-1 1 1", "bc", "1 row is 0 or less"),
        ("0 1 1", "bc", "1 row is 0 or less"),
        ("-1 0 1", "c", "2 rows are 0 or less"),
        ("-3 0 5", "bc", "1 row is negative"),
        ("false true True", "bc", "1 row is 0 or less"),
        (" 0 1", "ac", "1 row is 0 or less"),  # one without a rating stays
    ],
)
def test_dislikes_are_no_likes(path, values, kept, says):
    rows = "".join(f"{u},x,{v}\n" for u, v in zip("abc", values.split(" "), strict=True))
    table = read(path, "user,item,rating\n" + rows)
    assert "".join(table.user_ids) == kept
    only(table, says, "'rating'", "--min-rating")
    assert table.counts["rated as likes"] == len(kept)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        *(("Book-Rating", True), ("ratings", True), ("review_score", True), ("user_rating", True)),
        *(("is_purchased", True), ("Target", True), ("watch_ratio", True), ("vote", True)),
        *(("rating_count", False), ("average_rating", False), ("reordered", False)),
    ],
)
def test_what_else_may_be_a_rating(path, name, found):
    table = read(path, f"{name},user,item\n4,a,x\n0,b,x\n")
    (said,) = table.warnings
    assert (f"whatever is in column '{name}' (0 to 4)" in said) == found
    assert (f"columns that are not used (1): '{name}'" in said) != found
    table = read(path, f"{name},user,item\n1,a,x\n0,b,x\n")
    assert table.user_ids == (("a",) if found else ("a", "b"))


def test_an_event_that_is_called_like_a_rating_shows_no_header(path):
    assert "looks like data" in refusal(path, "7,12,watched\n8,11,bought\n9,13,watched\n")


def test_columns_that_are_not_used_are_said_once(tmp_path):
    path = tmp_path / "t.csv"
    table = read(path, "user,item,ip,agent\na,x,1,2\n")
    only(table, "not used (2): 'ip', 'agent';", "--rating-column", "--events", "--time-column")
    assert read(path, "user,item,rating\na,x,1\n").warnings == []
    numbers = {"user": "3", "item": "1"}
    table = read(path, "x:a:u:5\ny::v:4\n", numbers, header=False, separator=":")
    only(table, "not used (2): 2 = 'a', 4 = '5';")
    table = read(path, "x::u\n", numbers, header=False, separator=":")
    assert table.warnings == []
    lines = tmp_path / "t.jsonl"
    table = read(lines, '{"user": "a", "item": "x", "response": {"code": 1}}\n')
    only(table, "not used (1): 'response'")
    files = {name: tmp_path / f"{name}.csv" for name in ("train", "test")}
    for file in files.values():
        file.write_text("user,item,ip\na,x,1\n")
    only(interactions.read(files, {"user": None, "item": None}), "not used (1): 'ip'")


def test_rows_without_a_rating_are_counted(path):
    words = ["NA", "null", "None", "\\N", "nan", ""]
    rows = "".join(f"u{n},x,{word}\n" for n, word in enumerate(words))
    content = f"user,item,rating\na,x,5\nb,x,2\n{rows}"
    table = read(path, content, ("rating",), min_rating=3.0)
    assert table.user_ids == ("a",)
    only(table, "6 rows have no rating in column 'rating'", "--min-rating")
    table = read(path, content)
    assert len(table.user_ids) == 8
    only(table, "all rows count as likes", "(2 to 5)")


def test_negative_ratings_can_be_asked_for(path):
    content = "user,item,rating\na,x,-2\nb,x,3\n"
    assert len(pairs(read(path, content, ("rating",), min_rating=-5.0))) == 2


def test_boolean_ratings_of_parquet(tmp_path, monkeypatch):
    no_trial(monkeypatch)
    path = tmp_path / "t.parquet"
    pl.DataFrame({"user": ["a", "b"], "item": ["x"] * 2, "is_like": [True, False]}).write_parquet(
        path
    )
    assert read(path).user_ids == ("a",)


def test_events_are_said_and_chosen(path):
    content = "user,item,behavior\na,x,view\nb,x,view\nb,y,cart\nc,x, buy \n"
    table = read(path, content)
    assert len(pairs(table)) == 4
    only(table, "'behavior' ('view' 2,", "'buy' 1", "--events")
    table = read(path, content, ("event",), events=("cart", "buy"))
    assert pairs(table) == [("b", "y"), ("c", "x")]
    assert table.counts["with cart or buy"] == 2
    assert table.warnings == []
    said = refusal(path, content, ("event",), events=("sold",))
    assert "'behavior' has no 'sold'; it has 'view' 2" in said


def test_events_that_deny_are_no_likes(path):
    content = "user,item,action\na,x,like\nb,x,dislike\nc,x,remove_from_cart\n"
    table = read(path, content)
    assert table.user_ids == ("a", "c")
    only(table, "1 row with 'dislike'", "was left out", "--events")
    assert read(path, content, ("event",), events=("dislike",)).user_ids == ("b",)


def test_ratings_in_words_are_said(path):
    table = read(path, "user,item,rating\na,x,good\nb,x,bad\n")
    only(table, "'rating' is not used ('", "'good' 1", "--events and --event-column")


RERATED = "user,item,rating,time\na,x,5,1\na,x,2,9\na,y,1,1\na,y,4,2\na,z,5,1\n"


def test_a_pair_rated_again(path):
    table = read(path, RERATED, ("rating",), min_rating=4.0)
    assert [item for _, item in pairs(table)] == ["x", "y", "z"]
    only(table, "2 pairs have a rating that counts and one that does not", "--rating-of latest")
    table = read(path, RERATED, ("rating", "time"), min_rating=4.0, rating_of="latest")
    assert [item for _, item in pairs(table)] == ["y", "z"]
    assert table.times.tolist() == [2, 1]
    assert table.warnings == []


def test_the_latest_rating_without_times_is_the_last_row(path):
    table = read(path, "user,item,rating\na,x,5\na,x,1\na,y,1\na,y,5\n", ("rating",),
                 min_rating=4.0, rating_of="latest")  # fmt: skip
    assert [item for _, item in pairs(table)] == ["y"]
    only(table, "the later row counts as the latest")


# Times

DAY = 86400
START = 1_300_000_000


def in_order(path, values):
    """Whether the items come in the order of the lines, and the table."""
    rows = "".join(f"a,{place:02},{value}\n" for place, value in enumerate(values))
    table = read(path, "user,item,time\n" + rows, ("time",))
    return np.argsort(table.times, kind="stable").tolist() == list(range(len(values))), table


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ([START, (START + 5) * 1000, START + 9], "2 in seconds, 1 in milliseconds"),
        ([START * 10**6, START + 5, (START + 9) * 10**9], "1 in microseconds, 1 in nanoseconds"),
        ([f"{START}.5", (START + 1) * 1000, f"{START + 2}.25"], "2 in seconds"),
        ([START, "2015-01-01", (START + 9 * 10**8 // 4) * 1000], "1 other"),
        (["2009-02-03T04:05:06Z", START], "1 in seconds, 1 other"),
    ],
)
def test_units_that_are_mixed_are_converted(path, values, kinds):
    ordered, table = in_order(path, values)
    assert ordered
    assert kinds in only(table, "times of several kinds", "converted")


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_one_unit_stays(path, scale):
    ordered, table = in_order(path, [START * scale, (START + DAY) * scale])
    assert ordered
    assert table.times.tolist() == [START * scale, (START + DAY) * scale]
    assert table.warnings == []


def test_other_numbers_are_not_taken_for_times_of_day(path):
    for values in ([1, 2, 30], [20140703, 20140705], [2013, 2014]):
        ordered, table = in_order(path, values)
        assert (ordered, table.warnings) == (True, [])


def test_dates_in_several_forms(path):
    values = ["2010-01-01", "2010-01-01 10:00", "2010/1/2", "2010-01-03T01:00:00.5",
              "2010-01-03 02:00:00 UTC", "2010-01-03T05:00:00+02:00"]  # fmt: skip
    ordered, table = in_order(path, values)
    assert ordered
    only(table, "4 dates without a time zone among others", "UTC")


def test_dates_and_times_of_parquet_have_one_unit(tmp_path, monkeypatch):
    no_trial(monkeypatch)
    path = tmp_path / "t.parquet"
    days = [datetime.datetime(2020, 1, day) for day in (1, 2)]
    for unit in ("ms", "us", "ns"):
        times = pl.Series(days, dtype=pl.Datetime(unit)).dt.replace_time_zone("Asia/Tokyo")
        pl.DataFrame({"user": ["a"] * 2, "item": ["x", "y"], "time": times}).write_parquet(path)
        table = read(path, columns=("time",))
        assert table.times.tolist() == [
            (18261 + n) * DAY * 10**6 - 9 * 3600 * 10**6 for n in (1, 2)
        ]


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (0, "1 at the start of 1970 or before"),
        (-5, "1 at the start of 1970 or before"),
        (9 * 10**9, "1 in the future"),
    ],
)
def test_times_that_may_be_none_are_said(path, odd, says):
    _, table = in_order(path, [START, START + 1, odd])
    only(table, says)
    _, table = in_order(path, [1, 2, max(odd, 3)])  # these are no seconds since 1970
    assert table.warnings == []


def ties(table, path, last=True):
    return table_times.said_of_ties(path, table.users, table.times, last)


def test_equal_times_and_ties_are_said(path):
    content = "user,item,time\na,x,5\na,y,5\nb,x,5\n"
    (said,) = ties(read(path, content, ("time",)), path)
    assert "all times are the same, so that the order of rows decides" in said
    content = "user,item,time\na,x,5\na,y,5\na,z,4\nb,x,5\nb,y,6\nc,x,1\n"
    (said,) = ties(read(path, content, ("time",)), path)
    assert "1 of 3 users has several pairs at the last time" in said
    assert ties(read(path, columns=("time",)), path, last=False) == []
    assert table_times.ties(np.array([0, 1, 1]), np.array([3, 3, 4])) == 0


# Quotes


def test_line_breaks_in_quotes_are_no_lost_rows(path):
    file = io.StringIO()
    rows = [[f"u{n % 7}", f"i{n}", "so, so\ngood, he said, twice\n\n" * (n % 3)] for n in range(40)]
    csv.writer(file).writerows([["user_id", "item_id", "review"], *rows])
    table = read(path, file.getvalue())
    assert len(pairs(table)) == 40
    (unused,) = table.warnings
    assert "columns that are not used (1): 'review'" in unused
    file = io.StringIO()
    csv.writer(file).writerows([["review", "user_id", "item_id"], *[row[::-1] for row in rows]])
    table = read(path, file.getvalue(), {"user": "item_id", "item": "user_id"})
    assert len(pairs(table)) == 40
    (unused,) = table.warnings
    assert "columns that are not used (1): 'review'" in unused


def test_a_stray_quote_is_still_noticed(path):
    rows = [f"u{n},i{n},t{n}" for n in range(20)]
    rows[3], rows[9] = 'u3,i3,"open', 'u9,i9,6"'
    table = read(path, "user,item,title\n" + "\n".join(rows) + "\n")
    assert len(pairs(table)) == 14
    only(table, "6 lines within quotes look like rows")


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 20])
def test_rows_are_counted_whatever_the_chunks(path, monkeypatch, chunk):
    monkeypatch.setattr(text_rows, "_CHUNK", chunk)
    path.write_bytes(b'a,b\n1,"x\ny,""z\n"\n2,w\n"q\nr",s')
    assert text_rows.count(path, quoted=True) == (4, [b'y,""z', b'"'])
    assert text_rows.count(path, quoted=False) == (7, [])


# JSON lines, and packed files

OBJECTS = [
    {"reviewer": {"x": [1]}, "user_id": "a", "item_id": 12, "overall": 5.0, "unixReviewTime": 7},
    {"user_id": "a", "item_id": "12.0", "unixReviewTime": 5, "more": None},
    {"item_id": True, "user_id": 3.50, "unixReviewTime": 6},
    {"user_id": None, "item_id": "x", "unixReviewTime": 1},
    {"item_id": "x"},
]
EXPECTED = [("3.5", "1"), ("a", "12"), ("a", "12.0")]


def dumped(form):
    if form == "lines":
        return "".join(json.dumps(each) + "\n" for each in OBJECTS).encode()
    return json.dumps(OBJECTS, indent=form).encode()


@pytest.mark.parametrize("form", ["lines", None, 1])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.ndjson", "t.data", "t.json.gz"])
def test_json(tmp_path, form, bom, name):
    content = bom + dumped(form)
    content = gzip.compress(content) if name.endswith(".gz") else content
    table = read(tmp_path / name, content, ("time",), id_spelling="keep")
    assert pairs(table) == EXPECTED
    assert table.times.tolist() == [6, 7, 5]
    assert table.columns == {"user": "user_id", "item": "item_id", "time": "unixReviewTime"}
    only(table, "2 rows without a user or an item")


def test_a_list_that_is_read_in_many_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "MAX_VALUE", 60)
    rows = [{"user": f"u{n}", "item": "\u00e9" * (n % 9)} for n in range(1, 300)]
    path = tmp_path / "t.json"
    for indent in (None, 2):
        content = json.dumps(rows, indent=indent, ensure_ascii=False)
        assert len(pairs(read(path, content))) == len([row for row in rows if row["item"]])
    rows[200]["item"] = "x" * 500
    assert "is no list of JSON objects" in refusal(path, json.dumps(rows))


def test_columns_that_only_some_objects_have(tmp_path):
    rows = [
        {"user": f"u{n}", "item": "x"} | ({"stars": n % 5} if n % 7 == 3 else {}) for n in range(90)
    ]
    table = read(
        tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)), ("rating",), min_rating=3.0
    )
    assert len(pairs(table)) == sum(n % 7 == 3 and n % 5 >= 3 for n in range(90))


def test_a_bad_line_among_many_is_left_out(tmp_path):
    lines = [json.dumps({"user": f"u{n}", "item": "x"}) for n in range(200)]
    for bad in ("{broken", "7", "[1]", '{"user": "\udcff"}', "[" * 99_999, '{"a": ' + "9" * 9999):
        content = "\n".join([*lines[:50], bad, *lines[50:]])
        table = read(tmp_path / "t.jsonl", content.encode("utf-8", "surrogateescape"))
        assert len(pairs(table)) == 200
        only(table, "1 line that is no JSON object, the first is line 51 (", "was left out")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no JSON object"),
        (b"[]", "holds no JSON object"),
        (b"{}\n{}\n", "holds no JSON object"),
        (b"{'user': 'a', 'item': 'x'}\n" * 9, "Python's quotes and no JSON"),
        (b'{"user": "a", "item": "x"}\n{\n', "1 line that is no JSON object"),
        (b'{"user": "' + b"y" * (1 << 20) + b'"}\n', "line 1 has more than 1048576 bytes"),
        (b'{"user": {"id": 3}, "item": "x"}\n', "'user' holds an object where one value"),
        (b'{"user": [3], "item": "x"}\n', "'user' holds a list where one value"),
        (b'[{"user": "a", "item": "x"}', "is no list of JSON objects"),
        (b'[{"user": "a", "item": "x"} {"user": "b"}]', "is no list of JSON objects"),
        (b'[1, 2]', "is no list of JSON objects"),
        (b"[" * 200_000, "is no list of JSON objects"),
        (b'[{"user": "\xff"}]', "is no list of JSON objects"),
        (b'{"user": "a", "item": "\\ud83d"}\n', "half a character"),
        (b'{"user": "a", "thing": "x"}\n', "no column that looks like the item"),
        (json.dumps({f"k{n}": 1 for n in range(1500)}).encode(), "more than 1000 keys"),
        (b'{"user": "a\\u0000", "item": "x"}\n', "has the id 'a\\x00'"),
    ],
)  # fmt: skip
def test_json_that_is_refused(tmp_path, content, says):
    assert says in refusal(tmp_path / "t.json", content)
    assert says in refusal(tmp_path / "t.json.gz", gzip.compress(content))


def test_options_that_json_does_not_have(tmp_path):
    content = '{"user": "a", "item": "x"}\n'
    assert "JSON, whose values have names" in refusal(tmp_path / "t.json", content, separator=",")
    assert "leave out --separator" in refusal(tmp_path / "t.json", content, header=False)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "data"])
def test_packed_text(tmp_path, suffix):
    separator = "," if suffix == "csv" else "\t"
    content = f"user{separator}item\na{separator}x\nb{separator}y\n".encode()
    path = tmp_path / f"t.{suffix}.gz"
    table = read(path, gzip.compress(content[:9]) + gzip.compress(content[9:]))
    assert pairs(table) == [("a", "x"), ("b", "y")]
    assert "is cut off or damaged" in refusal(path, gzip.compress(content)[:-9])
    assert "no column that looks like the user" in refusal(path, gzip.compress(b"who\na\n"))


@pytest.mark.parametrize("name", ["t.csv.gz", "t.jsonl.gz"])
def test_packed_files_have_a_bound(tmp_path, monkeypatch, name):
    monkeypatch.setattr(unpacked, "SMALL", 1 << 20)
    line = b'{"user": "a", "item": "x"}\n' if "json" in name else b"user,item\n"
    said = refusal(tmp_path / name, gzip.compress(line * 200_000))
    assert "unpacks to more than" in said
    assert "MB, 100 times its size or more" in said


# Titles


def test_titles_of_a_column(path):
    content = 'user,item,movie_title\na,x,"Up\tand\naway"\nb,x,Up and away\nc,x,Other\na,y,\n'
    table = read(path, content, ("title",))
    assert table.titles == ("Up and away", "")
    only(table, "1 item has several titles in column 'movie_title'")
    assert read(path, "user,item,title\na,x,X\nb,x,X\na,y,Y\n").titles == ("X", "Y")
    assert read(path, "user,item\na,x\n").titles is None


def test_half_a_character_in_a_title_is_replaced(tmp_path):
    content = '{"user": "a", "item": "x", "title": "So \\ud83d"}\n'
    assert read(tmp_path / "t.jsonl", content).titles == ("So ?",)


def test_titles_of_reviews_are_not_the_items(path):
    content = "user,item,title\n" + "".join(f"u{n},i{n % 9},Opinion {n}\n" for n in range(90))
    table = read(path, content)
    assert table.titles is None
    only(table, "'title' differs within 9 of 9 items", "--title-column")
    assert read(path, content, ("title",)).titles[0] == "Opinion 0"


def test_titles_follow_ids_that_are_joined(path):
    table = read(path, "user,item,title\na,7.0,Seven\nb,7,Seven\n")
    assert (table.item_ids, table.titles) == (("7",), ("Seven",))


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    said = refusal(tmp_path / "t.csv.gz", gzip.compress(b"user,item\na,x\n"))
    assert "(No space left on device); unpack it yourself, or set TMPDIR" in said


# Through the command


def imported(tmp_path, *flags):
    """What `import` writes of t.csv: the data set."""
    paths = [str(tmp_path / "t.csv"), "--to", str(tmp_path / "out")]
    mmssl("data", "import", *paths, "--k-core", "0", "--overwrite", *map(str, flags))
    return load(str(tmp_path / "out"), "none")


TABLE = "user_id,item_id,rating,action,time,title\n" + "".join(
    f"u{user},{item}{'.0' if user % 2 else ''},{(user + item) % 5 - 1},"
    f"{'view' if user % 3 else 'None'},{user + item},T {item}\n"
    for user in range(6)
    for item in range(9)
)


@pytest.fixture(name="table")
def _table(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    return tmp_path


def test_names_in_messages_are_readable_and_do_not_steer_a_terminal(tmp_path):
    (tmp_path / "t.csv").write_text("K\u00e4ufer,\u5546\u54c1,a\x1b[2J\u202eb\n1,2,3\n")
    with pytest.raises(InputError) as caught:
        imported(tmp_path, "--user-column", "k\u00e4ufer")
    assert "one of 'K\u00e4ufer', '\u5546\u54c1', 'a\\x1b[2J\\u202eb'" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *("created_at", "order_date", "Purchase Date", "date", "datetime", "InvoiceDate"),
        *("purchased-at", "reviewTime", "transaction_date", "event_timestamp"),
    ],
)
def test_columns_of_times_go_by_many_names(tmp_path, name):
    rows = [f"u{user},i{item},{100 * user + item}" for user in range(6) for item in range(9)]
    (tmp_path / "t.csv").write_text("\n".join([f"user_id,item_id,{name}", *rows]) + "\n")
    data = imported(tmp_path, "--split", "leave-last")
    assert {data.item_ids[item] for item in data.test.indices} == {"i8"}


def test_a_column_that_only_one_split_has_is_no_hindrance(tmp_path):
    parts = {"train": "user,item,rating\na,x,1\na,y,-1\n", "test": "user,item\nb,x\n"}
    paths = {split: tmp_path / f"{split}.csv" for split in parts}
    for split, path in paths.items():
        path.write_text(parts[split])
    table = interactions.read(paths, {"user": None, "item": None})
    assert pairs(table) == [("a", "x"), ("a", "y"), ("b", "x")]
    paths["test"].write_text("user,item,rating\nb,x,1\n")
    assert pairs(interactions.read(paths, {"user": None, "item": None})) == [("a", "x"), ("b", "x")]


def test_times_of_other_kinds_in_each_split_are_joined(tmp_path, monkeypatch):
    no_trial(monkeypatch)
    day = datetime.datetime(2020, 1, 1)
    berlin = datetime.timezone(datetime.timedelta(hours=1))
    kinds = [
        1577836800,  # the same day in seconds
        1577836800.0,
        day,
        day.date(),
        "2020-01-01",
        day.replace(tzinfo=datetime.UTC),
        day.replace(hour=1, tzinfo=berlin),
    ]
    for one, other in itertools.combinations(kinds, 2):
        paths = {split: tmp_path / f"{split}.parquet" for split in ("train", "test")}
        for item, (path, time) in enumerate(zip(paths.values(), (one, other), strict=True)):
            pl.DataFrame({"user": ["a"], "item": [f"{item}"], "time": [time]}).write_parquet(path)
        table = interactions.read(paths, {"user": None, "item": None, "time": None}, k_core=0)
        assert np.ptp(table.times) == 0, (one, other)


def test_a_packed_table_names_the_data_set(table):
    (table / "rated.csv.gz").write_bytes(gzip.compress(TABLE.encode()))
    mmssl(
        "data", "import", str(table / "rated.csv.gz"), "--to", str(table / "out"), "--k-core", "0"
    )
    assert load(str(table / "out"), "none").name == "rated"


def test_options_reach_the_reader(table, capsys):
    data = imported(table)
    assert data.item_ids == tuple(map(str, range(9)))
    assert data.item_titles == tuple(f"T {item}" for item in range(9))
    assert "--id-spelling keep leaves them" in capsys.readouterr().out
    assert len(imported(table, "--id-spelling", "keep").item_ids) == 18
    assert imported(table, "--events", "view").num_users == 4
    assert imported(table, "--event-column", "ACTION").num_users == 6
    data = imported(table, "--rating-of", "latest", "--min-rating", "1", "--title-column", "action")
    assert data.num_users == 6
    assert set(data.item_titles) == {"view"}
    source = json.loads((table / "out" / "dataset.json").read_text())["source"]
    assert source["rating_of"] == "latest"
    assert source["min_rating"] == 1
    assert source["columns"]["title"] == "action"


@pytest.mark.parametrize("split", ["leave-last", "by-time"])
def test_times_reach_the_report(table, capsys, split):
    flags = ["--dry-run", "--k-core", "0", "--split", split]
    mmssl("data", "import", str(table / "t.csv"), *flags)
    assert "several pairs at their last time" not in capsys.readouterr().out
    (table / "t.csv").write_text(TABLE.replace(",8,T", ",9,T"))
    mmssl("data", "import", str(table / "t.csv"), *flags)
    shown = "several pairs at their last time" in capsys.readouterr().out
    assert shown == (split == "leave-last")


def test_null_ids_by_option(table):
    (table / "t.csv").write_text(TABLE.replace("u1,", "NULL,"))
    assert "NULL" not in imported(table).user_ids
    assert "NULL" in imported(table, "--null-ids", "keep").user_ids
    assert json.loads((table / "out" / "dataset.json").read_text())["source"]["null_ids"] == "keep"


@pytest.mark.parametrize("name", ["i.csv", "i.jsonl", "i.tsv.gz", "i.dat"])
def test_titles_of_another_file(table, capsys, name):
    titles = [(f" {item}.0", f"Film {item}\u2028 again") for item in range(3, 12)]
    path, flags = table / name, []
    match name:
        case "i.csv":
            path.write_text("item_id,year,name\n" + "".join(f'{i},7,"{t}"\n' for i, t in titles))
        case "i.jsonl":
            path.write_text("".join(json.dumps({"asin": i, "title": t}) + "\n" for i, t in titles))
        case "i.tsv.gz":
            content = "asin\tname\n" + "".join(f"{i}\t{t}\n" for i, t in titles)
            path.write_bytes(gzip.compress(content.encode()))
        case "i.dat":
            path.write_text("".join(f"{i}\t7\t{t}\n" for i, t in titles))
            flags = ["--title-column", "3"]
    data = imported(table, "--items", path, *flags)
    assert data.item_titles == ("", "", "", *(f"Film {item} again" for item in range(3, 9)))
    said = capsys.readouterr().out
    assert "gives the titles of 6 of 9 items" in said
    assert (
        json.loads((table / "out" / "dataset.json").read_text())["source"]["items"]["file"] == name
    )
    first = (table / "out" / "items.tsv").read_bytes()
    mmssl(
        "data",
        "import",
        str(table / "out"),
        "--to",
        str(table / "two"),
        "--items",
        str(path),
        *flags,
    )
    assert (table / "two" / "items.tsv").read_bytes() == first


def test_titles_of_an_item_in_several_spellings(table, capsys):
    rows = ["1,One", "1.0,Other", "2.0,Two", " 3,Three", "3.0,Three?", *(f"{n},T" for n in "45678")]
    (table / "i.csv").write_text("item_id,name\n" + "\n".join(rows) + "\n")
    data = imported(table, "--items", table / "i.csv")
    # The same spelling first; of two others, which one cannot be known.
    assert data.item_titles == ("", "One", "Two", "", *"TTTTT")
    said = " ".join(capsys.readouterr().out.split())
    assert "i.csv: spells 1 item in another way, such as '2.0' for '2'" in said
    assert "gives the titles of 7 of 9 items" in said


def test_titles_that_cannot_be_had(table):
    (table / "i.csv").write_text("item_id,name\nx,X\n")
    with pytest.raises(InputError, match="has no item of"):
        imported(table, "--items", table / "i.csv")
    (table / "i.csv").write_text("item_id,note\n3,X\n")
    with pytest.raises(InputError, match="no column that looks like the title"):
        imported(table, "--items", table / "i.csv")
    imported(table)
    with pytest.raises(InputError, match="--title-column needs --items"):
        mmssl("data", "import", str(table / "out"), "--dry-run", "--title-column", "name")


@pytest.mark.parametrize("spelling", ["join", "keep"])
def test_the_order_of_features_goes_by_the_same_spelling(table, spelling, capsys):
    values = np.arange(18, dtype=np.float32).reshape(9, 2) + 1
    np.save(table / "f.npy", values)
    (table / "order.txt").write_text("".join(f"{item}.0 \n" for item in range(8, -1, -1)))
    flags = ["--modality", f"text={table / 'f.npy'}", "--item-order", table / "order.txt"]
    (table / "t.csv").write_text(TABLE.replace(".0,", ","))
    if spelling == "keep":
        with pytest.raises(InputError, match="has no item of"):
            imported(table, *flags, "--id-spelling", "keep")
        return
    imported(table, *flags)
    said = capsys.readouterr().out
    np.testing.assert_array_equal(np.load(table / "out" / "text_feat.npy"), values[::-1])
    assert "spells 9 items in another way, such as '0.0 ' for '0'" in said
