"""Makes a site of documents that are written for GitHub; mkdocs calls the functions here.

The documents stay as they are: links in them lead to files beside docs/ and to folders, which a
site has not. So each such file or folder becomes a page, with its text or its list of files, and
links to it lead there. README.md, CONTRIBUTING.md, CHANGELOG.md, SECURITY.md and the notebook are
pages of the menu, and so is the reference, which is made of the docstrings of the public names.
"""

import json
import posixpath
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, InclusionLevel

import mmssl_jax

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BESIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "examples/recommend.ipynb": "tutorials/recommend.md",
}
LINK = re.compile(r"(?P<start>\]\(|src=\"|srcset=\")(?P<target>[^)#\s\"]+)(?P<anchor>#[^)\s\"]*)?")
ELSEWHERE = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\bsrc(?:set)?=\"?https?:|<link[^>]*href=\"?https?:"
)
LANGUAGES = {".py": "python", ".yaml": "yaml", ".json": "json", ".sbatch": "bash", ".sh": "bash"}
FENCE = "`" * 4


def on_files(files, config):
    """Adds the pages that are not in docs/."""
    pages = {page: _text(ROOT / name) for name, page in BESIDE.items()}
    names = [name for name in mmssl_jax.__all__ if not name.startswith("_")]
    references = "\n\n".join(f"::: mmssl_jax.{name}" for name in names)
    pages["reference.md"] = f"# Reference\n\nThe public names of `mmssl_jax`.\n\n{references}\n"
    for document in [*DOCS.rglob("*.md"), *map(ROOT.joinpath, BESIDE)]:
        for match in LINK.finditer(_text(document)):
            target = _target(document, match["target"])
            if target is not None and (page := _page_of(target)).startswith("source/"):
                pages[page] = _source(target)
    for page, text in pages.items():
        linked = page.startswith("source/")
        inclusion = InclusionLevel.NOT_IN_NAV if linked else InclusionLevel.INCLUDED
        files.append(File.generated(config, page, content=text, inclusion=inclusion))
    return files


def on_page_markdown(markdown, page, config, files):
    """Leads the links of a document to pages."""
    beside = {made: ROOT / name for name, made in BESIDE.items()}
    document = beside.get(page.file.src_uri, DOCS / page.file.src_uri)
    folder = posixpath.dirname(page.file.src_uri)

    def lead(match):
        target = _target(document, match["target"])
        if target is None:
            return match[0]
        to = posixpath.relpath(_page_of(target), folder or ".")
        return f"{match['start']}{to}{match['anchor'] or ''}"

    return LINK.sub(lead, markdown)


def on_post_build(config):
    """Refuses a site that would fetch anything from elsewhere."""
    for page in Path(config.site_dir).rglob("*.html"):
        if found := ELSEWHERE.search(page.read_text("utf-8")):
            raise PluginError(f"{page}: fetches from elsewhere: {found[0]}")


def _target(document, link):
    """The file or folder that a link of a document leads to; None where that is no file here."""
    if ":" in link or not document.is_relative_to(ROOT):
        return None
    target = (document.parent / link).resolve()
    return target if target.exists() and target.is_relative_to(ROOT) else None


def _page_of(target):
    """Where a file or folder is on the site."""
    name = target.relative_to(ROOT).as_posix()
    if name in BESIDE:
        return BESIDE[name]
    if target.is_relative_to(DOCS) and target.is_file():
        return target.relative_to(DOCS).as_posix()
    return f"source/{name}.md"


def _text(document):
    """The Markdown of a document; of a notebook its cells, as it is kept without outputs."""
    text = document.read_text("utf-8")
    if document.suffix != ".ipynb":
        return text
    cells = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        code = cell["cell_type"] == "code"
        cells.append(f"{FENCE}python\n{source}\n{FENCE}" if code else source)
    title, *rest = cells[0].split("\n", 1)
    where = f"This is the notebook `{document.relative_to(ROOT).as_posix()}` of the clone."
    return "\n\n".join([title, where, *rest, *cells[1:]])


def _source(target):
    """The page of a file or of a folder that is not in the site."""
    name = target.relative_to(ROOT).as_posix()
    hidden = "---\nsearch:\n  exclude: true\n---\n\n"
    if target.is_dir():
        inside = sorted(each for each in target.iterdir() if not each.name.startswith(("_", ".")))
        return f"{hidden}# {name}/\n\n" + "".join(f"- `{each.name}`\n" for each in inside)
    language = LANGUAGES.get(target.suffix, "text")
    return f"{hidden}# {name}\n\n{FENCE}{language}\n{target.read_text('utf-8').rstrip()}\n{FENCE}\n"
