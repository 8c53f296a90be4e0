"""Admin CRUD: one set of handlers for every declared metadata kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rocket_kernel import json_text
from rocket_kernel.http.messages import Request, Response, data
from rocket_kernel.http.router import AccessClass, Handler, Route
from rocket_kernel.metadata.catalog import not_found, stored_item
from rocket_kernel.metadata.kinds import MetadataKind, Stored
from rocket_kernel.metadata.registry import Registry
from rocket_kernel.openapi.kinds import kind_operations
from rocket_kernel.store.table_rows import TableRows


def kind_routes(kind: MetadataKind[Any]) -> list[Route]:
    """The five methods of contract §1.2 for one kind."""
    collection = f"/api/:app/_admin/{kind.path}"
    one = f"{collection}/:key"
    reads = AccessClass.ADMIN if kind.readers == "admin" else AccessClass.AUTHENTICATED
    does = kind_operations(kind)
    writes = AccessClass.ADMIN
    return [
        Route(method="GET", path=collection, access=reads, handler=_lister(kind), operation=does["list"]),
        Route(method="POST", path=collection, access=writes, handler=_creator(kind), operation=does["create"]),
        Route(method="GET", path=one, access=reads, handler=_getter(kind), operation=does["get"]),
        Route(method="PUT", path=one, access=writes, handler=_replacer(kind), operation=does["replace"]),
        Route(method="DELETE", path=one, access=writes, handler=_remover(kind), operation=does["remove"]),
    ]


def _shown(kind: MetadataKind[Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in row.items() if name not in kind.hidden} if kind.hidden else row


def _exists(kind: MetadataKind[Any], stored: Stored[Any], request: Request, registry: Registry) -> bool:
    """For the caller; administrators have been told from others before."""
    return kind.readers == "admin" or registry.shows(request.actor, kind.name, stored.item)


def _lister(kind: MetadataKind[Any]) -> Handler:
    async def list_items(request: Request) -> Response:
        async with request.app.reading() as (session, registry):
            rows = await TableRows(kind.table).select(session, order_by=kind.order_by)
        items = registry.model.of(kind.name)
        visible = (
            row for row in rows if row[kind.key] in items and _exists(kind, items[row[kind.key]], request, registry)
        )
        return data([_shown(kind, row) for row in visible])

    return list_items


def _getter(kind: MetadataKind[Any]) -> Handler:
    async def get_item(request: Request) -> Response:
        async with request.app.reading() as (_session, registry):
            stored = stored_item(kind, request.params["key"], registry.model)
            if not _exists(kind, stored, request, registry):
                raise not_found(kind, request.params["key"])
        return data(_shown(kind, stored.row))

    return get_item


def _creator(kind: MetadataKind[Any]) -> Handler:
    async def create_item(request: Request) -> Response:
        body = json_text.plain(request.body)
        async with request.app.changing() as catalog:
            stored = await catalog.create(kind, body)
        return data(kind.answer(_shown(kind, stored.row), stored.item), 201)

    return create_item


def _replacer(kind: MetadataKind[Any]) -> Handler:
    async def replace_item(request: Request) -> Response:
        body = json_text.plain(request.body)
        async with request.app.changing() as catalog:
            stored = await catalog.replace(kind, request.params["key"], body)
        return data(kind.answer(_shown(kind, stored.row), stored.item))

    return replace_item


def _remover(kind: MetadataKind[Any]) -> Handler:
    async def remove_item(request: Request) -> Response:
        async with request.app.changing() as catalog:
            stored = await catalog.remove(kind, request.params["key"])
        return data({kind.key: stored.key, "deleted": True})

    return remove_item
