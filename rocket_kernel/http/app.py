"""The Quart application around a kernel: life cycle, embedding, and the plain door for every route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from quart import Quart
from quart import Response as QuartResponse
from quart import request as quart_request
from quart.ctx import RequestContext

from rocket_kernel.clock import timestamp_text
from rocket_kernel.http.dispatch import dispatch
from rocket_kernel.http.messages import Request, Response
from rocket_kernel.http.trace import trace_id
from rocket_kernel.kernel import Kernel

SHUTDOWN_TIMEOUT_S = 30


class RocketQuart(Quart):
    """Quart with the kernel's own route table. Routes that a host adds to it work beside, and first."""

    kernel: Kernel

    async def dispatch_request(self, request_context: RequestContext | None = None) -> Any:
        """Quart's routes first, then the kernel's, because Rocket's entities are no Quart routes."""
        request = quart_request if request_context is None else request_context.request
        if request.routing_exception is None:
            return await super().dispatch_request(request_context)
        answer = await dispatch(_kernel_request(self.kernel, request), _raw_path(request.scope))
        return _quart_response(answer, head=request.method == "HEAD")


def create_app(kernel: Kernel) -> RocketQuart:
    """An ASGI application that starts the kernel with the server and stops it with it."""
    app = RocketQuart("rocket_kernel", static_folder=None)
    app.kernel = kernel
    # Bodies have limits of our own, which answer with the contract's error.
    app.config["MAX_CONTENT_LENGTH"] = None
    app.config["BODY_TIMEOUT"] = None
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["SHUTDOWN_TIMEOUT"] = SHUTDOWN_TIMEOUT_S
    app.before_serving(kernel.start)
    app.after_serving(kernel.stop)
    return app


def _kernel_request(kernel: Kernel, request: Any) -> Request:
    scope = request.scope
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", ())}
    client = scope.get("client")
    return Request(
        kernel=kernel,
        method=request.method,
        path=scope["path"],
        query_string=_query_string(scope),
        headers=headers,
        trace_id=trace_id(headers),
        now=timestamp_text(kernel.parts.clock.now()),
        peer=client[0] if client else None,
        stream=_chunks(request.body),
    )


def _query_string(scope: Any) -> str:
    raw: bytes = scope.get("query_string", b"")
    return raw.decode("latin-1") if raw.isascii() else quote(raw, safe="%&=+[].,:;/?-_~!*'()$@|")


def _raw_path(scope: Any) -> str:
    raw = scope.get("raw_path")
    if raw:
        return str(raw.decode("latin-1")).partition("?")[0]
    return quote(scope["path"])


async def _chunks(body: Any) -> AsyncIterator[bytes]:
    async for chunk in body:
        yield chunk


def _quart_response(answer: Response, *, head: bool) -> QuartResponse:
    body = b"" if head or answer.status in (204, 304) else answer.body
    response = QuartResponse(body, status=answer.status)
    response.headers.clear()
    for name, value in answer.headers.items():
        response.headers[name] = value
    if head and isinstance(answer.body, bytes):
        response.headers["Content-Length"] = str(len(answer.body))
    elif isinstance(body, bytes) and answer.status not in (204, 304):
        response.headers["Content-Length"] = str(len(body))
    # The kernel sets its own limits of time; Quart would cut long downloads.
    response.timeout = None
    return response
