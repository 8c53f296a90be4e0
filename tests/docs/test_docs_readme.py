"""README.md: its tour is run against a real server, and what it points to is there."""

from __future__ import annotations

import re

from rocket_kernel.metadata.kinds import CONTRACT_PLUGINS


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


def test_readme_links_lead_somewhere(page):
    readme = page("README.md")
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", readme.text)
    assert targets
    for target in targets:
        assert (readme.path.parent / target).exists(), target


def test_readme_names_every_plugin_of_the_contract_that_is_missing(page):
    readme = page("README.md")
    words = {"statemachines": "state machines", "uiconfigs": "UI configs"}
    for plugin in set(CONTRACT_PLUGINS.values()):
        there = (readme.path.parent / "plugins" / plugin).exists()
        assert there or words.get(plugin, plugin) in readme.text, plugin
