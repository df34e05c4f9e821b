"""Titles from item_attribute.csv, as the public folders of LLMRec have it."""

import pytest

from mmssl_jax.data.checks.findings import Findings
from mmssl_jax.data.layouts import attributes


def read(folder, content, num_items=3):
    """The table of items, and the warnings."""
    (folder / attributes.FILE).write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    findings = Findings()
    return attributes.read(folder, num_items, findings), [
        found.message for found in findings.listed
    ]


def titles(folder, content):
    table, warnings = read(folder, content)
    assert warnings == []
    assert [row[0] for row in table] == ["0", "1", "2"]
    return [row[2] for row in table]


@pytest.mark.parametrize(
    "content",
    [
        '0,2003,A\n1,1999,"B, or b"\n2,,C\n',  # Netflix
        "0,2003.0,A\n1,NULL,B, or b\n2,nan,C\n",
        "2,1990,C\n\n0,2003,A\n1,1999,B, or b",
        '0,A,Drama|War\n1,"B, or b",Drama\n2,C,War\n',  # MovieLens
        "0,A,Drama|War\r\n1,B, or b,Drama\r\n2,C,War\r\n",
        '\ufeff0,A\n1,"B, or b"\n2,C\n',
        "11,2003,A\n12,1999,B, or b\n17,1980,C\n",  # numbers of its own, a row for every item
    ],
)
def test_titles(tmp_path, content):
    assert titles(tmp_path, content) == ["A", "B, or b", "C"]


def test_raw_ids_are_kept(tmp_path):
    table, _ = read(tmp_path, "11,2003,A\n12,1999,B\n17,1980,C\n")
    assert [row[1] for row in table] == ["11", "12", "17"]


def test_items_without_a_title(tmp_path):
    assert titles(tmp_path, "2,2003,C\n0,1999,A\n") == ["A", "", "C"]


def test_what_would_break_a_line_or_steer_a_terminal_is_gone(tmp_path):
    content = '0,2003,"A\nb\tc"\n1,1999,\x1b[2JB\n2,1980,  C  \n'
    assert titles(tmp_path, content) == ["A b c", "[2JB", "C"]


def test_latin_1(tmp_path):
    assert titles(tmp_path, "0,2003,Amélie\n1,1999,B\n2,1980,C\n".encode("latin-1"))[0] == "Amélie"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("5,2003,A\n6,1999,B\n", "has 2 rows for 3 items"),
        ("", "has 0 rows for 3 items"),
        ("0,2003,A\n0,1999,B\n", "has 2 rows for 3 items"),
        ("0,2003," + "A" * 200_000, "cannot be read"),
    ],
)
def test_what_does_not_fit_is_only_warned_of(tmp_path, content, says):
    table, (warning,) = read(tmp_path, content)
    assert table is None
    assert says in warning
    assert str(tmp_path / attributes.FILE) in warning


def test_no_file(tmp_path):
    assert attributes.read(tmp_path, 3, Findings()) is None
