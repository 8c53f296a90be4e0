"""The routes of contract §16.3."""

from __future__ import annotations

from rocket_instrumentation.events_emit import post_event
from rocket_instrumentation.events_list import list_events
from rocket_instrumentation.events_stats import get_stats
from rocket_instrumentation.events_trace import get_trace
from rocket_kernel import AccessClass, Route

_EVENTS = "/api/:app/_events"
_ADMIN = AccessClass.ADMIN

EVENT_ROUTES = (
    Route(method="POST", path=_EVENTS, access=AccessClass.AUTHENTICATED, handler=post_event),
    Route(method="GET", path=_EVENTS, access=_ADMIN, handler=list_events),
    Route(method="GET", path=f"{_EVENTS}/stats", access=_ADMIN, handler=get_stats),
    Route(method="GET", path=f"{_EVENTS}/trace/:traceId", access=_ADMIN, handler=get_trace),
)
