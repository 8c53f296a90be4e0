"""README.md and the index: the tour is run against a real server, and what the pages point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rocket_kernel.metadata.kinds import CONTRACT_PLUGINS

ROOT = Path(__file__).parents[2]


def test_readme_begins_with_the_two_commands(page):
    first = page("README.md").blocks()[0]
    assert [line.partition("#")[0].strip() for line in first.text.splitlines()] == ["make serve", "make test"]


def test_readme_tour_is_answered_as_shown(page, server_process):
    exchanges = page("README.md").exchanges()
    assert len([exchange for exchange in exchanges if exchange.status is not None]) >= 8
    for exchange in exchanges:
        server_process.check(exchange)


def test_readme_map_names_what_is_there(page):
    readme = page("README.md")
    (tree,) = readme.blocks("text map")
    for line in tree.text.splitlines():
        path = line.partition("  ")[0]
        assert (readme.path.parent / path).exists(), path


PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name, page):
    linking = page(name)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", linking.text):
        linked = linking.path.parent / target if target else linking.path
        assert linked.exists(), f"{name}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{name}: {target}#{anchor}"


def test_index_names_every_page(page):
    text = page("docs/README.md").text
    assert [name for name in PAGES if f"({name.removeprefix('docs/')})" not in text] == ["README.md", "docs/README.md"]


def test_architecture_names_every_room(page):
    rooms = {path.parent.name for path in (ROOT / "rocket_kernel").glob("*/__init__.py")}
    assert {row[0].strip("`") for row in page("docs/architecture.md").table("## The house")} == rooms


def test_architecture_points_to_files_that_are_there(page):
    named = re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", page("docs/architecture.md").text)
    assert [name for name in named if not (ROOT / "rocket_kernel" / name).exists()] == []


def test_readme_names_every_plugin_of_the_contract_that_is_missing(page):
    readme = page("README.md")
    words = {"statemachines": "state machines", "uiconfigs": "UI configs"}
    for plugin in set(CONTRACT_PLUGINS.values()):
        there = (readme.path.parent / "plugins" / plugin).exists()
        assert there or words.get(plugin, plugin) in readme.text, plugin
