"""What one row of the audit history holds. Pure but for ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

import msgspec

from rocket_kernel import MASK, Call, Entity, Field, Write, masked_change

Row = dict[str, Any]
Changes = dict[str, dict[str, Any]]

CREATE, UPDATE, DELETE = "create", "update", "delete"

EVERYTHING = "*"
"""In `changed` of a row that tells that the record came or went."""


def written_row(write: Write) -> Row:
    """The row of a record that a write has just stored or deleted."""
    entity, changes = write.entity, write_changes(write)
    for name in changes:
        if (field := entity.fields[name]).sensitive or field.type.keep is not None:
            changes[name] = _kept(field, changes[name])
    return _row(entity, write.action, write.key, changes, write.run.call)


def imported_row(entity: Entity, record: Mapping[str, Any], call: Call) -> Row:
    """The row of a record that an import has just inserted; `record` is as it is stored."""
    changes = {name: masked_change(entity, name, change) for name, change in appeared(record).items()}
    return _row(entity, CREATE, record[entity.primary_key.field], changes, call)


def write_changes(write: Write) -> Changes:
    """Each changed field with `old` and `new`; of a record that came or went each field that had a value."""
    if write.action == DELETE:
        return {name: {"old": value, "new": None} for name, value in (write.old or {}).items() if value is not None}
    if write.action == CREATE:
        return appeared(write.record)
    return write.changes


def appeared(record: Mapping[str, Any]) -> Changes:
    return {name: {"old": None, "new": value} for name, value in record.items() if value is not None}


def shown_change(entity: Entity, name: str, change: Mapping[str, Any], app: str) -> dict[str, Any]:
    """Stored values as answers show them. A field may have become sensitive, or be gone, since they were stored."""
    field = entity.fields.get(name)
    if field is None:
        return dict(change)
    masked = masked_change(entity, name, change)
    show = field.type.show
    if show is None:
        return masked
    return {key: value if value is None or value == MASK else show(value, app) for key, value in masked.items()}


def _kept(field: Field, change: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they are stored. Sensitive ones are masked already here: the history must not hold them."""
    if field.sensitive:
        return dict.fromkeys(change, MASK)
    return {key: field.kept(value) for key, value in change.items()}


def changed_text(fields: Iterable[str]) -> str:
    """Names of fields as the column `changed` keeps them: equal for equal sets."""
    return ",".join(sorted(fields))


def changed_fields(text: str) -> frozenset[str]:
    return frozenset(text.split(",")) if text else frozenset()


def _row(entity: Entity, action: str, key: object, changes: Changes, call: Call) -> Row:
    return {
        "id": str(uuid4()),
        "entity": entity.name,
        "record_id": str(key),
        "action": action,
        "user_id": call.actor.id,
        "user_email": call.actor.email,
        "trace_id": call.trace_id,
        "changes": msgspec.Raw(msgspec.json.encode(changes)),
        "created_at": call.now,
        "table_name": entity.table,
        "changed": changed_text(changes) if action == UPDATE else EVERYTHING,
    }
