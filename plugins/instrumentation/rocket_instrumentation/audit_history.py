"""`GET /:entity/:id/_history`: contract §16.6. As tight as reading the record itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_instrumentation.audit_row import CREATE, DELETE, EVERYTHING, changed_fields, shown_change
from rocket_instrumentation.audit_table import ROWS, SHOWN
from rocket_instrumentation.described import describe_history
from rocket_kernel import (
    Access,
    AccessClass,
    Comparison,
    Entity,
    NotFound,
    Registry,
    Request,
    Response,
    Route,
    Session,
    find_record,
    json_response,
    parse_count,
)

_MOST_PAGES = 10**9
_PER_PAGE = 25

Where = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Part:
    """What of a record's history a caller may see."""

    where: Where
    fields: frozenset[str] | None
    """None for all that there ever were."""


async def show_history(request: Request) -> Response:
    given, limits = request.parameters, request.app.limits
    page = parse_count(given.get("page"), default=1, maximum=_MOST_PAGES)
    per_page = parse_count(
        given.get("per_page"), default=min(_PER_PAGE, limits.max_per_page), maximum=limits.max_per_page
    )
    name, id_text = request.params["entity"], request.params["id"]

    async def work(session: Session, registry: Registry) -> Response:
        entity = registry.entity(name).entity
        access = Access(registry, request.actor)
        access.grant(name)
        if not entity.audit:
            raise NotFound(f"No history for {name}")
        part = await _visible_part(session, registry, entity, id_text, access)
        if part is None:
            raise NotFound(f"{name} with id {id_text} not found")
        total = await ROWS.count(session, part.where)
        at = (page - 1) * per_page
        rows = (
            await ROWS.select(session, part.where, order_by=("-seq",), limit=per_page, offset=at) if at < total else []
        )
        meta = {"page": page, "per_page": per_page, "total": total, "total_pages": -(-total // per_page)}
        return json_response(
            {"data": [_shown(entity, row, part.fields, request.app.name) for row in rows], "meta": meta}
        )

    return await request.app.read(work, request.actor)


async def _visible_part(
    session: Session, registry: Registry, entity: Entity, id_text: str, access: Access
) -> _Part | None:
    """None where there is nothing that the caller may know of."""
    record = await find_record(session, registry, entity, id_text, access)
    if record is None:
        return await _of_deleted(session, entity, id_text, access)
    where = _of_record(entity, record[entity.primary_key.field])
    if access.actor.is_admin and _shows_all(access, entity):
        return _Part(where, None)
    beginning = await ROWS.select(session, {**where, "action": [CREATE, DELETE]}, order_by=("-seq",), limit=1)
    if beginning:
        # What was there under this key before the record was is another record, which was deleted.
        where["seq"] = Comparison(">=" if beginning[0]["action"] == CREATE else ">", beginning[0]["seq"])
    fields = access.readable_fields(entity.name, record)
    if access.grant(entity.name).visible is not None:
        # An update of fields that the caller may not read must show no more than one that never was.
        sets = await ROWS.distinct(session, "changed", where)
        where["changed"] = [text for text in sets if text == EVERYTHING or changed_fields(text) & fields]
    return _Part(where, fields)


async def _of_deleted(session: Session, entity: Entity, id_text: str, access: Access) -> _Part | None:
    """For administrators alone. Whom a policy restricts all the same sees nothing: there is no row to judge."""
    key = _read_key(entity, id_text)
    if key is None or not access.actor.is_admin or not _shows_all(access, entity):
        return None
    where = _of_record(entity, key)
    return _Part(where, None) if await ROWS.first(session, where) is not None else None


def _of_record(entity: Entity, key: object) -> Where:
    return {"table_name": entity.table, "record_id": str(key)}


def _shows_all(access: Access, entity: Entity) -> bool:
    grant = access.grant(entity.name)
    return grant.condition is None and grant.visible is None


def _read_key(entity: Entity, text: str) -> object | None:
    """The id of a path -> wire key; None when it is not of the key's type."""
    try:
        key: object = None if "\x00" in text else entity.key.type.read_filter(text, entity.key.precision)
    except ValueError:
        return None
    return key


def _shown(entity: Entity, row: Mapping[str, Any], fields: frozenset[str] | None, app: str) -> dict[str, Any]:
    changes = {
        name: shown_change(entity, name, change, app)
        for name, change in row["changes"].items()
        if fields is None or name in fields
    }
    return {**{name: row[name] for name in SHOWN}, "changes": changes}


HISTORY_ROUTE = Route(
    method="GET",
    path="/api/:app/:entity/:id/_history",
    access=AccessClass.PERMISSION,
    handler=show_history,
    confirms_caller=True,
    operation=describe_history,
)
