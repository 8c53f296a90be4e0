"""Requests and responses as handlers see them, whichever door they came through."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rocket_kernel import json_text
from rocket_kernel.actor import NOBODY, Actor
from rocket_kernel.call import Call
from rocket_kernel.clock import timestamp_text
from rocket_kernel.errors import RocketError
from rocket_kernel.query.parameters import parse_parameters

if TYPE_CHECKING:
    from rocket_kernel.apps.context import AppContext
    from rocket_kernel.http.router import Route
    from rocket_kernel.kernel import Kernel

JSON_TYPE = "application/json; charset=utf-8"
JSON_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Of every answer of that type, contract §1.5."""


@dataclass(slots=True, eq=False)
class Request:
    kernel: Kernel
    method: str
    """GET for HEAD; see `head`."""
    path: str
    """Decoded; only for people to read. Handlers use `params`."""
    query_string: str
    headers: Mapping[str, str]
    """Names in lower case; repeated ones are joined by a comma."""
    trace_id: str
    arrived: datetime
    """When its head was there."""
    peer: str | None = None
    """Address of the other end of the connection."""
    head: bool = False
    params: Mapping[str, str] = field(default_factory=dict)
    route: Route | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    """The JSON object of the body; empty for methods and routes without one."""
    stream: AsyncIterator[bytes] | None = None
    """The unread body, for routes that read it themselves."""
    stream_begun: bool = False
    """Whether somebody has begun to read it."""
    app_found: AppContext | None = None
    """The app of the path, once it is open."""
    actor: Actor = NOBODY
    confirms_caller: bool = False
    """Whether the handler finds out by itself that an actor with `known_at` is known no longer: then `authenticate` may
    go by what it remembers."""
    stash: dict[Any, Any] = field(default_factory=dict)
    """Room for plugins, by keys of their own."""
    _parameters: dict[str, str] | None = None
    _now: str | None = None

    @property
    def now(self) -> str:
        """The request's one instant as a timestamp's wire value: when it was first asked for."""
        if self._now is None:
            self._now = timestamp_text(self.kernel.parts.clock.now())
        return self._now

    @property
    def in_app(self) -> bool:
        """Whether the route is one under `/api/:app`."""
        return self.app_found is not None

    @property
    def app(self) -> AppContext:
        """The app of the path. Only on routes under `/api/:app`."""
        if self.app_found is None:
            raise RuntimeError("this route belongs to no app")
        return self.app_found

    @app.setter
    def app(self, app: AppContext) -> None:
        self.app_found = app

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query string, parsed at first use. Raises InvalidPayload."""
        if self._parameters is None:
            self._parameters = parse_parameters(self.query_string)
        return self._parameters

    @property
    def call(self) -> Call:
        return Call(self.actor, self.now, self.trace_id)


@dataclass(slots=True, eq=False)
class Response:
    """`body` is complete bytes, or an iterator that is sent as it comes.

    An iterator that has a method `aclose` is closed by it, sent or not. The header `Content-Length` is added to complete
    bytes; with an iterator, and where HEAD has no body, the handler gives it itself.
    """

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)


async def close_body(body: bytes | AsyncIterator[bytes]) -> None:
    """Let go of what a body holds, whether or not it has been sent."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json_text.encode(value), {"Content-Type": JSON_TYPE, **(headers or {})})


def data(value: object, status: int = 200) -> Response:
    """The success envelope."""
    return json_response({"data": value}, status)


def error_response(error: RocketError) -> Response:
    return json_response(error.body(), error.status, error.headers)
