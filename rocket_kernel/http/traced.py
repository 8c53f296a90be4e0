"""The trace of a request: its root, and what the root says of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rocket_kernel.http.messages import Request
from rocket_kernel.metadata.masking import MASK
from rocket_kernel.spans import Span
from rocket_kernel.tracing import Tracer, tell_sinks

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext

_PLATFORM = "_platform"
LONGEST_PATH = 500
"""In characters; what a path of an event has beyond is cut off."""


def begin_trace(tracer: Tracer, request: Request, raw_path: str) -> Span | None:
    """The root, to be entered; None when nobody wants the trace of this request."""
    # The app that the path names, whether or not there is one.
    app = raw_path[5:].partition("/")[0] if raw_path.startswith("/api/") else ""
    return tracer.begin(None if app == _PLATFORM else app or None, request.trace_id, "http", "handler", "request.start")


def end_trace(root: Span, request: Request, status: int | None) -> None:
    """Without a status the client went away before there was one. The query string is never kept."""
    trace, route, metadata = root.trace, request.route, root.metadata
    trace.app = app = request.app if request.in_app else None
    trace.user_id = request.actor.id
    trace.route = None if route is None else route.path
    metadata["method"] = "HEAD" if request.head else request.method
    metadata["path"] = _shown_path(request, app)
    if status is not None:
        metadata["status_code"] = status
    if status is None or status >= 400:
        root.status = "error"
    tell_sinks(root)


def _shown_path(request: Request, app: AppContext | None) -> str:
    """A record may be named by a slug, and that may be a field whose values are not for events."""
    path = request.path[:LONGEST_PATH]
    params = request.params
    if app is None or "id" not in params or "entity" not in params:
        return path
    compiled = app.registry.compiled.get(params["entity"])
    if compiled is None:
        return path
    slug = compiled.entity.slug
    if slug is None or not compiled.entity.fields[slug.field].sensitive:
        return path
    return f"/api/{app.name}/{compiled.entity.name}/{MASK}"
