"""`make docs`: the site is complete, every link leads somewhere, and it asks no other host for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import rocket_kernel
import rocket_kernel.testing
from rocket_kernel import hookspecs

ROOT = Path(__file__).parents[2]
LOADING = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)[^>]*\ssrc=["']?(?:https?:)?//"""
    r"""|<link[^>]*rel=["']?(?:stylesheet|preload|icon|preconnect|dns-prefetch)[^>]*href=["']?(?:https?:)?//"""
    r"""|@import\s|url\(["']?(?:https?:)?//|(?:fetch|importScripts|import)\(["'`](?:https?:)?//"""
)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, str(ROOT / "docs" / "site"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def site(build: subprocess.CompletedProcess[str]) -> Path:
    return Path(build.args[-1])


def test_every_link_leads_somewhere(build):
    assert (build.returncode, build.stderr) == (0, "")


def test_every_page_is_there_and_in_the_navigation(site):
    first = (site / "README.html").read_text()
    folders = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").glob("*/README.md"), ROOT / "CHANGELOG.md"]
    pages = [path.relative_to(ROOT).with_suffix(".html").as_posix() for path in folders]
    assert len(pages) > 20
    assert [page for page in pages if not (site / page).exists()] == []
    assert [page for page in pages if f'href="{page}"' not in first] == []
    assert "README.html" in (site / "index.html").read_text()


def test_nothing_is_loaded_from_elsewhere(site):
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css", ".js"}]
    found = [(path.name, LOADING.search(path.read_text())) for path in files]
    assert [(name, match[0]) for name, match in found if match] == []


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        '<img alt="x" src="http://example.com/a.png">',
        "body { background: url(https://example.com/a.png) }",
        '@import "https://example.com/a.css";',
        'fetch("https://example.com")',
    ],
)
def test_something_that_is_loaded_would_be_seen(text):
    assert LOADING.search(text)


def test_there_is_search(site):
    index = (site / "searchindex.js").read_text()
    assert index.startswith("Search.setIndex(")
    assert "register_field_typ" in index
    assert "searchindex.js" in (site / "search.html").read_text()


def test_the_reference_has_every_hook_with_its_signature(site):
    text = re.sub("<[^>]+>", "", (site / "docs" / "plugins" / "reference.html").read_text())
    hooks = [name for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")]
    assert [name for name in hooks if f"def {name}(self" not in text] == []
    assert "async def before_write(self, write: Write) -&gt; None: ..." in text


def test_every_public_name_is_listed(site):
    text = (site / "docs" / "plugins" / "names.html").read_text()
    names = [*dir(rocket_kernel), *dir(rocket_kernel.testing)]
    assert [name for name in names if f">{name}<" not in text] == []


def test_how_to_leads_to_every_hook(page):
    text = page("docs/plugins/how-to.md").text
    hooks = [name for name, spec in vars(hookspecs).items() if hasattr(spec, f"{hookspecs.PROJECT}_spec")]
    assert [name for name in hooks if f"[`{name}`](../hooks.md#" not in text] == []
