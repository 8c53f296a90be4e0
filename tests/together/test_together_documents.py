"""Every example is a document that can be imported, planned, exported and moved to another app."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from click.testing import CliRunner

from rocket_kernel.cli import command_line
from rocket_kernel.plugins import installed_plugins, load_plugins

EXAMPLES = ("helpdesk", "shop", "editorial")
SECTIONS = ("rules", "state_machines", "workflows", "permissions", "webhooks", "ui_configs", "sample_data")
IMPORT_S = 3
_EXPORTED_AT = re.compile(rb'"exported_at":"[^"]*"')


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_shows_everything(name, read_example):
    document = read_example(name)
    assert all(document[section] for section in SECTIONS)
    assert {relation["type"] for relation in document["relations"]} == {"one_to_one", "one_to_many", "many_to_many"}
    assert {rule["type"] for rule in document["rules"]} == {"field", "expression", "computed"}
    assert any(step["type"] == "approval" for workflow in document["workflows"] for step in workflow["steps"])
    assert any(permission.get("conditions") for permission in document["permissions"])
    assert any(permission.get("fields") for permission in document["permissions"])
    types = {field["type"] for entity in document["entities"] for field in entity["fields"]}
    assert "file" in types


def without_time(exported: Any) -> bytes:
    return _EXPORTED_AT.sub(b"", exported.require(200).body)


async def test_examples_import_once_and_travel(open_app, read_example):
    _, make = await open_app()
    for name in EXAMPLES:
        document = read_example(name)
        app = await make(name)
        planned = (await app.post("_admin/import?mode=plan", document)).require(200).data
        assert "errors" not in planned
        begun = time.monotonic()
        first = (await app.post("_admin/import", document)).require(200).data
        took = time.monotonic() - begun
        assert "errors" not in first
        rows = sum(len(given) for given in document["sample_data"].values())
        counts = {section: len(document[section]) for section in ("entities", "relations", *SECTIONS[:-1])}
        assert first["summary"] == {**counts, "records": rows}
        assert sum(planned["records"].values()) == rows
        assert len(planned["changes"]) == sum(counts.values())
        assert took < IMPORT_S

        again = (await app.post("_admin/import", document)).require(200).data
        assert set(again["summary"].values()) == {0}
        assert "errors" not in again
        assert (await app.post("_admin/import?mode=plan", document)).data == {"changes": [], "records": {}}

        exported = await app.get("_admin/export")
        copy = await make(f"{name}-copy")
        assert "errors" not in (await copy.post("_admin/import", exported.data)).require(200).data
        assert without_time(await copy.get("_admin/export")) == without_time(exported)


def test_examples_import_from_the_command_line(rocket_folder, read_example):
    rocket = command_line(load_plugins(installed_plugins(), {}))
    runner = CliRunner()
    for name in EXAMPLES:
        (rocket_folder / f"{name}.json").write_text(json.dumps(read_example(name)))
        assert runner.invoke(rocket, ["apps", "create", name]).exit_code == 0
        imported = runner.invoke(rocket, ["import", name, f"{name}.json"])
        assert (imported.exit_code, imported.stderr) == (0, "")
        again = runner.invoke(rocket, ["import", name, f"{name}.json", "--plan"])
        assert (again.exit_code, again.stdout) == (0, "Nothing to change.\n")
