"""Health, the platform's apps, and the AI routes that only say the feature is not there (contract §1.2, §1.6, §12)."""

from __future__ import annotations

from rocket_kernel import json_text
from rocket_kernel.apps.directory import parse_new_app
from rocket_kernel.errors import NotConfigured
from rocket_kernel.http.messages import Request, Response, data, json_response
from rocket_kernel.http.router import AccessClass, Route

_OK = {"status": "ok"}


async def health(_request: Request) -> Response:
    return json_response(_OK)


async def ready(request: Request) -> Response:
    """Raises Unavailable when a database does not answer."""
    await request.kernel.ping()
    return json_response(_OK)


async def list_apps(request: Request) -> Response:
    return data(await request.kernel.apps.rows())


async def get_app(request: Request) -> Response:
    return data(await request.kernel.apps.row(request.params["name"]))


async def create_app(request: Request) -> Response:
    apps = request.kernel.apps
    new = parse_new_app(
        json_text.plain(request.body),
        own_driver=apps.own_driver,
        servers=apps.servers,
        known=request.kernel.known_drivers,
    )
    return data(await apps.create(new), 201)


async def delete_app(request: Request) -> Response:
    await request.kernel.apps.delete(request.params["name"])
    return json_response({"message": "App deleted"})


async def ai_status(_request: Request) -> Response:
    return data({"configured": False, "model": ""})


async def ai_generate(_request: Request) -> Response:
    raise NotConfigured


_APPS = "/api/_platform/apps"
_PUBLIC, _PLATFORM, _ADMIN = AccessClass.PUBLIC, AccessClass.PLATFORM_ADMIN, AccessClass.ADMIN

ROUTES = (
    Route(method="GET", path="/health", access=_PUBLIC, handler=health),
    Route(method="GET", path="/ready", access=_PUBLIC, handler=ready),
    Route(method="GET", path=_APPS, access=_PLATFORM, handler=list_apps),
    Route(method="POST", path=_APPS, access=_PLATFORM, handler=create_app),
    Route(method="GET", path=f"{_APPS}/:name", access=_PLATFORM, handler=get_app),
    Route(method="DELETE", path=f"{_APPS}/:name", access=_PLATFORM, handler=delete_app),
    Route(method="GET", path="/api/_platform/ai/status", access=_PLATFORM, handler=ai_status),
    Route(method="GET", path="/api/:app/_admin/ai/status", access=_ADMIN, handler=ai_status),
    Route(method="POST", path="/api/:app/_admin/ai/generate", access=_ADMIN, handler=ai_generate),
)
