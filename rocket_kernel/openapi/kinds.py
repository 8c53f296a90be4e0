"""What the admin endpoints of a metadata kind do, from its declaration."""

from __future__ import annotations

from typing import Any

from rocket_kernel.metadata.kinds import MetadataKind, row_alone
from rocket_kernel.openapi.operation import Operation, answers_data
from rocket_kernel.openapi.schema import ANY, BOOLEAN, TEXT, UUID, Schema, array_of, column_schema, object_of
from rocket_kernel.store.columns import Storage

_CONFLICT = frozenset({409})


def kind_operations(kind: MetadataKind[Any]) -> dict[str, Operation]:
    """By what is done: list, create, get, replace, remove."""
    row = row_of_kind(kind)
    changed = row if kind.answer is row_alone else {**row, "additionalProperties": True}
    noun = kind.noun[:1].lower() + kind.noun[1:] if kind.noun[1:2].islower() else kind.noun
    one = f"{'an' if noun[0].lower() in 'aeiou' and noun[:2] != 'UI' else 'a'} {noun}"
    return {
        "list": Operation(summary=f"List all {noun} definitions", tag=kind.path, answers=answers_data(array_of(row))),
        "create": Operation(
            summary=f"Define {one}",
            tag=kind.path,
            body=definition_of_kind(kind),
            answers=answers_data(changed, status=201),
            refusals=_CONFLICT,
        ),
        "get": Operation(summary=f"Get {one}", tag=kind.path, answers=answers_data(row)),
        "replace": Operation(
            summary=f"Change {one}",
            description="What is left out keeps its value."
            if kind.partial_update
            else "Replaces the whole definition.",
            tag=kind.path,
            body=_changes_of_kind(kind),
            answers=answers_data(changed),
            refusals=_CONFLICT,
        ),
        "remove": Operation(
            summary=f"Delete {one}",
            tag=kind.path,
            answers=answers_data(object_of({kind.key: UUID if kind.key == "id" else TEXT, "deleted": BOOLEAN})),
            refusals=_CONFLICT,
        ),
    }


def row_of_kind(kind: MetadataKind[Any]) -> Schema:
    """A stored row as answers show it: its columns, and of those that hold JSON what the definition says."""
    refined = definition_of_kind(kind).get("properties", {})
    properties: dict[str, Schema] = {}
    for column in kind.table.columns:
        if column.name in kind.hidden:
            continue
        of_json = column.type.storage is Storage.DOCUMENT
        properties[column.name] = refined.get(column.name, ANY) if of_json else column_schema(column)
    return object_of(properties)


def definition_of_kind(kind: MetadataKind[Any]) -> Schema:
    return {"type": "object"} if kind.schema is None else kind.schema


def _changes_of_kind(kind: MetadataKind[Any]) -> Schema:
    schema = definition_of_kind(kind)
    return {name: value for name, value in schema.items() if name != "required"} if kind.partial_update else schema
