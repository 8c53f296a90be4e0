"""The values of fields: as answers show them, as clients may send them, as filters name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rocket_kernel.metadata.field import Field
from rocket_kernel.metadata.field_types import FieldType
from rocket_kernel.openapi.schema import BOOLEAN, OF_STORAGE, TEXT, Schema, nullable
from rocket_kernel.store.columns import Storage

FILTER = "Filter."
"""Begins the names of schemas for filters; behind it stands the type."""

_ACCEPTED: Mapping[Storage, Schema] = {
    Storage.BIGINT: {"type": ["string", "integer"]},
    Storage.DECIMAL: {"type": ["string", "number"]},
}
_LISTS = frozenset({"in", "not_in", "between"})
_TEXTS = frozenset({"like", "ilike", "contains", "starts_with", "ends_with"})


def wire_schema(type: FieldType) -> Schema:
    return OF_STORAGE[type.storage] if type.schema is None else type.schema


def answered(field: Field, *, key: bool) -> Schema:
    """Without `enum`: rows may be older than it. Null is possible wherever a row may be older than the field."""
    schema = wire_schema(field.type)
    return _told(schema if key else nullable(schema), field)


def sent(field: Field, *, key: bool = False) -> Schema:
    schema = field.type.accepts or _ACCEPTED.get(field.type.storage) or wire_schema(field.type)
    if field.enum:
        schema = {**schema, "enum": [_enum_value(form, field) for form in field.enum]}
    if field.default is not None:
        schema = {**schema, "default": field.default}
    return schema if key or field.demanded else nullable(schema)


def _enum_value(form: str, field: Field) -> Any:
    """The text form of a wire value -> the value."""
    if field.type.storage in (Storage.INTEGER, Storage.FLOAT):
        return float(form) if field.type.storage is Storage.FLOAT else int(form)
    return form == "true" if field.type.storage is Storage.BOOLEAN else form


def _told(schema: Schema, field: Field) -> Schema:
    """What people are told of a field beside its type."""
    words = [f"One of: {', '.join(field.enum)}."] if field.enum else []
    words += ["Sensitive: masked in histories and logs."] if field.sensitive else []
    return {**schema, "description": " ".join(words)} if words else schema


def filter_schemas(types: Iterable[FieldType]) -> dict[str, Schema]:
    """For each type the operators that filters on its fields take, by name of the schema."""
    return {filter_name(type): _filter_schema(type) for type in types}


def filter_name(type: FieldType) -> str:
    return f"{FILTER}{type.name}"


def _filter_schema(type: FieldType) -> Schema:
    operators = sorted(type.operators | set(type.own_operators))
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {operator: _operand(type, operator) for operator in operators},
        # Forms that are filled in with examples shall ask for nothing.
        "examples": [{}],
    }


def _operand(type: FieldType, operator: str) -> Schema:
    """Operands travel as text; a schema says which texts are meant."""
    if operator == "is_null":
        return BOOLEAN
    if operator in _LISTS:
        return {"type": "string", "description": "Values, separated by commas."}
    if operator in _TEXTS or operator in type.own_operators:
        return TEXT
    schema = wire_schema(type)
    return schema if schema.get("type") in ("string", "integer", "number", "boolean") else TEXT
