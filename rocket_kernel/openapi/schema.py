"""JSON Schema as OpenAPI 3.1 takes it: plain dictionaries, never changed once they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rocket_kernel.store.columns import Column, Storage, Table

Schema = Mapping[str, Any]

ANY: Schema = {}
TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
UUID: Schema = {"type": "string", "format": "uuid"}
TIMESTAMP: Schema = {"type": "string", "format": "date-time"}
NULL: Schema = {"type": "null"}

OF_STORAGE: Mapping[Storage, Schema] = {
    Storage.TEXT: TEXT,
    Storage.INTEGER: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    Storage.BIGINT: {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$", "examples": ["42"]},
    Storage.FLOAT: {"type": "number", "format": "double"},
    Storage.DECIMAL: {
        "type": "string",
        "format": "decimal",
        "pattern": r"^-?[0-9]+(\.[0-9]+)?$",
        "examples": ["12.50"],
    },
    Storage.BOOLEAN: BOOLEAN,
    Storage.UUID: UUID,
    Storage.TIMESTAMP: TIMESTAMP,
    Storage.DATE: {"type": "string", "format": "date"},
    Storage.JSON: ANY,
    Storage.DOCUMENT: ANY,
}
"""Of wire values."""


def object_of(properties: Mapping[str, Schema], required: Iterable[str] | None = None, **more: Any) -> Schema:
    """An object with these members and no others. `required` None demands all of them."""
    names = list(properties) if required is None else list(required)
    schema: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False, **more}
    if names:
        schema["required"] = names
    return schema


def array_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """An object with members of any name."""
    return {"type": "object", "additionalProperties": values}


def one_of(*values: Any) -> Schema:
    return {"enum": list(values)}


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    type = schema.get("type")
    if not schema:
        return schema
    if isinstance(type, str) and "enum" not in schema:
        return {**schema, "type": [type, "null"]}
    if isinstance(type, list) and "enum" not in schema:
        return schema if "null" in type else {**schema, "type": [*type, "null"]}
    return {"anyOf": [schema, NULL]}


def row_schema(table: Table, names: Iterable[str] | None = None, **refined: Schema) -> Schema:
    """A row of a table as answers show it. `names` None shows every column; `refined` says more of some of them."""
    shown = [column.name for column in table.columns] if names is None else list(names)
    return object_of({name: refined.get(name) or column_schema(table.column(name)) for name in shown})


def column_schema(column: Column) -> Schema:
    schema = OF_STORAGE[column.type.storage]
    return nullable(schema) if column.nullable else schema
