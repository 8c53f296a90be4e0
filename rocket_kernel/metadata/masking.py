"""How values of fields defined with `sensitive: true` show wherever they are not asked for: contract §16.6. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rocket_kernel.metadata.entity import Entity

MASK = "***"
"""Stands for every value of a sensitive field."""


def is_sensitive(entity: Entity, name: str) -> bool:
    return name in entity.fields and entity.fields[name].sensitive


def sensitive_names(entity: Entity | None) -> frozenset[str]:
    """The names of its sensitive fields; none of no entity."""
    if entity is None:
        return frozenset()
    return frozenset(name for name, field in entity.fields.items() if field.sensitive)


def masked_members(value: Any, names: Collection[str]) -> Any:
    """A JSON value with the members of these names masked, however deep they stand: for values of no known form."""
    if not names:
        return value
    if isinstance(value, Mapping):
        return {name: MASK if name in names else masked_members(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [masked_members(item, names) for item in value]
    return value


def masked_record(entity: Entity, record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: MASK if is_sensitive(entity, name) else value for name, value in record.items()}


def masked_change(entity: Entity, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` holds values by names such as `old` and `new`."""
    return dict.fromkeys(change, MASK) if is_sensitive(entity, name) else dict(change)
