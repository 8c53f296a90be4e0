"""Who may read a file: contract §13.5. Asked anew at each request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_files.file_field import TYPE_NAME
from rocket_files.stored_file import StoredFile
from rocket_kernel import Access, Actor, AnyOf, Compare, Entity, Registry, Session, fetch_records

_BATCH = 100


async def may_read(session: Session, registry: Registry, actor: Actor, file: StoredFile) -> bool:
    """Admins, whoever uploaded it, and whoever may read a record and in it the field that refers to the file.

    Signed links are not its business.
    """
    if file.public or actor.is_admin or (actor.id is not None and actor.id == file.uploaded_by):
        return True
    access = Access(registry, actor)
    for entity in registry.model.entities.values():
        if await _shown_by(session, registry, access, entity, file.id):
            return True
    return False


def file_fields(entity: Entity) -> list[str]:
    return [name for name, field in entity.fields.items() if field.type.name == TYPE_NAME]


async def _shown_by(session: Session, registry: Registry, access: Access, entity: Entity, id: str) -> bool:
    names = file_fields(entity)
    if not names or not access.may_read(entity.name):
        return False
    where = AnyOf(tuple(Compare(entity.fields[name], "eq", {"id": id}) for name in names))
    # Where fields are hidden by record, the first record may hide it and a later one show it.
    limit = 1 if access.grant(entity.name).visible is None else _BATCH
    offset = 0
    while True:
        records = await fetch_records(session, registry, entity.name, access, where=where, limit=limit, offset=offset)
        if any(_shows(access, entity, record, names, id) for record in records):
            return True
        if len(records) < limit:
            return False
        offset += limit


def _shows(access: Access, entity: Entity, record: Mapping[str, Any], names: list[str], id: str) -> bool:
    readable = access.readable_fields(entity.name, record)
    return any(name in readable and record[name] is not None and record[name]["id"] == id for name in names)
