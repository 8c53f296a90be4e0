"""What the routes of the plugin do, and what a config looks like, for the API description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import Operation, Table, answers_data, array_of, nullable, row_schema

_OBJECT: Mapping[str, Any] = {"type": "object"}

UI_CONFIG: Mapping[str, Any] = {
    "type": "object",
    "required": ["entity"],
    "properties": {
        "entity": {"type": "string", "minLength": 1, "description": "An entity, or any name that begins with `_`."},
        "scope": {"type": "string", "default": "default"},
        "config": _OBJECT,
    },
}


def list_operation(table: Table) -> Operation:
    return Operation(summary="List the UI configs of scope default", answers=answers_data(array_of(_row(table))))


def get_operation(table: Table) -> Operation:
    return Operation(
        summary="Get the UI config of an entity",
        description="Null without one.",
        answers=answers_data(nullable(_row(table))),
    )


def _row(table: Table) -> Mapping[str, Any]:
    return row_schema(table, config=_OBJECT)
