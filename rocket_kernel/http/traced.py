"""The trace of a request, and what it says of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rocket_kernel.http.messages import Request
from rocket_kernel.metadata.masking import MASK
from rocket_kernel.spans import Trace
from rocket_kernel.tracing import Tracer, tell_sinks

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

_PLATFORM = "_platform"
LONGEST_PATH = 500
"""In characters; what a path of an event has beyond is cut off."""


def begin_trace(tracer: Tracer, request: Request, raw_path: str) -> Trace | None:
    """To be entered; None when nobody wants the trace of this request."""
    # The app that the path names, whether or not there is one.
    app = raw_path.split("/", 3)[2] if raw_path.startswith("/api/") else ""
    return tracer.begin(None if app == _PLATFORM else app or None, request.trace_id, "http", "handler", "request.start")


def end_trace(trace: Trace, request: Request, status: int | None) -> None:
    """Without a status the client went away before there was one. The query string is never kept."""
    app, route = request.app_found, request.route
    trace.app = app
    trace.user_id = request.actor.id
    if route is not None:
        trace.route = route.path
    answer = {
        "method": "HEAD" if request.head else request.method,
        "path": request.path[:LONGEST_PATH],
        "status_code": status,
    }
    if app is not None and app.registry.secret_slugs:
        answer["path"] = _shown_path(request, app)
    if status is None:
        del answer["status_code"]
    if status is None or status >= 400:
        trace.status = "error"
    if trace.noted_metadata is None:
        trace.noted_metadata = answer
    else:
        trace.noted_metadata.update(answer)
    tell_sinks(trace)


def _shown_path(request: Request, app: AppContext) -> str:
    """A record may be named by a slug, and that may be a field whose values are not for events."""
    params = request.params
    if "id" in params and params.get("entity") in app.registry.secret_slugs:
        return f"/api/{app.name}/{params['entity']}/{MASK}"
    return request.path[:LONGEST_PATH]
