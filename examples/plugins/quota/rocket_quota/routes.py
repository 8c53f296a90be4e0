"""Showing and resetting what has been used."""

from __future__ import annotations

from typing import Any

from rocket_kernel import AccessClass, NotFound, Request, Response, Route, data
from rocket_quota.settings import QuotaSettings
from rocket_quota.use import all_use, caller_of, reset, used_in, window_at


async def list_use(request: Request) -> Response:
    async with request.app.reading() as (session, _registry):
        rows = await all_use(session, request.now)
    return data([_shown(row) for row in rows])


async def reset_use(request: Request) -> Response:
    caller = request.params["caller"]
    async with request.app.writing() as (tx, _registry):
        if "\0" in caller or not await reset(tx, caller):
            raise NotFound(f"Quota use not found: {caller}")
    return data({"caller": caller, "reset": True})


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "left": max(0, row["allowed"] - row["used"])}


def routes(settings: QuotaSettings) -> list[Route]:
    async def own_use(request: Request) -> Response:
        """What is left to the caller itself; all null where it has no limit."""
        limit = settings.limit_of(request.actor)
        if limit is None:
            return data({"allowed": None, "used": None, "left": None, "ends_at": None})
        window = window_at(request.now, settings.window_s)
        async with request.app.reading() as (session, _registry):
            used = await used_in(session, caller_of(request.actor), window)
        return data({"allowed": limit, "used": used, "left": max(0, limit - used), "ends_at": window.ends_at})

    admin = AccessClass.ADMIN
    return [
        Route(method="GET", path="/api/:app/_quota", access=AccessClass.AUTHENTICATED, handler=own_use),
        Route(method="GET", path="/api/:app/_admin/quota", access=admin, handler=list_use),
        Route(method="DELETE", path="/api/:app/_admin/quota/:caller", access=admin, handler=reset_use),
    ]
