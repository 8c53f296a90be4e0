"""The trace of a request: what its root says, and what of it is left open."""

import asyncio
from typing import Any

import pytest

from rocket_kernel import Plugin, create_app, current_span, hookimpl
from rocket_kernel.metadata.masking import MASK
from rocket_kernel.store.sqlite_inline import InlineReader, TooSlow
from rocket_kernel.testing import entity

TRACE = "0190c8a0-1111-7222-8333-444455556666"
SLUG = {"slug": {"field": "slug", "source": "title"}}


class Keeper(Plugin):
    name = "keeper"

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.traces: list[Any] = []

    def samples(self, app, trace_id):
        return trace_id == TRACE

    def finished(self, app, spans):
        self.traces.append(spans)

    @hookimpl
    def register_span_sinks(self):
        return [self]


@pytest.fixture
async def shop(start_kernel):
    running = await start_kernel([Keeper])
    client = await running.client.app("shop")
    await client.define(
        entity("patient", SLUG, title="string sensitive", slug="string unique sensitive"),
        entity("book", SLUG, title="string", slug="string unique"),
    )
    for name in ("patient", "book"):
        await client.create(name, {"title": "Jane Doe"})
    return running, running.kernel.parts.plugins.find("keeper"), client


async def traced(shop, method, path, **more):
    """The spans of a request."""
    _, keeper, client = shop
    keeper.traces.clear()
    await client.request(method, path, headers={"X-Trace-ID": TRACE}, **more)
    await asyncio.sleep(0)
    (spans,) = keeper.traces
    return list(spans)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("key", ["jane-doe", "john-doe"])
async def test_a_slug_that_is_a_secret_is_no_part_of_the_path(shop, method, key):
    root, *_ = await traced(shop, method, f"patient/{key}")
    assert root.metadata["path"] == f"/api/shop/patient/{MASK}"
    assert (root.metadata["method"], root.trace.route) == (method, "/api/:app/:entity/:id")


async def test_what_is_refused_before_the_app_is_open_shows_no_key(shop):
    root, *_ = await traced(shop, "PATCH", "patient/jane-doe", json="no object")
    assert (root.metadata["status_code"], root.trace.app) == (400, None)
    assert root.metadata["path"] == f"/api/shop/patient/{MASK}"


@pytest.mark.parametrize("path", ["book/jane-doe", "book/john-doe", "patient", "nobody/jane-doe"])
async def test_other_paths_are_shown(shop, path):
    root, *_ = await traced(shop, "GET", path)
    assert root.metadata["path"] == f"/api/shop/{path}"


async def get_books(running):
    """As a server does it, in the context of the caller. The message that begins the answer."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/shop/book",
        "raw_path": b"/api/shop/book",
        "query_string": b"",
        "headers": [(b"host", b"x"), (b"x-trace-id", TRACE.encode())],
        "client": None,
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await create_app(running.kernel)(scope, receive, send)
    return sent[0]


async def test_a_request_leaves_the_span_open_that_was_open_before(shop):
    running, keeper, _ = shop
    outer = running.kernel.parts.tracer.begin("shop", TRACE, "test", "test", "test")
    with outer:
        answer = await get_books(running)
        assert current_span() is outer
    await asyncio.sleep(0)
    assert answer["status"] == 200
    (spans,) = keeper.traces
    assert {one.trace for one in spans} == {spans.root}
    assert outer.spans == [outer]


async def test_a_request_that_is_cut_off_says_by_what(shop, monkeypatch):
    running, keeper, _ = shop
    begun = asyncio.Event()

    async def app(*_):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(type(running.kernel.apps), "app", app)
    asking = asyncio.create_task(get_books(running))
    await begun.wait()
    asking.cancel()
    await asyncio.wait([asking])
    await asyncio.sleep(0)
    assert asking.cancelled()
    (spans,) = keeper.traces
    assert (spans.root.status, spans.root.metadata["error"]) == ("error", "CancelledError")
    assert "status_code" not in spans.root.metadata


async def test_statements_of_a_read_show_wherever_it_runs(shop, monkeypatch):
    def inline(*_):
        raise TooSlow

    for _ in range(2):
        actions = [one.action for one in await traced(shop, "GET", "book/jane-doe")]
        assert actions == ["request.start", "record.get", "sql.select"]
        # SQLite's are run on a thread the second time.
        monkeypatch.setattr(InlineReader, "run", inline)
