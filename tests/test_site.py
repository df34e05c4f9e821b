"""The documentation as a site: built strictly, with all links, and nothing from elsewhere."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module", name="site")
def _site(tmp_path_factory):
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    # A proxy that is not there: whatever asked for the network would fail.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = os.environ | nowhere | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(folder)]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_document_is_a_page(site):
    for document in (ROOT / "docs").rglob("*.md"):
        name = document.relative_to(ROOT / "docs").with_suffix("")
        assert (site / name / "index.html").is_file()
    notebook = (site / "tutorials/recommend/index.html").read_text("utf-8")
    assert "From import to recommendations" in notebook
    assert "import_table" in notebook
    assert "Multi-Modal Self-Supervised Learning" in (site / "index.html").read_text("utf-8")


def test_public_names_are_in_the_reference(site):
    text = (site / "reference/index.html").read_text("utf-8")
    for name in ("train", "open_run", "import_table", "InputError", "Run"):
        assert f'id="mmssl_jax.{name}"' in text
    assert "Trains a model, with a progress bar" in text


def test_links_to_files_beside_the_documents_lead_to_their_text(site):
    text = (site / "compare/index.html").read_text("utf-8")
    (link,) = re.findall(r'href="([^"]*configs/studies/parts[^"]*)"', text)
    page = (site / "compare" / link / "index.html").resolve()
    assert "get_settings" in page.read_text("utf-8")


def test_no_page_fetches_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    loads = re.compile(r"<(?:script|img|source|iframe)[^>]*\bsrc(?:set)?=\"?(?:https?:)?//")
    styles = re.compile(r"<link[^>]*rel=\"?stylesheet[^>]*href=\"?(?:https?:)?//")
    for page in pages:
        text = page.read_text("utf-8")
        assert not loads.search(text)
        assert not styles.search(text)
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text("utf-8")
