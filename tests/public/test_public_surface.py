"""Nothing public changes unnoticed: docs/surface/current.txt is what there is, and the change log names every change."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ADVICE = """
The public surface is not what docs/surface/current.txt says:

{changes}

If that is meant to be: run `make surface`, then name each of these in backquotes in the section Unreleased of
CHANGELOG.md, unless it was not in a release yet and is named there already. docs/stability.md says what may change
when.
"""
NOTES = """
docs/surface/current.txt differs from the last release in what the section Unreleased of CHANGELOG.md does not name:

{changes}

Name each of these there in backquotes, such as `{example}`, with what it means for those who use it.
"""


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rocket_surface", Path(__file__).with_name("surface.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def listed(changes):
    return "\n".join(map(str, changes))


def test_the_snapshot_is_what_there_is(tool):
    found = tool.changes(tool.parsed(tool.CURRENT.read_text()), tool.parsed(tool.written(tool.surface())))
    assert not found, ADVICE.format(changes=listed(found))


def test_the_change_log_names_whatever_differs_from_the_last_release(tool):
    released, current = (tool.parsed(path.read_text()) for path in (tool.RELEASED, tool.CURRENT))
    missing = tool.unnamed(tool.changes(released, current), tool.unreleased(tool.CHANGELOG.read_text()))
    example = missing[0].name if missing else ""
    assert not missing, NOTES.format(changes=listed(missing), example=example)


def test_the_snapshot_can_be_read_again(tool):
    found = tool.surface()
    assert tool.parsed(tool.written(found)) == found
    assert min(len(names) for names in found.values()) >= 2


OLD = {
    "rocket_kernel": {"Step": "class", "Step.run": "field: A", "work": "def(a)", "Gone": "class", "Gone.x": "field: B"},
    "hooks": {"on_started": "def(kernel)"},
    "error codes": {"CONFLICT": "409"},
    "tables": {"_jobs": "table, key id", "_jobs.name": "text"},
}
NEW = {
    "rocket_kernel": {
        "Step": "class",
        "Step.run": "field: C",
        "work": "def(a, b)",
        "New": "class",
        "New.x": "field: D",
    },
    "hooks": {"on_started": "def(kernel, config)", "on_new": "def()"},
    "error codes": {"CONFLICT": "410"},
    "tables": {"_jobs": "table, key id", "_jobs.name": "text, not null", "_jobs.more": "text"},
}


def test_every_kind_of_change_is_found(tool):
    assert [(change.kind, change.name) for change in tool.changes(OLD, NEW)] == [
        ("removed", "Gone"),
        ("removed", "Gone.x"),
        ("added", "New"),
        ("added", "New.x"),
        ("changed", "Step.run"),
        ("changed", "work"),
        ("added", "on_new"),
        ("changed", "on_started"),
        ("changed", "CONFLICT"),
        ("added", "_jobs.more"),
        ("changed", "_jobs.name"),
    ]
    assert tool.changes(OLD, OLD) == []


def test_a_change_is_named_by_itself_or_with_what_comes_or_goes_as_a_whole(tool):
    found = tool.changes(OLD, NEW)
    notes = (
        "- `New` does x, `Gone` is no more, `work(a, b)` takes b, Step.run is not quoted, `_jobs` has another column"
    )
    left = [change.name for change in tool.unnamed(found, notes)]
    assert left == ["Step.run", "on_new", "on_started", "CONFLICT", "_jobs.more", "_jobs.name"]
    notes += "`Step.run` `on_new` `on_started(kernel, config)` `CONFLICT` `_jobs.more` `_jobs.name`"
    assert tool.unnamed(found, notes) == []


def test_only_the_unreleased_section_counts(tool):
    text = "# Changelog\n\n## Unreleased\n\n- `a`\n\n### Added\n\n- `b`\n\n## 0.1.0\n\n- `c`\n"
    assert [name in tool.unreleased(text) for name in ("`a`", "`b`", "`c`")] == [True, True, False]
    assert tool.unreleased("# Changelog\n\n## 0.1.0\n") == ""
