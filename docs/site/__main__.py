"""`make docs`: the documentation as a site, with search, of which every link leads somewhere. It needs no network.

The site is laid out as the repository is, so that the links between its files hold in both. Two pages are made from
the code. What Sphinx reads is put together in a folder of its own, out of the repository's files.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from reference import hooks_page, names_page  # beside this file
from sphinx.cmd.build import build_main

ROOT = Path(__file__).parents[2]
CONFIGURATION = Path(__file__).parent

MADE = {"docs/plugins/reference.md": hooks_page, "docs/plugins/names.md": names_page}
"""Pages that no file holds."""

SECTIONS = {
    "Using Rocket": (
        "docs/http-api.md",
        "docs/openapi.md",
        "docs/concurrency.md",
        "docs/permissions.md",
        "docs/workflows.md",
        "docs/webhooks.md",
        "docs/expressions.md",
        "docs/files.md",
        "examples/README.md",
    ),
    "Hosting": ("docs/configuration.md", "docs/instrumentation.md", "docs/performance.md"),
    "Writing plugins": (
        "docs/plugins/README.md",
        "docs/plugins/tutorial.md",
        "docs/plugins/how-to.md",
        "docs/hooks.md",
        "docs/plugins/reference.md",
        "docs/plugins/names.md",
        "docs/testing.md",
        "docs/plugins/examples.md",
        "docs/plugins/publishing.md",
        "docs/stability.md",
        "docs/failure-policy.md",
    ),
    "Inside": ("docs/architecture.md", "CHANGELOG.md"),
}
_README = "README.md"
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)")


def main(output: Path) -> int:
    """The exit code: 0 when the site is complete and each of its links leads somewhere."""
    sources = output.with_name(f"{output.name}-sources")
    for folder in (sources, output):
        shutil.rmtree(folder, ignore_errors=True)
    gather(sources)
    code = build_main(["-W", "--keep-going", "-q", "-c", str(CONFIGURATION), str(sources), str(output)])
    (output / "index.html").write_text('<!doctype html><meta http-equiv="refresh" content="0; url=README.html">\n')
    return code


def gather(sources: Path) -> None:
    pages = all_pages()
    for name in [*pages, *sorted(_pointed_to(pages))]:
        copy = sources / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if name in MADE:
            copy.write_text(MADE[name](), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / name, copy)
    # The page of the repository is the first one, with all others beside it.
    trees = [_tree(title, names) for title, names in _sections(pages)]
    with (sources / _README).open("a", encoding="utf-8") as first:
        first.write("\n" + "\n".join(trees))


def all_pages() -> list[str]:
    """Paths in the repository, and of pages that are made."""
    found = [
        ROOT / _README,
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob(_README),
        *(ROOT / "plugins").glob(f"*/{_README}"),
    ]
    return sorted({*(path.relative_to(ROOT).as_posix() for path in found), *MADE})


def _pointed_to(pages: list[str]) -> set[str]:
    """Other files of the repository to which pages have links."""
    targets = {
        # Some are symbolic links: what counts is where they lie.
        Path(os.path.normpath((ROOT / page).parent / target))
        for page in pages
        if page not in MADE
        for target in _LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    }
    files = {path.relative_to(ROOT).as_posix() for path in targets if path.is_file() and path.is_relative_to(ROOT)}
    return files - set(pages)


def _sections(pages: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Each page in one section; a page that nobody has put into one stands at the end."""
    left = set(pages) - {_README}
    wanted: dict[str, tuple[str, ...]] = {
        **SECTIONS,
        "Plugins that come with it": tuple(name for name in pages if name.startswith("plugins/")),
        "Examples": tuple(sorted((name for name in pages if name.startswith("examples/")), key=_shallow_first)),
        "More": tuple(pages),
    }
    for title, names in wanted.items():
        there = [name for name in names if name in left]
        left.difference_update(there)
        if there:
            yield title, there


def _tree(title: str, names: list[str]) -> str:
    listed = "\n".join(name.removesuffix(".md") for name in names)
    return f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{listed}\n```\n"


def _shallow_first(name: str) -> tuple[int, str]:
    return len(PurePosixPath(name).parts), name


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
