"""A web server on this machine that notes what it is sent and answers as the test has told it."""

from __future__ import annotations

import asyncio
import json as json_module
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import h11

_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Received:
    """One request. Names of `headers` are in lower case; of repeated ones the last counts."""

    method: str
    path: str
    """With the query, as it was sent."""
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json_module.loads(self.body)


@dataclass(frozen=True, slots=True)
class _Script:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    close: bool = False


@dataclass(slots=True, eq=False)
class Receiver(AbstractAsyncContextManager["Receiver"]):
    """`async with Receiver() as receiver:` listens on a free port of 127.0.0.1 until the block ends."""

    requests: list[Received] = field(default_factory=list)
    """In the order in which they were complete."""
    _scripts: deque[_Script] = field(default_factory=deque)
    _otherwise: _Script = field(default_factory=_Script)
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the receiver does not listen: use it in `async with`")
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:40123`; every path under it is received."""
        return f"http://127.0.0.1:{self.port}"

    def answer(
        self,
        *,
        status: int = 200,
        json: object = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        delay: float = 0,
        close: bool = False,
        times: int | None = 1,
    ) -> None:
        """Answer the next `times` requests so, after answers that were told earlier; None: whenever nothing else is.

        `delay` is in seconds. `close` hangs up instead of answering. Unless told, the answer is an empty 200.
        """
        sent = dict(headers or {})
        if json is not None:
            body = json_module.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        script = _Script(status, body, sent, delay, close)
        if times is None:
            self._otherwise = script
        else:
            self._scripts.extend([script] * times)

    async def wait_for(self, count: int, *, timeout: float = 5) -> list[Received]:  # noqa: ASYNC109
        """All requests, as soon as there are `count`. Raises AssertionError after `timeout` seconds."""
        async with self._arrived:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._arrived.wait_for(lambda: len(self.requests) >= count)
        if len(self.requests) < count:
            raise AssertionError(f"{len(self.requests)} of {count} requests came within {timeout} s")
        return self.requests

    async def __aenter__(self) -> Receiver:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
        try:
            # The other side may break off or talk nonsense; that is part of what is tested.
            with suppress(ConnectionError, h11.RemoteProtocolError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            if task is not None:
                self._connections.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while (received := await _read_request(connection, reader)) is not None:
            script = self._scripts.popleft() if self._scripts else self._otherwise
            async with self._arrived:
                self.requests.append(received)
                self._arrived.notify_all()
            await asyncio.sleep(script.delay)
            if script.close:
                return
            writer.write(_written(connection, script, received.method))
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Received | None:
    """None when the other side has hung up."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            return Received(head.method.decode(), head.target.decode("latin-1"), headers, bytes(body))
        else:
            return None


def _written(connection: h11.Connection, script: _Script, method: str) -> bytes:
    headers = list({"Content-Length": str(len(script.body)), **script.headers}.items())
    response = h11.Response(status_code=script.status, headers=headers)
    body = b"" if method == "HEAD" or script.status in (204, 304) else script.body
    parts = [connection.send(response), connection.send(h11.Data(body)), connection.send(h11.EndOfMessage())]
    return b"".join(part or b"" for part in parts)
