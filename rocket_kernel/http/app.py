"""The Quart application around a kernel: life cycle, embedding, and the plain door for every route."""

from __future__ import annotations

from typing import Any, cast

from quart import Quart
from quart import Request as QuartRequest
from quart import Response as QuartResponse
from quart import request as quart_request
from quart.ctx import RequestContext

from rocket_kernel.http.body import BoundedBody
from rocket_kernel.http.dispatch import dispatch
from rocket_kernel.http.lane import LaneConnection
from rocket_kernel.http.messages import Request, Response, close_body
from rocket_kernel.http.scope import make_request, raw_path
from rocket_kernel.kernel import Kernel

SHUTDOWN_TIMEOUT_S = 30


class RocketRequest(QuartRequest):
    body_class = BoundedBody
    of_kernel: Request | None = None
    """The same request as the kernel sees it, once it has been handed on to it."""


class RocketQuart(Quart):
    """Quart with the kernel's own route table. Routes that a host adds to it work beside, and first."""

    asgi_http_class = LaneConnection
    request_class = RocketRequest
    kernel: Kernel
    lane: bool = True
    """Whether record requests take the data lane; without it all go through Quart, with the same answers."""

    @property
    def lane_open(self) -> bool:
        """What a host hangs into Quart's own request cycle must see every request."""
        if not self.lane or self.teardown_appcontext_funcs:
            return False
        # By blueprint, None for the whole application. Quart makes empty lists in these tables when it looks into them.
        if (
            self.before_request_funcs.get(None)
            or self.after_request_funcs.get(None)
            or self.teardown_request_funcs.get(None)
            or self.url_value_preprocessors.get(None)
        ):
            return False
        return not self.view_functions or not any(map(_may_match_records, self.url_map.iter_rules()))

    def create_url_adapter(self, request: Any) -> Any:
        """Quart cannot match a query that is not UTF-8; without an adapter the request is left to the kernel."""
        try:
            return super().create_url_adapter(request)
        except UnicodeDecodeError:
            return None

    async def dispatch_request(self, request_context: RequestContext | None = None) -> Any:
        """Quart's routes first, then the kernel's, because Rocket's entities are no Quart routes."""
        request = quart_request if request_context is None else request_context.request
        body = cast(BoundedBody, request.body)
        if request.url_rule is not None:
            body.unbound()
            return await super().dispatch_request(request_context)
        handed_on = make_request(self.kernel, request.scope, body)
        cast(RocketRequest, request).of_kernel = handed_on
        answer = await dispatch(handed_on, raw_path(request.scope))
        return await _quart_response(answer, head=request.method == "HEAD")


def _may_match_records(rule: Any) -> bool:
    return str(rule.rule).startswith(("/api", "/<"))


def create_app(kernel: Kernel, *, lane: bool = True) -> RocketQuart:
    """An ASGI application that starts the kernel with the server and stops it with it."""
    app = RocketQuart("rocket_kernel", static_folder=None)
    app.kernel = kernel
    app.lane = lane
    # Bodies have limits of our own, which answer with the contract's error.
    app.config["MAX_CONTENT_LENGTH"] = None
    app.config["BODY_TIMEOUT"] = None
    app.config["RESPONSE_TIMEOUT"] = None
    app.config["SHUTDOWN_TIMEOUT"] = SHUTDOWN_TIMEOUT_S
    app.before_serving(kernel.start)
    app.after_serving(kernel.stop)
    return app


async def _quart_response(answer: Response, *, head: bool) -> QuartResponse:
    bodiless = head or answer.status in (204, 304)
    if bodiless:
        await close_body(answer.body)
    response = QuartResponse(b"" if bodiless else answer.body, status=answer.status)
    response.headers.clear()
    for name, value in answer.headers.items():
        response.headers[name] = value
    if isinstance(answer.body, bytes) and answer.status not in (204, 304) and "Content-Length" not in answer.headers:
        response.headers["Content-Length"] = str(len(answer.body))
    # The kernel sets its own limits of time; Quart would cut long downloads.
    response.timeout = None
    return response
