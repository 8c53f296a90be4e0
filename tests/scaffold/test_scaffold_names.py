"""What a new plugin may be called."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rocket_kernel.scaffold.names import MAX_NAME, SHIPPED, BadName, PluginName, parse_plugin_name

ROOT = Path(__file__).parents[2]


def test_all_that_is_called_after_a_name():
    name = parse_plugin_name("word-count2", kind="step")
    assert name == PluginName("word-count2")
    assert (name.distribution, name.package, name.identifier, name.class_name) == (
        "rocket-word-count2",
        "rocket_word_count2",
        "word_count2",
        "WordCount2Plugin",
    )


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("", "step", "'' is no name for a plugin: lower-case letters and digits"),
        ("Word_Count", "step", "with a letter first; did you mean word-count?"),
        ("2nd", "step", "'2nd' is no name for a plugin"),
        ("a--b", "step", "did you mean a-b?"),
        ("-a", "step", "did you mean a?"),
        ("../a", "step", "did you mean a?"),
        ("a/b", "step", "did you mean a-b?"),
        ("a\n", "step", "did you mean a?"),
        ("zähler", "step", "did you mean z-hler?"),
        ("٣a", "step", "is no name for a plugin"),
        ("rocket-quota", "step", "the prefix is added: name it quota"),
        ("rocket_quota", "step", "the prefix is added: name it quota"),
        ("x" * (MAX_NAME + 1), "step", f"the name has {MAX_NAME + 1} characters, and at most {MAX_NAME} are allowed"),
        ("auth", "step", "the name 'auth' belongs to a plugin that comes with Rocket"),
        ("kernel", "route", "the name 'kernel' belongs to the kernel"),
        ("admin", "route", "the name 'admin' belongs to Rocket's own paths (/api/:app/_admin)"),
        ("date", "field", "the name 'date' belongs to a field type of the kernel"),
        ("file", "field", "the name 'file' belongs to a field type of the kernel"),
        ("quota", "step", "a plugin 'quota' is installed already: rocket_quota:QuotaPlugin"),
    ],
)
def test_other_names_are_refused_with_the_reason(text, kind, reason):
    with pytest.raises(BadName, match=re.escape(reason)):
        parse_plugin_name(text, kind=kind, installed={"quota": "rocket_quota:QuotaPlugin"})


def test_names_of_field_types_are_free_for_other_kinds():
    assert parse_plugin_name("date", kind="route").plugin == "date"


def test_every_shipped_plugin_is_reserved():
    there = {path.parent.name for path in (ROOT / "plugins").glob("*/pyproject.toml")}
    assert there <= SHIPPED
    assert len(there) > 5


def test_every_path_of_rocket_is_reserved():
    """A new plugin of the kind `route` answers `/api/:app/_NAME`."""
    sources = [*(ROOT / "rocket_kernel").rglob("*.py"), *(ROOT / "plugins").glob("*/rocket_*/**/*.py")]
    segments = {
        segment
        for source in sources
        for segment in re.findall(r'"/api/:app/_([a-z]+)[/"]', source.read_text(encoding="utf-8"))
    }
    assert {"admin", "ui", "files"} <= segments
    for segment in segments:
        with pytest.raises(BadName):
            parse_plugin_name(segment, kind="route")
