"""`register_answer_observers`: how every request ended, whichever door it came through."""

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest

from rocket_kernel import AccessClass, Plugin, Response, Route, create_app, hookimpl
from rocket_kernel.actor import NOBODY
from rocket_kernel.http import answered
from rocket_kernel.http.answered import CLIENT_GONE, CountingSend
from rocket_kernel.testing import FakeClock, entity
from rocket_kernel.tracing import Tracer

DOORS = [True, False]
"""Through the data lane, and through Quart."""


class Watcher(Plugin):
    name = "watcher"

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.seen: list[tuple[Any, ...]] = []

    @hookimpl
    def register_answer_observers(self):
        return [self.observe]

    @hookimpl
    def register_routes(self):
        return [Route(method="GET", path="/api/:app/_drip", access=AccessClass.PUBLIC, handler=drip)]

    @hookimpl
    async def on_request(self, request):
        if "x-drip" in request.headers:
            return await drip(request)
        return None

    def observe(self, request, status, sent, seconds):
        route = None if request.route is None else request.route.path
        app = request.app.name if request.in_app else None
        self.seen.append((request.method, request.head, route, app, status, sent))
        assert 0 < seconds < 60


async def drip(_request):
    async def drops():
        for _ in range(3):
            yield b"drop"
            await asyncio.sleep(0)

    return Response(200, drops(), {"Content-Type": "text/plain"})


async def ask(app, method, path, **more):
    """As `send_request`, and observers have been told, which happens in the next turn of the loop."""
    sent = await send_request(app, method, path, **more)
    await asyncio.sleep(0)
    return sent


async def send_request(app, method, path, *, headers=(), body=b"", whole=True, sent=None):
    """One request as a server makes it; what was sent back."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"x"), (b"content-type", b"application/json"), *headers],
        "client": ("127.0.0.1", 4),
        "server": ("x", 80),
    }
    messages: list[Any] = [{"type": "http.request", "body": body, "more_body": not whole}]
    sent, ended = [] if sent is None else sent, asyncio.Event()

    async def receive():
        if messages:
            return messages.pop()
        if whole:
            await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if not message.get("more_body", False) and message["type"] == "http.response.body":
            ended.set()

    await app(scope, receive, send)
    return sent


def body_of(sent):
    return b"".join(message.get("body", b"") for message in sent)


@pytest.fixture
async def watched(start_kernel):
    running = await start_kernel([Watcher])
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!"))
    plugin = running.kernel.parts.plugins.find("watcher")
    plugin.seen.clear()
    return running, plugin


@pytest.mark.parametrize("lane", DOORS)
async def test_status_length_and_route_of_every_answer(watched, lane):
    running, plugin = watched
    app = create_app(running.kernel, lane=lane)
    listed = body_of(await ask(app, "GET", "/api/shop/book"))
    missing = body_of(await ask(app, "GET", "/api/shop/book/nobody"))
    refused = body_of(await ask(app, "POST", "/api/shop/book", body=b"{"))
    nowhere = body_of(await ask(app, "GET", "/api/elsewhere/book"))
    assert plugin.seen == [
        ("GET", False, "/api/:app/:entity", "shop", 200, len(listed)),
        ("GET", False, "/api/:app/:entity/:id", "shop", 404, len(missing)),
        ("POST", False, "/api/:app/:entity", None, 400, len(refused)),
        ("GET", False, "/api/:app/:entity", None, 404, len(nowhere)),
    ]
    assert all(length > 10 for *_, length in plugin.seen)


async def test_what_only_quart_answers(watched):
    running, plugin = watched
    app = running.quart
    unmatched = body_of(await ask(app, "GET", "/no/such/path/anywhere/at/all"))
    await ask(app, "HEAD", "/health")
    await ask(app, "OPTIONS", "/api/shop/book")
    strange = body_of(await ask(app, "BREW", "/health"))
    assert plugin.seen == [
        ("GET", False, None, None, 404, len(unmatched)),
        ("GET", True, "/health", None, 200, 0),
        ("OPTIONS", False, None, None, 204, 0),
        ("BREW", False, None, None, 405, len(strange)),
    ]


@pytest.mark.parametrize("lane", DOORS)
async def test_bodies_that_come_in_pieces_are_counted(watched, lane):
    running, plugin = watched
    app = create_app(running.kernel, lane=lane)
    await ask(app, "GET", "/api/shop/_drip")
    await ask(app, "GET", "/api/shop/book", headers=[(b"x-drip", b"1")])
    assert [(route, status, sent) for _, _, route, _, status, sent in plugin.seen] == [
        ("/api/:app/_drip", 200, 12),
        ("/api/:app/:entity", 200, 12),
    ]


@pytest.mark.parametrize("lane", DOORS)
async def test_a_client_that_goes_away_is_noticed(watched, lane):
    running, plugin = watched
    app = create_app(running.kernel, lane=lane)
    assert await ask(app, "POST", "/api/shop/book", body=b'{"title"', whole=False) == []
    assert [(route, status, sent) for _, _, route, _, status, sent in plugin.seen] == [
        ("/api/:app/:entity", CLIENT_GONE, 0)
    ]


@pytest.mark.parametrize("lane", DOORS)
async def test_an_observer_that_fails_harms_nobody(start_kernel, caplog, lane):
    class Clumsy(Watcher):
        name = "clumsy"

        @hookimpl
        def register_answer_observers(self):
            return [self.stumble, self.observe]

        def stumble(self, request, status, sent, seconds):
            raise SystemExit("nobody asked for that")

    running = await start_kernel([Clumsy])
    sent = await ask(create_app(running.kernel, lane=lane), "GET", "/api/nowhere/book")
    assert sent[0]["status"] == 404
    assert [status for *_, status, _ in running.kernel.parts.plugins.find("clumsy").seen] == [404]
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert [message.partition(",")[0] for message in errors] == ["an observer of answers failed"]


async def test_observers_are_told_of_a_turn_of_the_loop_together_each_once():
    seen = []
    endings = answered.Endings((lambda *told: seen.append(told[:3]), lambda *told: seen.append(told[1])))
    first, second, third = (SimpleNamespace(trace_id=str(number)) for number in range(3))
    endings.answered(first, 200, 5, 0.0)
    endings.answered(second, 404, 7, 0.0)
    assert seen == []
    await asyncio.sleep(0)
    assert seen == [(first, 200, 5), (second, 404, 7), 200, 404]
    endings.answered(third, 201, 9, 0.0)
    endings.tell()
    await asyncio.sleep(0)
    assert seen[4:] == [(third, 201, 9), 201]


async def test_what_ended_last_is_told_before_plugins_stop(start_kernel, monkeypatch):
    order = []

    class Last(Watcher):
        name = "last"

        @hookimpl
        async def on_stopping(self):
            order.append("stopping")

    monkeypatch.setattr(answered.Endings, "tell", lambda self: order.append("told"))
    running = await start_kernel([Last])
    await running.stop()
    assert order == ["told", "stopping"]


class Listener(Plugin):
    name = "listener"

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.traces: list[tuple[Any, ...]] = []

    def samples(self, app, trace_id):
        return True

    def finished(self, app, spans):
        root = spans[0]
        self.traces.append((root.metadata.get("status_code"), root.status, root.duration_ms is not None))

    @hookimpl
    def register_span_sinks(self):
        return [self]

    @hookimpl
    async def on_request(self, request):
        return await drip(request) if "x-drip" in request.headers else None


async def test_a_trace_that_cannot_be_told_keeps_no_other_from_it(caplog):
    listener, told = Listener(), []
    tracer = Tracer((listener,), FakeClock())
    lost, kept = (tracer.begin("shop", str(number), "http", "handler", "request.start") for number in range(2))
    for trace in (lost, kept):
        with trace:
            pass
    endings = answered.Endings((lambda _, status, *__: told.append(status),))
    broken = SimpleNamespace(trace_id="0", app_found=None, route=None)
    request = SimpleNamespace(
        trace_id="1", app_found=None, route=None, params={}, actor=NOBODY, head=False, method="GET", path="/"
    )
    endings.traced(lost, broken, 200)
    endings.answered(request, 200, 5, 0.0)
    endings.traced(kept, request, None)
    await asyncio.sleep(0)
    assert (listener.traces, told) == ([(None, "error", True)], [200])
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == ["trace 0 is lost"]


@pytest.fixture
async def listened(start_kernel):
    running = await start_kernel([Listener])
    await running.client.app("shop")
    plugin = running.kernel.parts.plugins.find("listener")
    await asyncio.sleep(0)
    plugin.traces.clear()
    return running, plugin


async def test_who_only_listens_to_traces_has_nothing_counted(listened, monkeypatch):
    running, plugin = listened
    monkeypatch.setattr(CountingSend, "__init__", None)
    for lane in DOORS:
        assert (await ask(create_app(running.kernel, lane=lane), "GET", "/api/shop/book"))[0]["status"] == 404
    assert plugin.traces == [(404, "error", True)] * 2


@pytest.mark.parametrize("lane", DOORS)
async def test_a_trace_is_told_once_its_answer_is_decided_and_waits_for_no_stream(listened, lane):
    running, plugin = listened
    seen = []

    class Slow(list[Any]):
        def append(self, message: Any) -> None:
            seen.append(list(plugin.traces))

    app = create_app(running.kernel, lane=lane)
    await ask(app, "GET", "/api/shop/book", headers=[(b"x-drip", b"1")], sent=Slow())
    assert seen[-1] == plugin.traces == [(200, "ok", True)]


@pytest.mark.parametrize("lane", DOORS)
async def test_the_trace_of_a_client_that_goes_away_is_told_once_and_whole(listened, lane):
    running, plugin = listened
    app = create_app(running.kernel, lane=lane)
    await ask(app, "POST", "/api/shop/book", body=b'{"title"', whole=False)
    for _ in range(5):
        await asyncio.sleep(0)
    assert plugin.traces == [(None, "error", True)]


async def test_the_routes_of_a_host_are_none_of_the_kernels_requests(watched):
    running, plugin = watched

    @running.quart.get("/own")
    async def own():
        return "own"

    assert (await running.client.get("/own")).text == "own"
    assert plugin.seen == []


@pytest.mark.parametrize("lane", DOORS)
async def test_without_observers_nothing_is_put_between(start_kernel, lane, monkeypatch):
    monkeypatch.setattr(CountingSend, "__init__", None)
    running = await start_kernel()
    assert running.kernel.endings.observers == ()
    app = create_app(running.kernel, lane=lane)
    assert (await ask(app, "GET", "/api/nowhere/book"))[0]["status"] == 404
    assert (await ask(app, "GET", "/health"))[0]["status"] == 200
