"""Answering with a redirect where nothing was found, if the caller may read what the slug belonged to.

Nothing that a caller may not read changes its answer: rows are asked for with the caller's access, and a hidden record
that bears the slug today is to that caller none at all.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from rocket_kernel import (
    Access,
    Compare,
    Entity,
    Registry,
    Request,
    Response,
    Session,
    data,
    fetch_records,
    find_record,
    looks_like_key,
)
from rocket_slugtrail.trail import former_owners

_QUERY_SAFE = "!$%&'()*+,-./:;=?@[]_~"


def asks_for_a_record(request: Request) -> bool:
    """Writes are not redirected: to send a body once more is the client's to decide."""
    return request.method == "GET" and request.route is not None and request.route.path == "/api/:app/:entity/:id"


async def redirect(request: Request, response: Response, status: int) -> None:
    """Turn an answer of 404 into one of `status`, where there is somewhere to go."""
    async with request.app.reading() as (session, registry):
        if request.actor.known_at not in (None, registry.callers):
            return  # what the caller may do has changed since it was found out
        target = await _target(request, session, registry)
    if target is None:
        return
    app, entity = request.params["app"], request.params["entity"]
    location = f"/api/{quote(app, safe='')}/{quote(entity, safe='')}/{quote(target, safe='')}"
    if request.query_string:
        location = f"{location}?{quote(request.query_string, safe=_QUERY_SAFE)}"
    answer = data({"location": location}, status)
    response.status, response.body = status, answer.body
    response.headers.update({**answer.headers, "Location": location})


async def _target(request: Request, session: Session, registry: Registry) -> str | None:
    """The id or slug under which the record is found today."""
    entity = registry.model.entities.get(request.params["entity"])
    asked = request.params["id"]
    if entity is None or entity.slug is None or looks_like_key(entity, asked):
        return None
    access, field = Access(registry, request.actor), entity.slug.field
    if not access.may_read(entity.name) or not access.may_name(entity.name, field):
        return None
    record = await _last_owner(session, registry, entity, access, asked)
    if record is None or field not in access.readable_fields(entity.name, record):
        return None
    slug, key = record[field], record[entity.primary_key.field]
    if slug and slug != asked and slug not in (".", ".."):
        found = await find_record(session, registry, entity, slug, access)
        if found is not None and found[entity.primary_key.field] == key:
            return str(slug)
    return str(key)


async def _last_owner(
    session: Session, registry: Registry, entity: Entity, access: Access, slug: str
) -> dict[str, Any] | None:
    """Of the records that have had the slug and that the caller may read, the one that had it last."""
    if entity.slug is None or "\0" in slug:
        return None
    keys = [_read_key(entity, text) for text in await former_owners(session, entity, entity.slug.field, slug)]
    if not keys:
        return None
    rows = await fetch_records(
        session, registry, entity.name, access, where=Compare(entity.key, "in", tuple(keys)), limit=len(keys)
    )
    by_key = {row[entity.primary_key.field]: row for row in rows}
    return next((by_key[key] for key in keys if key in by_key), None)


def _read_key(entity: Entity, text: str) -> Any:
    return entity.key.type.read_filter(text, entity.key.precision)
