"""Contract §16.4 and §16.5: what is noted of requests, and how it comes into `_events`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from rocket_instrumentation import InstrumentationPlugin, events_sink
from rocket_instrumentation.events_buffer import BUFFERS
from rocket_instrumentation.events_pack import pack, unpack
from rocket_instrumentation.events_row import SPAN_COLUMNS
from rocket_instrumentation.events_writing import write_journal
from rocket_instrumentation.tables import EVENT_ROWS, JOURNAL_ROWS, MINUTE_ROWS
from rocket_kernel import Plugin, StorageFull, Unavailable, annotate, hookimpl, span
from rocket_kernel.testing import FakeClock, entity, one_to_many
from rocket_kernel.tracing import Tracer, tell_sinks

TRACE = "11111111-2222-4333-8444-555555555555"


class Cargo(Plugin):
    """Notes what it is told to."""

    name = "cargo"
    version = "1"

    @hookimpl
    async def before_write(self, write):
        with span("cargo", "crane", "cargo.load", entity=write.entity.name):
            annotate(weight=write.record.get("title"))


async def start(start_kernel, **config):
    settings = {f"instrumentation.{name}": value for name, value in config.items()}
    running = await start_kernel([InstrumentationPlugin, Cargo], config=settings)
    client = await running.client.app("shop")
    await client.define(entity("book", title="string!", author_id="uuid"), entity("author", name="string!"))
    await client.relate(one_to_many("books", "author", "book"))
    return running, client


def sink_of(running):
    return running.kernel.parts.plugins.find("instrumentation").events


async def spans_of(client, trace_id=TRACE):
    answer = await client.get(f"_events/trace/{trace_id}")
    return answer.data["spans"] if answer.status == 200 else []


async def asked(client, method, path, body=None):
    return await client.request(method, path, body, headers={"X-Trace-ID": TRACE})


def names(rows):
    return ["/".join((row["source"], row["component"], row["action"])) for row in rows]


async def stored(app):
    async with app.reading() as (session, _):
        return await EVENT_ROWS.select(session, order_by=("created_at", "id"))


async def until(condition):
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110  # it is in a database, which wakes nobody
            await asyncio.sleep(0.02)


async def has_row(app, **values):
    return any(all(row[name] == value for name, value in values.items()) for row in await stored(app))


async def nothing_waits(running, app):
    return sink_of(running)._buffers[app.identity].spans == 0


async def test_a_create_with_items_shows_every_part(start_kernel):
    _, client = await start(start_kernel)
    await asked(client, "POST", "author", {"name": "Austen", "books": {"data": [{"title": "Emma"}]}})
    rows = await spans_of(client)
    assert names(rows) == [
        "http/handler/request.start",
        "engine/handler/record.create",
        "engine/pipeline/kernel:classify",
        "engine/pipeline/kernel:convert",
        "engine/pipeline/cargo:before_write",
        "cargo/crane/cargo.load",
        "engine/pipeline/cargo:before_write",
        "cargo/crane/cargo.load",
        "engine/pipeline/kernel:write",
        "engine/writer/nested_write.execute",
        "sql/statement/sql.insert",
        "sql/statement/sql.insert",
        *names(rows)[12:],
    ]
    root, create = rows[:2]
    assert (root["parent_span_id"], root["entity"], root["record_id"], root["status"]) == (None, None, None, "ok")
    assert root["metadata"] == {"method": "POST", "path": "/api/shop/author", "status_code": 201}
    assert create["parent_span_id"] == root["span_id"]
    (author,) = (await client.get("author")).data
    assert (create["entity"], create["record_id"]) == ("author", author["id"])
    statement = next(row for row in rows if row["source"] == "sql")
    assert set(statement["metadata"]) == {"fingerprint", "rows"}
    assert statement["metadata"]["rows"] == 1
    assert "Austen" not in str([row["metadata"] for row in rows if row["source"] == "sql"])
    assert all(row["trace_id"] == TRACE and row["event_type"] == "system" for row in rows)


ACTIONS = [
    ("GET", "book", "record.list", 200),
    ("GET", "book/{id}", "record.get", 200),
    ("PUT", "book/{id}", "record.update", 200),
    ("DELETE", "book/{id}", "record.delete", 200),
    ("GET", "book/00000000-0000-4000-8000-000000000000", "record.get", 404),
    ("POST", "book", "record.create", 422),
    ("GET", "nothing", "record.list", 404),
    ("GET", "book?filter[nonsense]=5", "record.list", 400),
]


async def test_each_call_on_records_has_its_span_and_its_status(start_kernel):
    _, client = await start(start_kernel)
    book = await client.create("book", {"title": "Emma"})
    for number, (method, path, action, status) in enumerate(ACTIONS):
        trace = TRACE[:-1] + str(number)
        body = {"title": "Persuasion"} if method == "PUT" else {} if method == "POST" else None
        target = path.format(id=book["id"])
        answer = await client.request(method, target, body, headers={"X-Trace-ID": trace})
        assert answer.status == status
        rows = await spans_of(client, trace)
        handler = next(row for row in rows if row["component"] == "handler" and row["source"] == "engine")
        assert handler["action"] == action
        expected = "ok" if status < 400 else "error"
        assert (rows[0]["status"], handler["status"]) == (expected, expected)
        assert rows[0]["metadata"] == {
            "method": method,
            "path": f"/api/shop/{target.partition('?')[0]}",
            "status_code": status,
        }
        if status < 300 and "/" in path:
            assert (handler["entity"], handler["record_id"]) == ("book", book["id"])
        if status >= 400:
            assert handler["metadata"]["error"] == answer.error["code"]


async def test_both_doors_note_the_same(start_kernel):
    running, client = await start(start_kernel)
    book = await client.create("book", {"title": "Emma"})
    seen = []
    for lane, number in ((True, "1"), (False, "2")):
        running.quart.lane = lane
        for at, (method, path) in enumerate(
            (("POST", "book"), ("GET", f"book/{book['id']}"), ("GET", "book?per_page=1"))
        ):
            trace = f"{TRACE[:-2]}{number}{at}"
            body = {"title": "x"} if method == "POST" else None
            await client.request(method, path, body, headers={"X-Trace-ID": trace})
            rows = await spans_of(client, trace)
            seen.append((number, [(row["action"], row["entity"], row["status"], row["metadata"]) for row in rows]))
    assert [shown for number, shown in seen if number == "1"] == [shown for number, shown in seen if number == "2"]
    assert len(seen) == 6


async def test_query_strings_and_bodies_are_noted_nowhere(start_kernel):
    running, client = await start(start_kernel)
    await asked(client, "GET", "book?filter[title]=canary4711")
    await asked(client, "POST", "author", {"name": "canary4711"})
    await asked(client, "GET", "book/canary%00%ff4711")
    rows = await spans_of(client)
    assert len([row for row in rows if row["parent_span_id"] is None]) == 3
    shown = [row for row in rows if row["source"] != "cargo"]
    assert "canary4711" not in str(shown)
    assert sink_of(running).counts["shop"].dropped_bad == 0


async def test_requests_outside_of_apps_and_unknown_apps_are_not_stored(start_kernel):
    running, client = await start(start_kernel)
    for path in ("/health", "/api/_platform/apps", "/api/nowhere/book", "/nonsense"):
        await asked(client, "GET", path)
    assert await spans_of(client) == []
    assert set(sink_of(running).counts) <= {"shop"}


async def test_an_unknown_path_of_an_app_leaves_the_root(start_kernel):
    _, client = await start(start_kernel)
    await asked(client, "GET", "book/1/2/3")
    assert await spans_of(client) == []  # no route, so no app was opened for it


@pytest.mark.parametrize("config", [{"sampling_rate": 0}, {"enabled": False}])
async def test_what_is_not_wanted_is_not_noted_and_business_events_are_kept(start_kernel, config):
    running, client = await start(start_kernel, **config)
    await asked(client, "GET", "book")
    (await client.post("_events", {"action": "ping"})).require(201)
    assert [row["action"] for row in (await client.get("_events")).data] == ["ping"]
    assert sink_of(running).counts == {}


async def test_sampling_takes_whole_traces(start_kernel):
    running, client = await start(start_kernel, sampling_rate=0.5)
    traces = [f"{TRACE[:-8]}{number * 0x08000000:08x}" for number in range(32)]
    for trace in traces:
        await client.get("book", headers={"X-Trace-ID": trace})
    app = await running.kernel.apps.app("shop")
    await sink_of(running).look(app)
    found = {}
    for row in await stored(app):
        found.setdefault(row["trace_id"], []).append(row["action"])
    assert [found[trace][:2] for trace in traces[:16]] == [["request.start", "record.list"]] * 16
    assert not set(traces[16:]) & set(found)


async def test_sums_agree_with_rows(start_kernel):
    running, client = await start(start_kernel)
    app = await running.kernel.apps.app("shop")
    for number in range(30):
        await client.get(f"book?filter[wrong{number}]=1" if number % 3 == 0 else "book")
        if number % 10 == 0:
            await sink_of(running).look(app)
    await sink_of(running).look(app)
    rows = await stored(app)
    async with app.reading() as (session, _):
        sums = await MINUTE_ROWS.select(session)
    assert sum(each["count"] for each in sums) == len(rows)
    assert sum(each["errors"] for each in sums) == sum(row["status"] == "error" for row in rows)
    assert sum(each["total_ms"] for each in sums) == pytest.approx(sum(row["duration_ms"] for row in rows), abs=0.01)
    assert len({(each["minute"], each["source"], each["entity"]) for each in sums}) == len(sums)


async def test_what_is_noted_is_stored_by_itself_soon(start_kernel):
    running, client = await start(start_kernel, flush_interval_ms=10)
    await asked(client, "GET", "book")
    app = await running.kernel.apps.app("shop")
    await until(lambda: has_row(app, trace_id=TRACE))
    async with app.reading() as (session, _):
        assert await JOURNAL_ROWS.count(session) == 0


async def test_much_at_once_is_journalled_first_and_found_by_whoever_looks(start_kernel):
    running, client = await start(start_kernel, buffer_size=2, flush_interval_ms=60_000)
    app = await running.kernel.apps.app("shop")
    await sink_of(running).look(app)
    requests = BUFFERS // 2  # of two spans or more each: too much to wait for the next round
    for _ in range(requests):
        await asked(client, "GET", "book")

    async def journalled():
        async with app.reading() as (session, _):
            return await JOURNAL_ROWS.count(session)

    await until(journalled)
    assert TRACE not in {row["trace_id"] for row in await stored(app)}
    roots = [row for row in await spans_of(client) if row["action"] == "request.start"]
    assert len(roots) == requests
    assert await journalled() == 0


async def test_the_journal_of_a_process_that_died_is_worked_off(start_kernel):
    running, _ = await start(start_kernel)
    app = await running.kernel.apps.app("shop")
    await write_journal(app, [(2, packed_trace())], running.kernel.parts.clock.now())
    await running.stop()
    again = await start_kernel([InstrumentationPlugin, Cargo], config={"instrumentation.flush_interval_ms": 10})
    app = await again.kernel.apps.app("shop")
    await until(lambda: has_row(app, action="odd"))


def packed_trace(**changes):
    return pack([made_spans(**changes)])


def made_spans(action="odd", metadata=None):
    class Keeper:
        def samples(self, app, trace_id):
            return True

        def finished(self, app, spans):
            self.spans = spans

    keeper = Keeper()
    tracer = Tracer((keeper,), FakeClock())
    root = tracer.begin("shop", TRACE, "test", "test", action)
    with root:
        annotate(**(metadata or {}))
        with span("test", "test", "inner"):
            pass
    tell_sinks(root)
    return keeper.spans


@pytest.mark.parametrize("line", [b"[[],[],[]]", b"[1,[],[],[]]", b"[4,[],[],[]]"])
def test_a_line_of_another_version_is_refused(line):
    with pytest.raises(ValueError, match="another version"):
        unpack(line)


def test_what_is_packed_comes_out_as_the_span_tells_it():
    spans = made_spans(metadata={"a": [1, {"b": None}]})
    for one, row in zip(spans, unpack(pack([spans])), strict=True):
        told = dict(zip(SPAN_COLUMNS, row, strict=True))
        assert (told["id"], told["span_id"], told["parent_span_id"]) == (one.span_id, one.span_id, one.parent_span_id)
        assert (told["trace_id"], told["created_at"], told["action"]) == (TRACE, one.started_at, one.action)
        assert told["duration_ms"] == pytest.approx(one.duration_ms, abs=0.0006)
        assert bytes(told["metadata"] or b"{}") == (b'{"a":[1,{"b":null}]}' if one.metadata else b"{}")


@pytest.mark.parametrize(
    ("metadata", "shown"),
    [
        ({"text": "\ud800"}, b'{"text":"?"}'),
        ({"object": object()}, b'{"object":"object"}'),
        ({"deep": [[[[[[[[[[[[[[]]]]]]]]]]]]]], "x": object()}, None),
        ({"long": "x" * 10_000}, b'{"left_out":true}'),
        ({"two\nlines": "\n"}, b'{"two\\nlines":"\\n"}'),
    ],
)
def test_unusual_metadata_is_made_readable(metadata, shown):
    line = packed_trace(metadata=metadata)
    assert b"\n" not in line
    root, _ = unpack(line)
    found = bytes(dict(zip(SPAN_COLUMNS, root, strict=True))["metadata"])
    assert found == shown if shown is not None else b'"x":"object"' in found


async def test_one_bad_row_costs_itself_alone(start_kernel):
    running, _ = await start(start_kernel)
    app, sink = await running.kernel.apps.app("shop"), sink_of(running)
    await sink.look(app)
    before = len(await stored(app))
    good = made_spans()
    sink.finished(app, good)
    sink.finished(app, good)  # the same ids a second time
    sink.finished(app, made_spans("another"))
    await sink.look(app)
    assert len(await stored(app)) == before + 4
    assert sink.counts["shop"].dropped_bad == 2
    async with app.reading() as (session, _):
        assert sum(row["count"] for row in await MINUTE_ROWS.select(session)) == before + 4


@pytest.mark.parametrize("fault", [Unavailable, StorageFull])
async def test_a_database_that_refuses_costs_requests_nothing_and_memory_is_bounded(start_kernel, monkeypatch, fault):
    running, client = await start(start_kernel, buffer_size=2, flush_interval_ms=5)
    app, sink = await running.kernel.apps.app("shop"), sink_of(running)
    most, refuse = 2 * BUFFERS, True
    real = type(app).writing_aside

    def refusing(self):
        if refuse:
            raise fault
        return real(self)

    monkeypatch.setattr(type(app), "writing_aside", refusing)
    monkeypatch.setattr(events_sink, "_FIRST_PAUSE_S", 0.01)
    for _ in range(most // 2 + 1):
        (await client.get("book")).require(200)
    buffer = sink._buffers[app.identity]
    assert buffer.spans <= most
    counts = sink.counts["shop"]
    assert counts.dropped_full > 0
    stored_before = counts.stored
    refuse = False
    await until(lambda: nothing_waits(running, app))
    assert counts.stored >= stored_before + most - 10
    assert (await client.get("_events?action=request.start")).meta["total"] > 10


async def test_what_ends_once_its_app_is_closed_is_counted_and_kept_nowhere(start_kernel, monkeypatch):
    running, client = await start(start_kernel)
    await asked(client, "GET", "book")
    sink, late, dropped = sink_of(running), made_spans(), []
    real = type(sink).close

    async def close(self, app):
        await real(self, app)
        self.finished(app, late)
        dropped.append(self.counts["shop"].dropped_closed if app.name == "shop" else 0)

    monkeypatch.setattr(type(sink), "close", close)
    await sink.stop()
    assert dropped == [len(late)]
    assert sink._buffers == {}
    sink.finished(await running.kernel.apps.app("shop"), late)
    assert sink._buffers == {}


async def test_stopping_stores_what_waits(start_kernel):
    running, client = await start(start_kernel, flush_interval_ms=60_000)
    await asked(client, "GET", "book")
    await running.stop()
    again = await start_kernel([InstrumentationPlugin, Cargo], config={"instrumentation.sampling_rate": 0})
    assert "record.list" in [row["action"] for row in await spans_of(replace(again.client, app_name="shop"))]


async def test_an_app_that_is_deleted_takes_its_events_along(start_kernel):
    running, client = await start(start_kernel, flush_interval_ms=60_000)
    await asked(client, "GET", "book")
    await running.kernel.apps.delete("shop")
    sink = sink_of(running)
    assert sink._buffers == {}
    again = await running.client.app("shop")
    assert await spans_of(again) == []
    await asked(again, "GET", "_admin/entities")
    assert len(await spans_of(again)) > 0


async def test_old_events_and_their_sums_go(start_kernel, clock):
    running, client = await start(start_kernel, retention_days=2)
    app, sink = await running.kernel.apps.app("shop"), sink_of(running)
    await client.post("_events", {"action": "ping"})
    await asked(client, "GET", "book")
    await sink.look(app)
    await running.run_jobs()
    assert TRACE in {row["trace_id"] for row in await stored(app)}
    clock.advance(days=2, minutes=2)
    await client.get("book")
    await sink.look(app)
    kept = {row["id"] for row in await stored(app) if row["created_at"] > clock.now().isoformat()[:16]}
    await running.run_jobs()
    await sink.look(app)
    left = await stored(app)
    assert kept <= {row["id"] for row in left}
    assert {row["created_at"][:16] for row in left} == {clock.now().isoformat()[:16]}
    async with app.reading() as (session, _):
        assert {row["minute"][:16] for row in await MINUTE_ROWS.select(session)} == {clock.now().isoformat()[:16]}
    assert clock.now() - timedelta(days=2) > FakeClock().now()


async def test_jobs_are_traces(start_kernel):
    running, _ = await start(start_kernel)
    await running.run_jobs()
    app = await running.kernel.apps.app("shop")
    await sink_of(running).look(app)
    runs = [row for row in await stored(app) if row["action"] == "job.run"]
    assert {row["metadata"]["job"] for row in runs} >= {"instrumentation:events"}
    assert {(row["source"], row["component"], row["parent_span_id"]) for row in runs} == {("job", "runner", None)}
