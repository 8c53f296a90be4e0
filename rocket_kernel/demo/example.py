"""The example that `rocket demo` serves: a document, the people in it, and what they may try."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib.resources import files
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.metadata.entity import PROPERTY_PLUGINS
from rocket_kernel.metadata.kinds import CONTRACT_PLUGINS

NAME = "helpdesk"
"""Of the example, and of the app it becomes."""

ADMIN = "admin@localhost"
"""The first user of every app."""

PEOPLE: Mapping[str, str] = {
    "customer@example.com": "customer",
    "agent@example.com": "agent",
    "lead@example.com": "lead",
}
"""Role by address. Sample data and assignees of the document name these addresses."""


def read_document() -> dict[str, Any]:
    document = json_text.decode(files(__package__).joinpath(f"{NAME}.json").read_bytes())
    if not isinstance(document, dict):
        raise TypeError(f"{NAME}.json is no object")
    return document


def missing_plugins(document: Mapping[str, Any], enabled: Collection[str]) -> list[str]:
    """The plugins that the document needs and that are not enabled, by name."""
    needed = {plugin for section, plugin in CONTRACT_PLUGINS.items() if document.get(section)}
    if any(field["type"] == "file" for entity in document["entities"] for field in entity["fields"]):
        needed.add("files")
    needed.update(
        plugin for name, plugin in PROPERTY_PLUGINS.items() if any(entity.get(name) for entity in document["entities"])
    )
    return sorted(needed.difference(enabled))


def tour(url: str, password: str) -> str:
    """Commands for a shell, each under a line that says what it shows."""
    text = files(__package__).joinpath(f"{NAME}.tmpl").read_text(encoding="utf-8")
    return text.replace("{app}", f"{url}/api/{NAME}").replace("{password}", password)
