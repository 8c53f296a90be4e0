"""Bodies that come and go piece by piece: never faster than they are read, and always let go of."""

from __future__ import annotations

import asyncio

import pytest
import quart

from rocket_kernel import (
    AccessClass,
    BodyMode,
    InvalidPayload,
    Plugin,
    Response,
    Route,
    Unavailable,
    create_app,
    hookimpl,
)
from rocket_kernel.http.body import DRAIN_BYTES, UNREAD_AT_MOST

PIECE = b"x" * 65_536


class Pieces:
    """A body that tells whether it was closed."""

    def __init__(self, *pieces: bytes, fails: bool = False) -> None:
        self._pieces = list(pieces)
        self._fails = fails
        self.closed = 0

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            if self._fails:
                raise Unavailable
            raise StopAsyncIteration
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        self.closed += 1


class Streams(Plugin):
    """`bodies` are those handed out; `step` lets the reader take another piece."""

    name = "streams"

    def __init__(self, settings=None):
        super().__init__(settings)
        self.bodies: list[Pieces] = []
        self.step = asyncio.Semaphore(0)
        self.read = 0
        self.refuse_responses = False

    @hookimpl
    def register_routes(self):
        public = AccessClass.PUBLIC
        return [
            Route(method="GET", path="/download", access=public, handler=self.download),
            Route(method="GET", path="/unchanged", access=public, handler=self.unchanged),
            Route(method="PUT", path="/upload", access=public, handler=self.upload, body=BodyMode.STREAM),
            Route(method="PUT", path="/ignore", access=public, handler=self.ignore, body=BodyMode.STREAM),
            Route(method="PUT", path="/refuse", access=public, handler=self.refuse, body=BodyMode.STREAM),
        ]

    @hookimpl
    async def on_response(self, request, response):
        if self.refuse_responses:
            raise Unavailable

    def body(self, **options):
        self.bodies.append(Pieces(b"one ", b"two", **options))
        return self.bodies[-1]

    async def download(self, request):
        fails = "fail" in request.parameters
        length = {} if fails else {"Content-Length": "7"}
        if request.head:
            return Response(200, b"", {"Content-Type": "text/plain", **length})
        return Response(200, self.body(fails=fails), {"Content-Type": "text/plain", **length})

    async def unchanged(self, request):
        return Response(304, self.body(), {"ETag": '"x"'})

    async def upload(self, request):
        async for piece in request.stream:
            self.read += len(piece)
            await self.step.acquire()
        return Response(200, b"%d" % self.read)

    async def ignore(self, request):
        return Response(200, b"fine")

    async def refuse(self, request):
        raise InvalidPayload("no")


@pytest.fixture
async def streams(start_kernel):
    running = await start_kernel([Streams])
    return running, running.kernel.parts.plugins.find("streams")


async def test_a_body_is_sent_piece_by_piece_and_closed(streams):
    running, plugin = streams
    answer = await running.client.get("/download")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"one two", "7")
    assert [body.closed for body in plugin.bodies] == [1]


async def test_head_shows_the_length_without_a_body(streams):
    running, plugin = streams
    answer = await running.client.request("HEAD", "/download")
    assert (answer.status, answer.body, answer.headers.getlist("Content-Length")) == (200, b"", ["7"])
    assert plugin.bodies == []


async def test_what_is_not_sent_is_closed(streams):
    running, plugin = streams
    assert (await running.client.get("/unchanged")).status == 304
    plugin.refuse_responses = True
    assert (await running.client.get("/download")).status == 503
    assert [body.closed for body in plugin.bodies] == [1, 1]


def scope(method, path, length=None):
    headers = [(b"host", b"x")] + ([] if length is None else [(b"content-length", str(length).encode())])
    return {
        "type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "extensions": {},
    }  # fmt: skip


class Connection:
    """What a server would be: gives pieces when it is asked, and ends with the answer."""

    def __init__(self, pieces: int = 0, *, ends: bool = True) -> None:
        self.left = pieces
        self.given = 0
        self.sent: list[dict] = []
        self.gone = asyncio.Event()
        self._ends = ends

    async def receive(self):
        if self.left and not self.gone.is_set():
            await asyncio.sleep(0)
            self.left -= 1
            self.given += len(PIECE)
            return {"type": "http.request", "body": PIECE, "more_body": self.left > 0 or not self._ends}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.gone.set()

    @property
    def status(self):
        return self.sent[0]["status"]


async def let_run():
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_body_comes_no_faster_than_it_is_read(streams):
    running, plugin = streams
    connection = Connection(pieces=100)
    ended = asyncio.create_task(running.quart(scope("PUT", "/upload"), connection.receive, connection.send))
    for pieces in range(5):
        await let_run()
        # One piece is being worked on, another one waits.
        assert connection.given <= (pieces + 2) * (UNREAD_AT_MOST + len(PIECE))
        plugin.step.release()
    for _ in range(1000):
        plugin.step.release()
    await asyncio.wait_for(ended, 10)
    assert (connection.status, plugin.read) == (200, 100 * len(PIECE))


async def test_a_client_that_goes_ends_the_reading(streams):
    running, plugin = streams
    connection = Connection(pieces=2, ends=False)
    ended = asyncio.create_task(running.quart(scope("PUT", "/upload"), connection.receive, connection.send))
    plugin.step = asyncio.Semaphore(100)
    await let_run()
    connection.gone.set()
    await asyncio.wait_for(ended, 5)
    assert connection.sent == []


async def test_a_host_may_ask_for_all_of_a_body_at_once(streams):
    running, _ = streams
    app = create_app(running.kernel)

    @app.route("/own", methods=["PUT"])
    async def own():
        return str(len(await quart.request.get_data()))

    connection = Connection(pieces=20)
    await asyncio.wait_for(app(scope("PUT", "/own"), connection.receive, connection.send), 10)
    assert connection.sent[1]["body"] == b"%d" % (20 * len(PIECE))


async def test_what_is_left_of_a_refused_body_is_read_within_limits(streams):
    running, _ = streams
    few, many = Connection(pieces=50), Connection(pieces=2 * DRAIN_BYTES // len(PIECE))
    for connection in (few, many):
        await running.quart(scope("PUT", "/refuse"), connection.receive, connection.send)
        assert connection.status == 400
    assert few.left == 0
    assert DRAIN_BYTES <= many.given <= DRAIN_BYTES + 2 * UNREAD_AT_MOST


class Stuck(Connection):
    """A server that cannot send the end of an answer before somebody takes what it has read, as Hypercorn's queue."""

    def __init__(self, pieces: int) -> None:
        super().__init__(pieces)
        self._taken = asyncio.Event()

    async def receive(self):
        message = await super().receive()
        if not self.left:
            self._taken.set()
        return message

    async def send(self, message):
        if not message.get("more_body", True):
            await self._taken.wait()
        await super().send(message)


async def test_an_answer_is_not_held_up_by_what_nobody_reads(streams):
    running, _ = streams
    connection = Stuck(pieces=50)
    await asyncio.wait_for(running.quart(scope("PUT", "/ignore"), connection.receive, connection.send), 5)
    assert connection.status == 200


async def test_a_body_that_fails_half_way_breaks_the_answer_off(streams):
    running, plugin = streams
    connection = Connection()
    asked = {**scope("GET", "/download"), "query_string": b"fail=1"}
    with pytest.raises(Unavailable):
        await running.quart(asked, connection.receive, connection.send)
    assert [message.get("more_body") for message in connection.sent] == [None, True, True]
    assert plugin.bodies[0].closed == 1
