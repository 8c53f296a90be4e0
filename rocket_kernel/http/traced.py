"""The trace of a request, and what it says of the answer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from rocket_kernel.http.messages import Request
from rocket_kernel.metadata.masking import MASK
from rocket_kernel.spans import Trace
from rocket_kernel.stray import STRAY
from rocket_kernel.tracing import Tracer, tell_sinks

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

logger = logging.getLogger(__name__)

_PLATFORM = "_platform"
LONGEST_PATH = 500
"""In characters; what a path of an event has beyond is cut off."""

EndedTrace: TypeAlias = tuple[Trace, Request, int | None]
"""With the status of the answer; without one the client went away before there was one."""


def begin_trace(tracer: Tracer, request: Request, raw_path: str) -> Trace | None:
    """None when nobody wants the trace of this request."""
    # The app that the path names, whether or not there is one.
    app = raw_path.split("/", 3)[2] if raw_path.startswith("/api/") else ""
    sinks = tracer.wanting(None if app == _PLATFORM else app or None, request.trace_id)
    if not sinks:
        return None
    trace = Trace(
        "http", "handler", "request.start", trace_id=request.trace_id, sinks=sinks, clock_base=request.arrived
    )
    trace.spans.append(trace)
    return trace


def end_traces(ended: Iterable[EndedTrace]) -> None:
    """Say in each what was answered, and tell its listeners. The query string is never kept."""
    described: list[Trace] = []
    for trace, request, status in ended:
        try:
            app, route = request.app_found, request.route
            trace.app = app
            trace.user_id = request.actor.id
            if route is not None:
                trace.route = route.path
            path = request.path[:LONGEST_PATH]
            if app is None or app.registry.secret_slugs:
                path = _shown_path(request, app)
            metadata = trace.metadata
            metadata["method"] = "HEAD" if request.head else request.method
            metadata["path"] = path
            if status is not None:
                metadata["status_code"] = status
            if status is None or status >= 400:
                trace.status = "error"
            described.append(trace)
        except (Exception, *STRAY):
            # One that cannot be told must not keep the others from it.
            logger.exception("trace %s is lost", trace.trace_id)
    tell_sinks(*described)


def _shown_path(request: Request, app: AppContext | None) -> str:
    """A record may be named by a slug, and that may be a field whose values are not for events. Of an app that was not
    opened, as the request was refused before, nobody knows."""
    params = request.params
    if "id" in params and "entity" in params and (app is None or params["entity"] in app.registry.secret_slugs):
        return f"/api/{params['app']}/{params['entity']}/{MASK}"[:LONGEST_PATH]
    return request.path[:LONGEST_PATH]
