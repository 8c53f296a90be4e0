"""From a request to its answer, in the order of contract §1.3. Both doors end here."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from time import perf_counter_ns

from rocket_kernel.actor import NOBODY, OPEN_HOUSE, Actor, CallerChanged
from rocket_kernel.errors import (
    AppNotFound,
    Forbidden,
    InternalError,
    PluginError,
    RocketError,
    Unauthorized,
    Unavailable,
)
from rocket_kernel.http.body import METHODS_WITH_BODY, drain, read_json, refuse_ambiguous_length
from rocket_kernel.http.cors import cors_headers, preflight_headers
from rocket_kernel.http.messages import JSON_HEADERS, JSON_TYPE, Request, Response, close_body, error_response
from rocket_kernel.http.router import AccessClass, BodyMode, Route
from rocket_kernel.http.traced import begin_trace
from rocket_kernel.spans import open_spans
from rocket_kernel.stray import STRAY, is_asked_for

logger = logging.getLogger(__name__)

ADMIN_SEGMENT = "_admin"
_LOOKS = 3


async def dispatch(request: Request, raw_path: str) -> Response:
    """Never raises but for cancellation: what goes wrong becomes an error body."""
    tracer = request.kernel.parts.tracer
    trace = None if tracer is None else begin_trace(tracer, request, raw_path)
    if trace is None:
        return await _dispatch(request, raw_path)
    status: int | None = None
    # As `with trace` would, for half of its price.
    outside = open_spans.get()
    open_spans.set(trace)
    try:
        response = await _dispatch(request, raw_path)
        status = response.status
    except BaseException as error:
        trace.fail(error)
        raise
    finally:
        trace.ended = perf_counter_ns()
        open_spans.set(outside)
        request.kernel.endings.traced(trace, request, status)
    return response


async def _dispatch(request: Request, raw_path: str) -> Response:
    try:
        response = await _answer(request, raw_path)
    except RocketError as error:
        response = error_response(_shown(error, request))
        await _let_finish_sending(request)
    except (Exception, *STRAY) as error:
        if is_asked_for(error):
            raise
        response = error_response(_defect(error, request))
    if request.route is not None:
        response = await _tell_participants(request, response)
    _finish(request, response)
    return response


async def _let_finish_sending(request: Request) -> None:
    """Of a body that was refused before its end."""
    stream, route = request.stream, request.route
    if stream is not None and route is not None and route.body is BodyMode.STREAM:
        await drain(stream)


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
    if match.route.in_app:
        await _open_app(request)
        return await _answer_in_app(request, match.route)
    return await _handle(request, match.route)


async def _read_body(request: Request, route: Route) -> None:
    if route.body is BodyMode.JSON and request.method in METHODS_WITH_BODY and request.stream is not None:
        kernel = request.kernel
        limit = kernel.parts.config.server.max_body_bytes
        request.body = await read_json(request.headers, request.stream, limit=limit, time_limit=kernel.body_time)
    elif request.stream is not None:
        request.stream = _noticing(request, request.stream)


async def _noticing(request: Request, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    request.stream_begun = True
    async for chunk in stream:
        yield chunk


async def _open_app(request: Request) -> None:
    request.app = await request.kernel.apps.app(request.params["app"])


async def _authorize(request: Request, route: Route) -> None:
    if route.access is not AccessClass.PUBLIC:
        await authenticate(request)
    actor = request.actor
    needs_admin = route.access is AccessClass.ADMIN or (
        route.access is AccessClass.PERMISSION and request.params.get("entity", "").lower() == ADMIN_SEGMENT
    )
    if needs_admin and not actor.is_admin:
        raise Forbidden
    if route.access is AccessClass.PLATFORM_ADMIN and not actor.is_platform_admin:
        raise Forbidden


async def authenticate(request: Request) -> Actor:
    """Find out who calls; `request.actor` says so from then on. Raises Unauthorized.

    The kernel does so before every route but public ones. A handler of a public route may, where its answer turns out to
    depend on who calls.
    """
    request.actor = await _authenticated(request)
    return request.actor


async def _authenticated(request: Request) -> Actor:
    for participant in request.kernel.authenticate:
        actor: Actor | None = await participant(request)
        if actor is not None:
            return actor if request.confirms_caller else _settled(actor)
    if request.kernel.authenticate:
        raise Unauthorized
    return OPEN_HOUSE


async def _answer_in_app(request: Request, route: Route) -> Response:
    """When the app turns out to be gone, forget it and look once more: another may have its name by now.

    To that one the request is new. Who the caller was in the other app, and what plugins noted there, counts nothing.
    """
    apps = request.kernel.apps
    try:
        return await _answer_known_caller(request, route)
    except AppNotFound as error:
        if error.app != request.app.name:
            raise  # a handler looked for another one
        await apps.forget(request.app)
    except Unavailable:
        if not await apps.is_gone(request.app):
            raise
    await _open_app(request)
    if request.stream_begun:
        raise Unavailable  # half a body is none; sent again, the request meets the new app at once
    request.actor = NOBODY
    request.stash.clear()
    return await _answer_known_caller(request, route)


async def _answer_known_caller(request: Request, route: Route) -> Response:
    """When what was known of the caller turns out to hold no longer, find out anew and answer that caller."""
    request.confirms_caller = route.confirms_caller
    if route.confirms_caller:
        for _ in range(_LOOKS):
            try:
                return await _handle(request, route)
            except CallerChanged:
                pass
            except (AppNotFound, Unavailable):
                raise
            except RocketError:
                # No session may have told, and the caller as it stands now may be due another error.
                if await request.app.still_knows(request.actor):
                    raise
            request.actor = NOBODY
            request.stash.clear()
        request.confirms_caller = False
    return await _handle(request, route)


def _settled(actor: Actor) -> Actor:
    return actor if actor.known_at is None else replace(actor, known_at=None)


async def _handle(request: Request, route: Route) -> Response:
    await _authorize(request, route)
    for participant in request.kernel.on_request:
        response: Response | None = await participant(request)
        if response is not None:
            # It stands for the handler, whose session would have told.
            if request.confirms_caller and not await request.app.still_knows(request.actor):
                raise CallerChanged
            return response
    return await route.handler(request)


async def _tell_participants(request: Request, response: Response) -> Response:
    """When one of them fails, an error is answered instead, and that is what those after it are told of."""
    for participant in request.kernel.on_response:
        try:
            await participant(request, response)
        except (Exception, *STRAY) as error:
            await close_body(response.body)
            if is_asked_for(error):
                raise
            shown = _shown(error, request) if isinstance(error, RocketError) else _defect(error, request)
            response = error_response(shown)
    return response


def _shown(error: RocketError, request: Request) -> RocketError:
    """What the client learns of an error: of a defect nothing, which is why it goes to the log."""
    return _defect(error, request) if isinstance(error, InternalError) else error


def _defect(error: BaseException, request: Request) -> InternalError:
    """The log names the plugin whose code it was, whatever kind of code: a hook, a handler, a policy, a field type."""
    plugins = request.kernel.parts.plugins.packages
    blamed = str(error) if isinstance(error, PluginError) else plugins.blame(error)
    where = "" if blamed is None else f" in {blamed}"
    logger.error("%s %s failed%s, trace %s", request.method, request.path, where, request.trace_id, exc_info=error)
    return InternalError()


def _finish(request: Request, response: Response) -> None:
    headers = response.headers
    headers["X-Trace-ID"] = request.trace_id
    if headers.get("Content-Type") == JSON_TYPE:
        for name, value in JSON_HEADERS.items():
            headers.setdefault(name, value)
    origins = request.kernel.parts.config.server.cors_origins
    if origins and request.method != "OPTIONS":
        headers.update(cors_headers(request.headers, origins))
