"""The documents: links, drawings, the one home of each library, and words that are retired."""

import ast
import pathlib
import re
import runpy
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# The rows of CONTRIBUTING.md's table of words: those that are retired, and what to use instead.
RETIRED = {
    word: instead
    for words, instead in re.findall(
        r"^\| (.+?) \| (.+?) \|$",
        (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("| retired |")[2],
        re.MULTILINE,
    )
    for word in words.replace("`", "").split(", ")
    if word != "---"
}
SECURITY = ROOT / "SECURITY.md"
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")

# CONTRIBUTING.md: the module of a library -> the only files of the package that import it.
HOMES = {
    "click": "commands/",
    "optax": "training/",
    "orbax": "runs/",
    "optuna": "studies/tune",
    "altair": "reporting/",
    "jinja2": "reporting/page.py",
    "vl_convert": "reporting/page.py",
    "tensorboard": "runs/trackers.py",
    "wandb": "runs/trackers.py",
    "mlflow": "runs/trackers.py",
    "sentence_transformers": "data/encoding/encoders.py",
    "jax.experimental.sparse": "graphs/",
    "fastapi": "serving/service/",
    "pydantic": "serving/service/bodies.py",
    "uvicorn": ("serving/service/server.py", "serving/service/connection.py"),
    "fastapi_offline": "serving/service/app.py",
    "prometheus_client": "serving/service/measures.py",
    "faiss": "serving/vector_index.py",
    "safetensors": "serving/export_files.py",
    "jax.export": "serving/scoring_export.py",
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


def words_of(text: str) -> str:
    """The words of a text, each parted from the next by one space, without a comment's marks."""
    return re.sub(r"[\s#]+", " ", text)


def test_retired_words_are_used_nowhere():
    assert len(RETIRED) > 10
    # A log of changes names what was; the golden files' documents are about other programs.
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.py")]
    for room in ("mmssl_jax", "configs", "tests", "benchmarks", "docs", "examples"):
        files += (ROOT / room).rglob("*.py")
    either = "|".join(f"(?i:{word})" if " " in word else re.escape(word) for word in RETIRED)
    retired = re.compile(rf"\b({either})s?\b")
    found = []
    for file in sorted({*files} - {ROOT / "CHANGELOG.md"}):
        text = file.read_text("utf-8")
        if file.name == "CONTRIBUTING.md":
            text = text.partition("| retired |")[0]
        for match in retired.finditer(words_of(text)):
            name = file.relative_to(ROOT).as_posix()
            found.append(
                f"{name}: {match[0]}; use {RETIRED.get(match[1]) or RETIRED[match[1].lower()]}"
            )
    assert found == []


def test_the_drawings_are_what_the_script_draws():
    script = runpy.run_path(str(ROOT / "docs/diagram.py"))
    for name, theme in script["THEMES"].items():
        drawn = (ROOT / f"docs/model-{name}.svg").read_text(encoding="utf-8")
        assert drawn == script["drawing"](theme), "run python docs/diagram.py"


def test_every_package_that_is_asked_for_is_listed_with_a_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    tools = {"cuda12", "cuda13", "docs", "dev", "fuzz", "test", "test-encode"}
    asked: dict[str, set[str]] = {}
    for extra, packages in ({"all": project["dependencies"]} | extras).items():
        for package in packages if extra not in tools else ():
            asked.setdefault(re.match(r"[\w-]+", package)[0], set()).add(extra)
    text = SECURITY.read_text("utf-8")
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| .+ \|$", text, re.MULTILINE)
    assert {name: set(extra.split(", ")) for name, extra in rows} == asked
