"""How values of fields defined with `sensitive: true` show wherever they are not asked for: contract §16.6. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel.metadata.entity import Entity

MASK = "***"
"""Stands for every value of a sensitive field."""


def is_sensitive(entity: Entity, name: str) -> bool:
    return name in entity.fields and entity.fields[name].sensitive


def masked_record(entity: Entity, record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: MASK if is_sensitive(entity, name) else value for name, value in record.items()}


def masked_change(entity: Entity, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` holds values by names such as `old` and `new`."""
    return dict.fromkeys(change, MASK) if is_sensitive(entity, name) else dict(change)
