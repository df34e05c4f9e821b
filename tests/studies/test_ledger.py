"""The ledger: tables in documents from the JSON of comparisons, and nothing else touched."""

import json
import pathlib

import pytest
from worlds import ROOT, code_of

RUN = {"cores": 2, "device": "cpu", "commit": "abc", "version/jax": "0.10.2"}


def row(name: str, recall: float, sd: float | None, p: float | None) -> dict:
    return {
        "model": name,
        "seeds": [1, 2],
        "val/recall@20": 0.1,
        "val/recall@20/sd": sd,
        "test/recall@20": recall,
        "test/recall@20/sd": sd,
        "test/ndcg@20": 0.04,
        "test/ndcg@20/sd": None,
        "recall@20/t_test_p": p,
        "against": "one",
        "test_users": 30,
        "seconds": 12.4,
        "best_epochs": [3, 5],
        "errors": [],
    }


@pytest.fixture(name="document")
def _document(tmp_path):
    content = {
        "command": "python -m mmssl_jax.compare --config configs/x.py",
        "data": "GENERATED data 'x'",
        "modalities": ["image"],
        "models": [row("one", 0.0921, 0.00149, None), row("two, b", 0.08, None, 2e-5)],
        "runs": {"one": [RUN, RUN], "two, b": [RUN | {"commit": "def"}]},
    }
    (tmp_path / "results").mkdir()
    (tmp_path / "results/a.json").write_text(json.dumps(content))
    (tmp_path / "results/p.json").write_text(
        json.dumps({"source": "a paper.", "models": {"one": [0.1, 0.05]}})
    )
    return tmp_path / "doc.md"


def run(*arguments: str) -> int:
    return code_of(["ledger", *map(str, arguments)])


def test_a_block_is_written_anew_and_the_rest_stays(document):
    document.write_text(
        "# T\n\nbefore\n\n<!-- results/a.json -->\nold\n<!-- end -->\n\nafter\n<!-- other -->\n"
    )
    assert run(document) == 0
    text = document.read_text()
    assert text.startswith("# T\n\nbefore\n\n<!-- results/a.json -->\n\n    mmssl comp")
    assert text.endswith("<!-- end -->\n\nafter\n<!-- other -->\n")
    assert "old" not in text
    one, two = (line for line in text.splitlines() if line.startswith(("| one", "| two")))
    assert one == "| one | 2 | .1000 ± .0015 | .0921 ± .0015 | .0400 | - | 3 5 | 12 |"
    assert two == "| two, b | 2 | .1000 | .0800 | .0400 | <.0001 | 3 5 | 12 |"
    assert "GENERATED data 'x', modalities: image; commit abc, def; 2 cores of cpu" in text
    assert "t-test against one over 30 users, each" in text
    assert run(document) == 0
    assert document.read_text() == text
    assert run("--check", document) == 0


def test_rows_can_be_chosen_and_published_scores_stand_beside(document):
    document.write_text(
        "<!-- results/a.json beside results/p.json: two, b; one -->\n<!-- end -->\n"
        "<!-- results/a.json: one -->\n<!-- end -->\n"
    )
    assert run(document) == 0
    lines = [line for line in document.read_text().splitlines() if line.startswith("| ")]
    names = [line.split(" | ")[0] for line in lines]
    assert [name for name in names if name in ("| two, b", "| one")] == [
        "| two, b",
        "| one",
        "| one",
    ]
    assert lines[2].endswith("| 12 | - |")
    assert lines[3].endswith("| 12 | .1000 / .0500 |")
    assert "Published: a paper." in document.read_text()


def test_a_stale_table_fails_the_check(document, capsys):
    text = "<!-- results/a.json -->\nstale\n<!-- end -->\n"
    document.write_text(text)
    assert run("--check", document) == 2
    assert "a table is not what its JSON gives" in capsys.readouterr().err
    assert document.read_text() == text


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("results/none.json", "cannot read"),
        ("results/p.json", "is no compare.json"),
        ("results/a.json: three", "has no row 'three'"),
    ],
)
def test_a_block_that_cannot_be_written(document, capsys, block, problem):
    text = f"<!-- {block} -->\n<!-- end -->\n"
    document.write_text(text)
    assert run(document) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1
    assert document.read_text() == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n<!-- results/a.json -->\nno end\n", 2),
        ("<!-- results/a.json -->\n<!-- results/a.json -->\n<!-- end -->\n", 2),
        ("<!-- results/a.json --> \n<!-- end -->\n", 1),
        ("<!-- results/a.json -->\n<!-- end --> \n", 1),
        ("<!-- results/a.json -->\r\n<!-- end -->\r\n", 1),
    ],
)
def test_a_block_that_does_not_end(document, capsys, text, line):
    document.write_bytes(text.encode())
    for check in ((), ("--check",)):
        assert run(*check, document) == 2
        assert f"line {line} of the document" in capsys.readouterr().err
    assert document.read_bytes() == text.encode()


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"models": [{"model": 3}]}', '{"source": "x"}', '{"models": {"one": ["x"]}}'],
)
@pytest.mark.parametrize("block", ["results/bad.json", "results/a.json beside results/bad.json"])
def test_files_that_are_no_results(document, capsys, content, block):
    (document.parent / "results/bad.json").write_text(content)
    document.write_text(f"<!-- {block} -->\n<!-- end -->\n")
    assert run(document) == 2
    error = capsys.readouterr().err
    assert "results/bad.json" in error
    assert error.count("\n") == 1


def test_a_score_that_is_text(document, capsys):
    path = document.parent / "results/a.json"
    path.write_text(path.read_text().replace('"seconds": 12.4', '"seconds": "12.4"'))
    document.write_text("<!-- results/a.json -->\n<!-- end -->\n")
    assert run(document) == 2
    assert "is no compare.json" in capsys.readouterr().err


def test_the_tables_of_this_project_are_what_their_json_gives():
    documents = sorted(pathlib.Path(ROOT / "docs").glob("*.md"))
    starts = [line for each in documents for line in each.read_text().splitlines()]
    assert any(line.startswith("<!-- results/") for line in starts)
    assert run("--check", *documents) == 0  # which refuses such a line without a block
