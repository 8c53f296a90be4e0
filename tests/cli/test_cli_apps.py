"""`rocket apps`."""

from __future__ import annotations

import pytest


def test_apps_are_created_listed_and_deleted(rocket, app_name, database):
    created = rocket("apps", "create", app_name, "--display-name", "Book shop")
    assert (created.exit_code, created.stdout, created.stderr) == (0, f"App created: {app_name}\n", "")
    head, row = rocket("apps", "list").stdout.splitlines()
    assert head.split() == ["name", "display_name", "db_driver", "status", "created_at"]
    assert row.split("  ")[:2] == [app_name, "Book shop"]
    assert database.driver in row
    deleted = rocket("apps", "delete", app_name)
    assert (deleted.exit_code, deleted.stdout) == (0, f"App deleted: {app_name}\n")
    assert len(rocket("apps", "list").stdout.splitlines()) == 1


def test_name_that_is_taken_is_refused(rocket, shop):
    again = rocket("apps", "create", shop)
    assert (again.exit_code, again.stdout, again.stderr) == (1, "", f"Error: App already exists: {shop}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("apps", "create", "Shop"), "App name must be lowercase letters, numbers, hyphens, underscores"),
        (("apps", "create", ""), "App name is required"),
        (("apps", "create", "shop", "--db-driver", "oracle"), "Invalid db_driver: must be one of"),
        (("apps", "delete", "nothere"), "App not found or failed to delete: App not found: nothere"),
    ],
)
def test_refusal_is_one_line_on_standard_error(rocket, arguments, message):
    refused = rocket(*arguments)
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith(f"Error: {message}")
    assert refused.stderr.count("\n") == 1
