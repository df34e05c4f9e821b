"""The documents: links lead somewhere, drawings are current, each library has its one home."""

import ast
import pathlib
import re
import runpy

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")

# CONTRIBUTING.md: the module of a library -> the only files of the package that import it.
HOMES = {
    "click": "commands/",
    "optax": "training/",
    "orbax": "runs/checkpoints.py",
    "optuna": "studies/tune",
    "sentence_transformers": "data/encoding/encoders.py",
    "jax.experimental.sparse": "graphs/",
}


def anchors(document: pathlib.Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in map("".join, LINK.findall(document.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), f"{document.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{document.name}: {link}"


def imported(file: pathlib.Path) -> set[str]:
    """The modules that a file imports, and the names that it takes from them, dotted."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("library", HOMES)
def test_a_library_has_one_home(library):
    package = ROOT / "mmssl_jax"
    users = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if any(f"{name}.".startswith(f"{library}.") for name in imported(file))
    }
    assert users
    assert {user for user in users if not user.startswith(HOMES[library])} == set()


def test_the_drawings_are_what_the_script_draws():
    script = runpy.run_path(str(ROOT / "docs/diagram.py"))
    for name, theme in script["THEMES"].items():
        drawn = (ROOT / f"docs/model-{name}.svg").read_text(encoding="utf-8")
        assert drawn == script["drawing"](theme), "run python docs/diagram.py"
