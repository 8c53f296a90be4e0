"""From a request to its answer, in the order of contract §1.3. Both doors end here."""

from __future__ import annotations

import logging

from rocket_kernel.actor import OPEN_HOUSE, Actor
from rocket_kernel.errors import AppNotFound, Forbidden, InternalError, RocketError, Unauthorized, Unavailable
from rocket_kernel.http.body import METHODS_WITH_BODY, read_json, refuse_ambiguous_length
from rocket_kernel.http.cors import cors_headers, preflight_headers
from rocket_kernel.http.messages import JSON_TYPE, Request, Response, error_response
from rocket_kernel.http.router import AccessClass, BodyMode, Route

logger = logging.getLogger(__name__)

ADMIN_SEGMENT = "_admin"


async def dispatch(request: Request, raw_path: str) -> Response:
    """Never raises but for cancellation: what goes wrong becomes an error body."""
    try:
        response = await _answer(request, raw_path)
    except RocketError as error:
        response = error_response(_shown(error, request))
    except Exception:
        logger.exception("%s %s failed, trace %s", request.method, request.path, request.trace_id)
        response = error_response(InternalError())
    if request.route is not None:
        response = await _tell_participants(request, response)
    _finish(request, response)
    return response


async def _answer(request: Request, raw_path: str) -> Response:
    kernel = request.kernel
    refuse_ambiguous_length(request.headers)
    if request.method == "OPTIONS":
        allowed = kernel.router.allowed(raw_path)
        origins = kernel.parts.config.server.cors_origins
        preflight = preflight_headers(request.headers, origins, allowed)
        return Response(204, headers={"Allow": ", ".join(allowed), **preflight})
    match = kernel.router.match(request.method, raw_path)
    request.route, request.params = match.route, match.params
    if request.method == "HEAD":
        request.head, request.method = True, "GET"
    await _read_body(request, match.route)
    if match.route.segments[:2] == ("api", ":app"):
        await _open_app(request)
        return await _answer_in_app(request, match.route)
    return await _handle(request, match.route)


async def _read_body(request: Request, route: Route) -> None:
    if route.body is BodyMode.JSON and request.method in METHODS_WITH_BODY and request.stream is not None:
        limit = request.kernel.parts.config.server.max_body_bytes
        request.body = await read_json(request.headers, request.stream, limit=limit)


async def _open_app(request: Request) -> None:
    request.app = await request.kernel.apps.app(request.params["app"])


async def _authorize(request: Request, route: Route) -> None:
    if route.access is not AccessClass.PUBLIC:
        request.actor = await _authenticated(request)
    actor = request.actor
    needs_admin = route.access is AccessClass.ADMIN or (
        route.access is AccessClass.PERMISSION and request.params.get("entity", "").lower() == ADMIN_SEGMENT
    )
    if needs_admin and not actor.is_admin:
        raise Forbidden
    if route.access is AccessClass.PLATFORM_ADMIN and not actor.is_platform_admin:
        raise Forbidden


async def _authenticated(request: Request) -> Actor:
    for participant in request.kernel.authenticate:
        actor: Actor | None = await participant(request)
        if actor is not None:
            return actor
    if request.kernel.authenticate:
        raise Unauthorized
    return OPEN_HOUSE


async def _answer_in_app(request: Request, route: Route) -> Response:
    """When the app turns out to be gone, forget it and look once more: another may have its name by now."""
    apps = request.kernel.apps
    try:
        return await _handle(request, route)
    except AppNotFound:
        await apps.forget(request.app)
    except Unavailable:
        # The database of an app that another process deleted is as far away as one whose server is down.
        if await apps.is_current(request.app):
            raise
        await apps.forget(request.app)
    await _open_app(request)
    return await _handle(request, route)


async def _handle(request: Request, route: Route) -> Response:
    await _authorize(request, route)
    for participant in request.kernel.on_request:
        response: Response | None = await participant(request)
        if response is not None:
            return response
    return await route.handler(request)


async def _tell_participants(request: Request, response: Response) -> Response:
    try:
        for participant in request.kernel.on_response:
            await participant(request, response)
    except RocketError as error:
        return error_response(_shown(error, request))
    except Exception:
        logger.exception("on_response failed for %s %s", request.method, request.path)
        return error_response(InternalError())
    return response


def _shown(error: RocketError, request: Request) -> RocketError:
    """What the client learns of an error: of a defect nothing, which is why it goes to the log."""
    if not isinstance(error, InternalError):
        return error
    logger.error("%s %s failed, trace %s", request.method, request.path, request.trace_id, exc_info=error)
    return InternalError()


def _finish(request: Request, response: Response) -> None:
    headers = response.headers
    headers["X-Trace-ID"] = request.trace_id
    if headers.get("Content-Type") == JSON_TYPE:
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("X-Content-Type-Options", "nosniff")
    if request.method != "OPTIONS":
        headers.update(cors_headers(request.headers, request.kernel.parts.config.server.cors_origins))
