"""Entity definitions: contract §4.1 to §4.3."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rocket_kernel.metadata.field import Field, flag, parse_field, refuse, shown
from rocket_kernel.metadata.field_types import KEY_TYPES, FieldType
from rocket_kernel.metadata.names import is_identifier
from rocket_kernel.store.names import is_reserved_table

RESERVED_NAMES = frozenset({"auth"})
DELETED_AT = "deleted_at"
AUDIT = "audit"

PROPERTY_PLUGINS: Mapping[str, str] = MappingProxyType({AUDIT: "instrumentation"})
"""Properties of the contract that a plugin gives their meaning, with the plugin's name."""


@dataclass(frozen=True, slots=True)
class PrimaryKey:
    field: str
    type: str
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Slug:
    field: str
    source: str | None = None
    regenerate_on_update: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity as defined; `fields` keeps the declared order."""

    name: str
    table: str
    primary_key: PrimaryKey
    fields: Mapping[str, Field]
    slug: Slug | None = None
    soft_delete: bool = False
    audit: bool = False
    definition: Mapping[str, Any] = field(default_factory=dict)
    """The definition as it was given, unknown keys included. Not to be changed."""

    @property
    def key(self) -> Field:
        return self.fields[self.primary_key.field]

    @property
    def generated_key(self) -> bool:
        return self.primary_key.generated

    @property
    def shows_deleted_at(self) -> bool:
        """Answers add `deleted_at: null`, because the entity deletes softly and does not declare the field."""
        return self.soft_delete and DELETED_AT not in self.fields

    @property
    def value(self) -> tuple[object, ...]:
        """Everything that counts when two definitions are compared: key order and omitted defaults do not."""
        known = {"name", "table", "primary_key", "fields", "slug", "soft_delete", "audit"}
        extra = {key: self.definition[key] for key in sorted(self.definition) if key not in known}
        return (self.name, self.table, self.primary_key, tuple(self.fields.values()), self.slug,
                self.soft_delete, self.audit, extra)  # fmt: skip


def parse_entity(
    body: Mapping[str, Any], types: Mapping[str, FieldType], properties: Collection[str] = frozenset()
) -> Entity:
    """A definition -> Entity. The first failing check raises ValidationFailed with the contract's text.

    `properties` are those that some plugin gives their meaning, see `register_entity_properties`.
    """
    name = _parse_name(body)
    table = _parse_table(body, name)
    fields_body = body.get("fields")
    if not isinstance(fields_body, list) or not fields_body:
        raise refuse("entity must have at least one field")
    key_field, key_body = _parse_key_field(body.get("primary_key"))
    fields: dict[str, Field] = {}
    for position, item in enumerate(fields_body):
        field = parse_field(item, position=position, types=types, seen=set(fields))
        fields[field.name] = field
    soft_delete = flag(body, "soft_delete", where="")
    _check_deleted_at(fields, soft_delete=soft_delete)
    return Entity(
        name=name,
        table=table,
        primary_key=_parse_primary_key(key_field, key_body, fields),
        fields=MappingProxyType(fields),
        slug=_parse_slug(body.get("slug"), fields),
        soft_delete=soft_delete,
        audit=_parse_audit(body, properties),
        definition=MappingProxyType({**body, "name": name}),
    )


def _parse_audit(body: Mapping[str, Any], properties: Collection[str]) -> bool:
    audit = flag(body, AUDIT, where="")
    if audit and AUDIT not in properties:
        raise refuse(f"plugin '{PROPERTY_PLUGINS[AUDIT]}' is not enabled", at=AUDIT)
    return audit


def _parse_name(body: Mapping[str, Any]) -> str:
    name = body.get("name")
    if name is None or name == "":
        raise refuse("entity name is required")
    if not is_identifier(name) or name in RESERVED_NAMES:
        raise refuse(f"invalid entity name: {shown(name)}")
    return str(name)


def _parse_table(body: Mapping[str, Any], name: str) -> str:
    table = body.get("table")
    if table is None:
        table = name
    if table == "":
        raise refuse("table name is required")
    if not is_identifier(table) or is_reserved_table(str(table)):
        raise refuse(f"invalid table name: {shown(table)}")
    return str(table)


def _parse_key_field(body: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(body, str):
        body = {"field": body}
    if not isinstance(body, Mapping):
        raise refuse("primary key field is required")
    if "fields" in body:
        raise refuse("composite primary keys are not supported")
    field = body.get("field")
    if not isinstance(field, str) or not field:
        raise refuse("primary key field is required")
    return field, body


def _parse_primary_key(name: str, body: Mapping[str, Any], fields: Mapping[str, Field]) -> PrimaryKey:
    if name not in fields:
        raise refuse(f"primary key field {name} not found in fields")
    field_type = fields[name].type
    given = body.get("type")
    type = _canonical(field_type.name if given is None else given)
    if type not in KEY_TYPES:
        raise refuse(f"invalid primary key type: {shown(field_type.name if given is None else given)}")
    if type != field_type.canonical:
        raise refuse(f"primary key type {shown(given)} does not match field {name}")
    return PrimaryKey(field=name, type=type, generated=flag(body, "generated", where="primary_key"))


def _canonical(type: Any) -> str:
    aliases = {"integer": "int", "text": "string"}
    return aliases.get(type, type) if isinstance(type, str) else shown(type)


def _parse_slug(body: Any, fields: Mapping[str, Field]) -> Slug | None:
    if body is None:
        return None
    if isinstance(body, str):
        body = {"field": body}
    name = body.get("field") if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping) or not isinstance(name, str) or name not in fields:
        raise refuse(f'slug field "{shown(name)}" not found in fields')
    if fields[name].type.canonical != "string":
        raise refuse(f'slug field "{name}" must be of type string or text')
    if not fields[name].unique:
        raise refuse(f'slug field "{name}" must have unique: true')
    source = body.get("source")
    if source in (None, ""):
        source = None
    elif not isinstance(source, str) or source not in fields:
        raise refuse(f'slug source field "{shown(source)}" not found in fields')
    return Slug(name, source, flag(body, "regenerate_on_update", where="slug"))


def _check_deleted_at(fields: Mapping[str, Field], *, soft_delete: bool) -> None:
    declared = fields.get(DELETED_AT)
    if soft_delete and declared is not None and declared.type.canonical != "timestamp":
        raise refuse(f"invalid field type: {declared.type.name} for field {DELETED_AT}")
