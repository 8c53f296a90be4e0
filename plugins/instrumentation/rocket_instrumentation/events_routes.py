"""The routes of contract §16.3."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rocket_instrumentation.described import EMIT, LIST, STATS, TRACE
from rocket_instrumentation.events_emit import post_event
from rocket_instrumentation.events_list import list_events
from rocket_instrumentation.events_sink import EventSink
from rocket_instrumentation.events_stats import get_stats
from rocket_instrumentation.events_trace import get_trace
from rocket_kernel import AccessClass, Operation, Request, Response, Route

_EVENTS = "/api/:app/_events"
Handler = Callable[[Request], Awaitable[Response]]


def event_routes(sink: EventSink) -> Sequence[Route]:
    def looking(handler: Handler) -> Handler:
        async def look(request: Request) -> Response:
            await sink.look(request.app)
            return await handler(request)

        return look

    stats, trace = f"{_EVENTS}/stats", f"{_EVENTS}/trace/:traceId"
    return [
        _route("POST", _EVENTS, AccessClass.AUTHENTICATED, post_event, EMIT),
        _route("GET", _EVENTS, AccessClass.ADMIN, looking(list_events), LIST),
        _route("GET", stats, AccessClass.ADMIN, looking(get_stats), STATS),
        _route("GET", trace, AccessClass.ADMIN, looking(get_trace), TRACE),
    ]


def _route(method: str, path: str, access: AccessClass, handler: Handler, operation: Operation) -> Route:
    return Route(method=method, path=path, access=access, handler=handler, operation=operation)
