"""The data lane: record endpoints answered straight from ASGI, before Quart builds contexts and tasks for them.

The handlers, participants and error bodies are the same as behind the plain door; only the way to them is shorter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from quart.asgi import ASGIHTTPConnection

from rocket_kernel.http.answered import CLIENT_GONE, CountingSend
from rocket_kernel.http.body import BoundedBody
from rocket_kernel.http.dispatch import dispatch
from rocket_kernel.http.messages import JSON_HEADERS, JSON_TYPE, Response, close_body
from rocket_kernel.http.scope import make_request, raw_path

if TYPE_CHECKING:
    from rocket_kernel.http.app import RocketQuart

LET_GO_S = 2.0
_LANE_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class ClientGoneError(BaseException):
    """The connection ended before the body did. Like a cancellation, it is nobody's to handle on the way."""


class LaneConnection(ASGIHTTPConnection):
    """Quart's connection class for HTTP, which answers record requests itself and hands on all others."""

    app: RocketQuart
    _more_to_come = False
    """The body has begun to come, and its end has not."""
    _quart_request: Any = None

    async def __call__(self, receive: Any, send: Any) -> None:
        path = raw_path(self.scope)
        if not _is_record_path(path, self.scope) or not self.app.lane_open:
            await self._through_quart(receive, send)
            if self._more_to_come:
                await _let_go(receive)
            return
        kernel = self.app.kernel
        observers = kernel.endings.observers
        began = perf_counter() if observers else 0.0
        request = make_request(kernel, self.scope, _body(receive))
        status, sent = CLIENT_GONE, 0
        try:
            response = await dispatch(request, path)
            body = response.body
            if not observers:
                await _send(send, response)
            elif isinstance(body, bytes):
                await _send(send, response)
                status, sent = response.status, len(body)
            else:
                counting = CountingSend(send)
                try:
                    await _send(counting, response)
                finally:
                    status, sent = counting.status, counting.sent
        except ClientGoneError:
            pass
        finally:
            if observers:
                kernel.endings.answered(request, status, sent, began)

    async def _through_quart(self, receive: Any, send: Any) -> None:
        endings = self.app.kernel.endings
        if not endings.observers:
            await super().__call__(receive, send)
            return
        began, counting = perf_counter(), CountingSend(send)
        try:
            await super().__call__(receive, counting)
        finally:
            # What the host's own routes answered is none of the kernel's requests.
            request = None if self._quart_request is None else self._quart_request.of_kernel
            if request is not None:
                endings.answered(request, counting.status, counting.sent, began)

    async def _send_response(self, send: Any, response: Any) -> None:
        body = None if self._quart_request is None else self._quart_request.body
        if isinstance(body, BoundedBody) and body.bounded:
            body.forget()
        await super()._send_response(send, response)

    def _create_request_from_scope(self, send: Any) -> Any:
        self._quart_request = super()._create_request_from_scope(send)
        return self._quart_request

    async def handle_messages(self, request: Any, receive: Any) -> None:
        """As Quart's own, but no faster than the body is read: a slow disk must not fill the memory."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._more_to_come = False
                return
            if message["type"] != "http.request":
                continue
            self._more_to_come = message.get("more_body", False)
            request.body.append(message.get("body", b""))
            if not self._more_to_come:
                request.body.set_complete()
            if isinstance(request.body, BoundedBody):
                await request.body.room()


def _is_record_path(path: str, scope: Any) -> bool:
    """`/api/{app}/{entity}[/{id}]` with names that no fixed route can have."""
    if scope["method"] not in _LANE_METHODS or scope.get("root_path"):
        return False
    parts = path.split("/")
    if not 4 <= len(parts) <= 5 or parts[0] or parts[1] != "api":
        return False
    app, entity = parts[2], parts[3]
    return app[:1].islower() and entity[:1].islower() and entity != "auth"


async def _let_go(receive: Any) -> None:
    """Take what is left of a body whose request is answered, until the server has closed the connection.

    Hypercorn waits without end for somebody to take what it has read, and never notices that the client is gone.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(LET_GO_S):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                pass


async def _body(receive: Any) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] != "http.request":
            # Half a body may read like a whole one: nothing of it counts.
            raise ClientGoneError
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _name(name: str) -> bytes:
    return name.lower().encode("latin-1")


def _pair(name: str, value: str) -> tuple[bytes, bytes]:
    return _NAMES.get(name) or _name(name), value.encode("latin-1")


_NAMES = {name: _name(name) for name in ("X-Trace-ID", "ETag")}
_USUAL = {
    (name, value): (_name(name), value.encode("latin-1"))
    for name, value in {"Content-Type": JSON_TYPE, **JSON_HEADERS}.items()
}
"""Headers of nearly every answer, as they are sent."""


async def _send(send: Any, response: Response) -> None:
    body = response.body
    headers = [_USUAL.get(header) or _pair(*header) for header in response.headers.items()]
    if isinstance(body, bytes):
        headers.append((b"content-length", b"%d" % len(body)))
    start = {"type": "http.response.start", "status": response.status, "headers": headers}
    if not isinstance(body, bytes):
        await _send_stream(send, start, body)
        return
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_stream(send: Any, start: Any, body: AsyncIterator[bytes]) -> None:
    try:
        await send(start)
        async for chunk in body:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        await close_body(body)
