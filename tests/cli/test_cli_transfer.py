"""`rocket import` and `rocket export`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rocket_kernel.commands.transfer import plan_lines, summary_line
from rocket_kernel.transfer.importing import Change, Outcome


def test_document_is_loaded_once(rocket, shop, document):
    first = rocket("import", shop, document())
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout == "Imported: entities 2, relations 1, records 3\n"
    second = rocket("import", shop, document())
    assert (second.exit_code, second.stdout) == (0, "Imported: nothing new\n")


def test_plan_shows_statements_and_rows_and_writes_nothing(rocket, shop, document):
    planned = rocket("import", shop, document(), "--plan")
    assert (planned.exit_code, planned.stderr) == (0, "")
    lines = planned.stdout.splitlines()
    assert lines[0] == "+ create entity artist"
    assert lines[1].startswith('    CREATE TABLE "artist" (')
    assert lines[1].endswith(";")
    assert "+ create relation artist_albums" in lines
    assert lines[-2:] == ["+ 2 records of artist", "+ 1 record of album"]
    assert json.loads(rocket("export", shop).stdout)["entities"] == []


def test_plan_of_what_is_there_already(rocket, shop, document):
    rocket("import", shop, document())
    assert rocket("import", shop, document(), "--plan").stdout == "Nothing to change.\n"


def test_faulty_items_are_told_and_the_rest_is_loaded(rocket, shop, document):
    content = {
        "entities": [{"name": "artist", "primary_key": {"field": "id", "type": "int"}, "fields": []}, 3],
        "rules": [{"entity": "artist"}],
    }
    done = rocket("import", shop, document(content))
    assert done.exit_code == 1
    assert done.stdout == "Imported: nothing new; 3 errors\n"
    rules, artist, number = done.stderr.splitlines()
    assert rules == "rules: plugin 'rules' is not enabled"
    assert artist.startswith("entity artist: ")
    assert number == "entity: object expected"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"version": 1', "not JSON: "),
        (b'{"name": "\xff"}', "not JSON: "),
        (b"[]", "not a JSON object"),
    ],
)
def test_file_that_is_no_document_is_refused_before_anything_is_opened(rocket, document, content, message):
    refused = rocket("import", "no-such-app", document(content))
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"Error: {document(content)}: {message}")
    assert refused.stderr.count("\n") == 1


def test_file_that_cannot_be_read(rocket, tmp_path):
    refused = rocket("import", "shop", str(tmp_path / "absent.json"))
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == f"Error: {tmp_path / 'absent.json'}: No such file or directory\n"
    assert rocket("import", "shop", str(tmp_path)).stderr == f"Error: {tmp_path}: Is a directory\n"


def test_version_of_another_day(rocket, shop, document):
    refused = rocket("import", shop, document({"version": 2}))
    assert (refused.exit_code, refused.stderr) == (1, "Error: Unsupported schema version: 2\n")


@pytest.mark.parametrize("command", ["import", "export"])
def test_app_that_does_not_exist(rocket, document, command):
    file = (document(),) if command == "import" else ()
    refused = rocket(command, "nowhere", *file)
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", "Error: App not found: nowhere\n")


def test_export_is_a_document_that_another_app_takes(rocket, shop, document, tmp_path, app_name):
    rocket("import", shop, document())
    exported = rocket("export", shop)
    assert exported.stderr == ""
    body = json.loads(exported.stdout)
    assert [entity["name"] for entity in body["entities"]] == ["album", "artist"]
    assert "sample_data" not in body
    copy = Path(tmp_path / "copy.json")
    copy.write_bytes(exported.stdout_bytes)
    rocket("apps", "create", f"{app_name}-2")
    assert rocket("import", f"{app_name}-2", str(copy)).stdout == "Imported: entities 2, relations 1\n"
    again = json.loads(rocket("export", f"{app_name}-2").stdout)
    assert {**again, "exported_at": None} == {**body, "exported_at": None}


def test_every_kind_of_change_has_its_line():
    changes = [
        Change("create", "relation", "artist_albums", ("CREATE INDEX a", "CREATE INDEX b")),
        Change("update", "ui_config", "artist/default"),
        Change("skip", "entity", "artist"),
    ]
    assert list(plan_lines(Outcome(changes))) == [
        "+ create relation artist_albums",
        "    CREATE INDEX a;",
        "    CREATE INDEX b;",
        "~ update ui_config artist/default",
        "= skip entity artist  (differs from the stored one, which stays)",
    ]


def test_summary_counts_errors():
    assert summary_line(Outcome(counts={"rules": 1}, errors=["x"])) == "Imported: rules 1; 1 error"
