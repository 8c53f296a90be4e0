"""Health, the platform's apps, and the AI routes that only say the feature is not there (contract §1.2, §1.6, §12)."""

from __future__ import annotations

from rocket_kernel import json_text
from rocket_kernel.apps.directory import parse_new_app
from rocket_kernel.errors import NotConfigured
from rocket_kernel.http.messages import Request, Response, data, json_response
from rocket_kernel.http.router import AccessClass, Handler, Route
from rocket_kernel.openapi.operation import Operation, Success, answers_data
from rocket_kernel.openapi.schema import BOOLEAN, OBJECT, TEXT, TIMESTAMP, array_of, object_of, one_of

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


def _route(method: str, path: str, access: AccessClass, handler: Handler, operation: Operation) -> Route:
    return Route(method=method, path=path, access=access, handler=handler, operation=operation)


_STATUS = {200: Success(schema=object_of({"status": one_of("ok")}))}
_HEALTH = Operation(summary="Tell that the process answers", tag="health", answers=_STATUS)
_READY = Operation(summary="Tell that the databases answer", tag="health", answers=_STATUS)

_TEXTS = ("name", "display_name", "db_name", "db_driver", "status")
_APP = object_of({**dict.fromkeys(_TEXTS, TEXT), "created_at": TIMESTAMP, "updated_at": TIMESTAMP})
_LIST_APPS = Operation(summary="List apps", tag="apps", answers=answers_data(array_of(_APP)))
_GET_APP = Operation(summary="Get an app", tag="apps", answers=answers_data(_APP))
_CREATE_APP = Operation(
    summary="Create an app",
    tag="apps",
    body={
        "type": "object",
        "required": ["name"],
        "properties": {"name": TEXT, "display_name": TEXT, "db_driver": TEXT},
    },
    answers=answers_data({**_APP, "additionalProperties": True}, status=201),
    refusals=frozenset({409}),
)
_DELETE_APP = Operation(
    summary="Delete an app with everything in it",
    tag="apps",
    answers={200: Success(schema=object_of({"message": TEXT}))},
)
_AI_STATUS = Operation(
    summary="Tell whether AI generation is there",
    tag="ai",
    answers=answers_data(object_of({"configured": BOOLEAN, "model": TEXT})),
)
_AI_GENERATE = Operation(
    summary="Generate definitions", tag="ai", body=OBJECT, answers={}, refusals=frozenset({NotConfigured.status})
)

ROUTES = (
    _route("GET", "/health", _PUBLIC, health, _HEALTH),
    _route("GET", "/ready", _PUBLIC, ready, _READY),
    _route("GET", _APPS, _PLATFORM, list_apps, _LIST_APPS),
    _route("POST", _APPS, _PLATFORM, create_app, _CREATE_APP),
    _route("GET", f"{_APPS}/:name", _PLATFORM, get_app, _GET_APP),
    _route("DELETE", f"{_APPS}/:name", _PLATFORM, delete_app, _DELETE_APP),
    _route("GET", "/api/_platform/ai/status", _PLATFORM, ai_status, _AI_STATUS),
    _route("GET", "/api/:app/_admin/ai/status", _ADMIN, ai_status, _AI_STATUS),
    _route("POST", "/api/:app/_admin/ai/generate", _ADMIN, ai_generate, _AI_GENERATE),
)
