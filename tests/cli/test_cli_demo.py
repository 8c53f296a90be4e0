"""`rocket demo`, as far as it goes without the plugins that it needs."""

from __future__ import annotations

import os

from rocket_kernel.commands.demo import welcome
from rocket_kernel.demo.example import PEOPLE, missing_plugins, read_document
from rocket_kernel.demo.furnish import first_passwords

NEEDED = ["auth", "files", "instrumentation", "rules", "statemachines", "uiconfigs", "webhooks", "workflows"]


def test_demo_says_which_plugins_to_install(rocket):
    refused = rocket("demo", "--config", "app.yaml", "--port", "0")
    assert (refused.exit_code, refused.stdout) == (1, "")
    packages = " ".join(f"rocket-{name}" for name in NEEDED)
    assert refused.stderr == f"Error: the demo needs plugins that are not there: pip install {packages}\n"


def test_plugins_of_a_document():
    document = read_document()
    assert missing_plugins(document, NEEDED) == []
    assert missing_plugins(document, ["rules", "workflows", "files"]) == [
        "auth",
        "instrumentation",
        "statemachines",
        "uiconfigs",
        "webhooks",
    ]
    assert missing_plugins({"entities": document["entities"]}, []) == ["files", "instrumentation"]


def test_welcome_names_everybody_and_leaves_no_gap():
    text = welcome("http://127.0.0.1:1", "pass")
    assert all(email in text for email in [*PEOPLE, "admin@localhost"])
    assert "http://127.0.0.1:1/api/helpdesk/ticket" in text
    assert "{app}" not in text
    assert "{password}" not in text


def test_first_passwords_are_those_of_the_demo_inside_the_block_only(monkeypatch):
    monkeypatch.setenv("ROCKET_ADMIN_PASSWORD", "my own one")
    monkeypatch.delenv("ROCKET_PLATFORM_PASSWORD", raising=False)
    with first_passwords("of the demo"):
        assert os.environ["ROCKET_ADMIN_PASSWORD"] == os.environ["ROCKET_PLATFORM_PASSWORD"] == "of the demo"
    assert os.environ["ROCKET_ADMIN_PASSWORD"] == "my own one"
    assert "ROCKET_PLATFORM_PASSWORD" not in os.environ
