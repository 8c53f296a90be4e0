"""Relation definitions: contract §4.8."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rocket_kernel.metadata.entity import Entity
from rocket_kernel.metadata.field import refuse, shown
from rocket_kernel.metadata.names import is_identifier
from rocket_kernel.store.names import is_reserved_column, is_reserved_table

TYPES = ("one_to_one", "one_to_many", "many_to_many")
ON_DELETE = ("cascade", "set_null", "restrict", "detach")
FETCH = ("lazy", "eager")
WRITE_MODES = ("diff", "replace", "append")
OWNERSHIP = ("source", "target", "none")


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation as defined. `target_key` is "" for many_to_many, the join names are "" otherwise."""

    name: str
    type: str
    source: str
    target: str
    source_key: str
    target_key: str = ""
    join_table: str = ""
    source_join_key: str = ""
    target_join_key: str = ""
    ownership: str | None = None
    on_delete: str | None = None
    fetch: str = "lazy"
    write_mode: str = "diff"
    definition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def many_to_many(self) -> bool:
        return self.type == "many_to_many"

    @property
    def value(self) -> tuple[object, ...]:
        """Everything that counts when two definitions are compared."""
        known = {"name", "type", "source", "target", "source_key", "target_key", "join_table", "source_join_key",
                 "target_join_key", "ownership", "on_delete", "fetch", "write_mode"}  # fmt: skip
        extra = {key: self.definition[key] for key in sorted(self.definition) if key not in known}
        keys = () if self.many_to_many else (self.source_key, self.target_key)
        return (self.name, self.type, self.source, self.target, keys, self.join_table, self.source_join_key,
                self.target_join_key, self.ownership, self.on_delete, self.fetch, self.write_mode, extra)  # fmt: skip


def parse_relation(body: Mapping[str, Any], entities: Mapping[str, Entity]) -> Relation:
    """A definition -> Relation. The first failing check raises ValidationFailed with the contract's text."""
    name = _parse_name(body.get("name"))
    source, target = _parse_ends(body, entities)
    type = body.get("type")
    if type not in TYPES:
        raise refuse(f"invalid relation type: {shown(type)}")
    keys = _parse_join(body, source, target) if type == "many_to_many" else _parse_keys(body, source, target)
    return Relation(
        name=name,
        type=str(type),
        source=source.name,
        target=target.name,
        **keys,
        on_delete=_choice(body, "on_delete", ON_DELETE, None),
        fetch=_choice(body, "fetch", FETCH, "lazy") or "lazy",
        write_mode=_choice(body, "write_mode", WRITE_MODES, "diff") or "diff",
        ownership=_choice(body, "ownership", OWNERSHIP, None),
        definition=MappingProxyType({**body, "name": name}),
    )


def _parse_name(name: Any) -> str:
    if name is None or name == "":
        raise refuse("relation name is required")
    if not is_identifier(name):
        raise refuse(f"invalid relation name: {shown(name)}")
    return str(name)


def _parse_ends(body: Mapping[str, Any], entities: Mapping[str, Entity]) -> tuple[Entity, Entity]:
    source, target = body.get("source"), body.get("target")
    if not source or not target:
        raise refuse("source and target are required")
    if not isinstance(source, str) or source not in entities:
        raise refuse(f"source entity not found: {shown(source)}")
    if not isinstance(target, str) or target not in entities:
        raise refuse(f"target entity not found: {shown(target)}")
    return entities[source], entities[target]


def _parse_join(body: Mapping[str, Any], source: Entity, target: Entity) -> dict[str, str]:
    join_table = body.get("join_table")
    if not join_table:
        raise refuse("join_table is required for many_to_many relations")
    names = {
        "join_table": join_table,
        "source_join_key": body.get("source_join_key") or f"{source.name}_id",
        "target_join_key": body.get("target_join_key") or f"{target.name}_id",
    }
    for key, value in names.items():
        reserved = is_reserved_table if key == "join_table" else is_reserved_column
        if not is_identifier(value) or reserved(value):
            raise refuse(f"invalid {key}: {shown(value)}")
    if names["source_join_key"] == names["target_join_key"]:
        raise refuse("source_join_key and target_join_key must differ")
    # Join rows always hold primary keys; the given source_key is kept in the definition and has no use.
    return {"source_key": source.primary_key.field, **names}


def _parse_keys(body: Mapping[str, Any], source: Entity, target: Entity) -> dict[str, str]:
    source_key, target_key = body.get("source_key"), body.get("target_key")
    if isinstance(source_key, str) and source_key not in source.fields and source_key in target.fields:
        target_key, source_key = target_key or source_key, None
    if not target_key:
        raise refuse("target_key is required")
    if not isinstance(target_key, str) or target_key not in target.fields:
        raise refuse(f'target key field "{shown(target_key)}" not found in {target.name}')
    source_key = source_key or source.primary_key.field
    if not isinstance(source_key, str) or source_key not in source.fields:
        raise refuse(f'source key field "{shown(source_key)}" not found in {source.name}')
    if source_key != source.primary_key.field and not source.fields[source_key].unique:
        raise refuse(f'source key field "{source_key}" must be unique')
    if target.fields[target_key].type.canonical != source.fields[source_key].type.canonical:
        raise refuse(f'target key field "{target_key}" must have the type of {source.name}.{source_key}')
    return {"source_key": source_key, "target_key": target_key}


def _choice(body: Mapping[str, Any], key: str, allowed: tuple[str, ...], default: str | None) -> str | None:
    value = body.get(key)
    if value is None:
        return default
    if value not in allowed:
        raise refuse(f"invalid {key}: {shown(value)}")
    return str(value)
