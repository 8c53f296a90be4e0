"""Stage `convert`: a client's values become wire values; defaults, keys and automatic fields are filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from rocket_kernel.metadata.entity import DELETED_AT
from rocket_kernel.metadata.field import Field
from rocket_kernel.store.columns import Storage
from rocket_kernel.write.context import Write
from rocket_kernel.write.stages import CREATE

MAX_INDEXED_BYTES = 2600
"""Longest text in a unique or key field: one of the databases refuses index entries above 2704 bytes."""
_SURELY_SHORT = MAX_INDEXED_BYTES // 4
"""A letter takes at most four bytes."""

NewId = Callable[[], str]


def random_id() -> str:
    return str(uuid4())


def auto_value(field: Field, now: str) -> str:
    return now[:10] if field.type.canonical == "date" else now


def convert(write: Write, new_id: NewId = random_id) -> None:
    """Fill `write.record` from body, stored row and definition; findings are added to `write.errors`."""
    entity = write.entity
    write.record = dict(write.old) if write.old is not None else {}
    supplied: set[str] = set()
    defaults = write.compiled.pipeline.defaults
    for name, field in entity.fields.items():
        given = name in write.body and not _ignored(write, field)
        if given and not _may_give(write, name):
            write.fail(f"No permission to write {name}", field=name, rule="forbidden")
            write.record.setdefault(name, None)
        elif given:
            _take(write, field, write.body[name])
            supplied.add(name)
        elif write.action == CREATE:
            write.record[name] = defaults.get(name, field.default)
        _fill_auto(write, field)
        if write.action == CREATE or given:
            _check_required(write, field)
    if write.action == CREATE:
        _fill_key(write, new_id)
    write.supplied = frozenset(supplied)


def _ignored(write: Write, field: Field) -> bool:
    """Values that are accepted without a word and have no effect."""
    if field.auto is not None or (field.name == DELETED_AT and write.entity.soft_delete):
        return True
    if field.name == write.entity.primary_key.field:
        return write.action != CREATE or write.entity.generated_key
    return _leads_to_parent(write, field)


def _may_give(write: Write, name: str) -> bool:
    return write.writable is None or name in write.writable


def _leads_to_parent(write: Write, field: Field) -> bool:
    hop = write.hop
    return hop is not None and not hop.relation.many_to_many and field.name == hop.other_field


def _take(write: Write, field: Field, value: Any) -> None:
    name = field.name
    try:
        wire = field.read(value)
        # A plugin's type may keep as text what is no text on the wire.
        if field.type.storage is Storage.TEXT and isinstance(wire, str) and len(wire) > _SURELY_SHORT:
            _require_short(write, field, wire)
    except ValueError:
        write.fail(f"{name} must be a valid {field.type.name}", field=name, rule="type")
        write.record.setdefault(name, None)
        return
    write.record[name] = wire
    if not field.allows(wire):
        write.fail(f"{name} must be one of: {', '.join(field.enum)}", field=name, rule="enum")


def _is_indexed(write: Write, field: Field) -> bool:
    if field.unique or field.name == write.entity.primary_key.field:
        return True
    return any(hop.own_field == field.name for hop in write.run.registry.model.target_hops(write.entity.name))


def _require_short(write: Write, field: Field, text: str) -> None:
    if len(text.encode()) > MAX_INDEXED_BYTES and _is_indexed(write, field):
        raise ValueError("too long for an index")


def _fill_auto(write: Write, field: Field) -> None:
    if field.auto == "update" or (field.auto == "create" and write.action == CREATE):
        write.record[field.name] = auto_value(field, write.run.now)


def _check_required(write: Write, field: Field) -> None:
    if not field.demanded or write.record.get(field.name) not in (None, ""):
        return
    if not _has_finding(write, field.name) and not _is_exempt(write, field):
        write.fail(f"{field.name} is required", field=field.name, rule="required")


def _is_exempt(write: Write, field: Field) -> bool:
    slug, entity = write.entity.slug, write.entity
    if field.name == entity.primary_key.field and entity.generated_key:
        return True
    if slug is not None and slug.field == field.name and slug.source is not None:
        return True
    filled_later = field.name in write.compiled.pipeline.fills or not _may_give(write, field.name)
    return filled_later or _leads_to_parent(write, field)


def _has_finding(write: Write, name: str) -> bool:
    path = f"{write.path}.{name}" if write.path else name
    return any(error.field == path for error in write.errors)


def _fill_key(write: Write, new_id: NewId) -> None:
    entity = write.entity
    name = entity.primary_key.field
    if entity.generated_key:
        # Numbers are the database's to give; the column is left out of the INSERT.
        write.record[name] = new_id() if entity.primary_key.type in ("uuid", "string") else None
    elif write.record.get(name) in (None, "") and not (
        _leads_to_parent(write, entity.key) or _has_finding(write, name)
    ):
        write.fail(f"{name} is required", field=name, rule="required")


def check_filled(write: Write, names: frozenset[str]) -> None:
    """After the steps that compute fields: what is still empty and demanded is a finding."""
    if not names:
        return
    for name, field in write.entity.fields.items():
        if field.demanded and name in names and write.record.get(name) in (None, ""):
            write.fail(f"{name} is required", field=name, rule="required")
