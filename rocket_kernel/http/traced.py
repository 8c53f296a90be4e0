"""The trace of a request: its root, and what the root says of the answer."""

from __future__ import annotations

from rocket_kernel.http.messages import Request, Response
from rocket_kernel.metadata.masking import MASK
from rocket_kernel.tracing import Span, Tracer

_PREFIX = "/api/"
_PLATFORM = "_platform"
LONGEST_PATH = 500
"""In characters; what a path of an event has beyond is cut off."""


def begin_trace(tracer: Tracer, request: Request, raw_path: str) -> Span | None:
    """The root, to be entered; None when nobody wants the trace of this request."""
    return tracer.begin(_app_named(raw_path), request.trace_id, "http", "handler", "request.start")


def end_trace(tracer: Tracer, root: Span, request: Request, response: Response | None) -> None:
    """Without a response the client went away before there was one. The query string is never kept."""
    trace = root.trace
    trace.app = request.app if request.in_app else None
    trace.user_id = request.actor.id
    trace.route = None if request.route is None else request.route.path
    metadata = root.metadata
    metadata["method"] = "HEAD" if request.head else request.method
    metadata["path"] = _shown_path(request)
    if response is None:
        root.status = "error"
    else:
        metadata["status_code"] = response.status
        if response.status >= 400:
            root.status = "error"
    tracer.end(root)


def _shown_path(request: Request) -> str:
    """A record may be named by a slug, and that may be a field whose values are not for events."""
    path = request.path[:LONGEST_PATH]
    if "id" not in request.params or "entity" not in request.params or not request.in_app:
        return path
    compiled = request.app.registry.compiled.get(request.params["entity"])
    slug = None if compiled is None else compiled.entity.slug
    if compiled is None or slug is None or not compiled.entity.fields[slug.field].sensitive:
        return path
    return f"/api/{request.app.name}/{compiled.entity.name}/{MASK}"


def _app_named(raw_path: str) -> str | None:
    """The app that a path names, whether or not there is one."""
    if not raw_path.startswith(_PREFIX):
        return None
    name = raw_path[len(_PREFIX) :].partition("/")[0]
    return None if name in ("", _PLATFORM) else name
